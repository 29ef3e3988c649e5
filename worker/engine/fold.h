/*
 * The fold of one attempt: many events, one row write.
 *
 * fold_classify() decides without the row whether the fast way is open, and if so merges the
 * changes. fold_judge() is the careful way: it walks the events against the locked row, one by
 * one, in the order of DESIGN 1.4 (dead, duplicate, late, stale, applied), and merges what was
 * applied. Both merge through the same code, so that both write the same bytes.
 */
#ifndef WORKER_ENGINE_FOLD_H
#define WORKER_ENGINE_FOLD_H

#include "common/arena.h"
#include "worker/engine/plan.h"

/* The next event of the attempt; also notes whether all of them still ascend. */
void fold_append(struct fold *fold, struct entry *entry, int64_t jump_max);

/* Sets `exact`, or else all that the fast row write needs. False when memory is short. */
bool fold_classify(struct fold *fold, struct arena *arena);

/* True when the fast way has settled all its events. */
bool fold_is_settled(const struct fold *fold);

/* After a fast write that was done: every save and submit of the fold was applied. */
void fold_settle_fast(struct fold *fold);

/* What the careful way wants written besides the fold itself. */
struct fold_verdict {
    bool new_row;            /* the attempt was unknown and gets a row ... */
    struct entry *new_start; /* ... by this `started`, or without a start (NULL) */
    struct entry *fill;      /* this `started` fills in a row that has no start */
};

/*
 * Judges every entry that has no verdict yet. If any write was applied, `fold` is set up for an
 * exact row write. False when memory is short.
 */
bool fold_judge(struct fold *fold, const struct attempt_row *row, int64_t jump_max,
                struct arena *arena, struct fold_verdict *ret);

#endif
