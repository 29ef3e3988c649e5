/*
 * A batch: the records that one transaction will settle, in the order in which they were read.
 *
 * Records are copied into the batch's arena, decoded once, and kept until the transaction has
 * committed and the world has been told, so that any part of the batch can be planned again
 * (without a fenced partition, without a refused record, or only its first n records). For each
 * partition the records of a batch are a gapless run of what the log delivered.
 */
#ifndef WORKER_ENGINE_BATCH_H
#define WORKER_ENGINE_BATCH_H

#include "common/arena.h"
#include "worker/engine/plan.h"
#include "worker/events/decode.h"

/* The run of one partition in the batch. */
struct span {
    struct tp tp;
    int64_t from;       /* next_offset that the ledger must show */
    int64_t to;         /* next_offset afterwards; past the last record, or past control records */
    struct entry *last; /* the last record, for the anchor; NULL when only control records passed */
    bool dropped;       /* no longer ours: plan nothing of it */
    bool cut;           /* records after `to` were in it and are to be read again */
};

struct batch {
    struct arena arena;   /* bytes of records, and what the decoder makes of them */
    struct arena entries; /* one behind the other, for the walks over all of them */
    struct entry *first, *last;
    size_t count;
    struct span *spans;
    size_t span_count, span_capacity;
    size_t submit_at;     /* how many records there were with the first submit; 0: none is there */
    int64_t opened_at_ms; /* when its first run began; meaningful when there is one */
};

void batch_init(struct batch *batch);
void batch_release(struct batch *batch);
void batch_clear(struct batch *batch); /* forgets everything, keeps memory */

/*
 * Copies and decodes one record, whose partition's run stands at `position`. False when memory is
 * short: nothing was added, and the record must be read again.
 */
bool batch_add(struct batch *batch, const struct record *record, int64_t position,
               const struct decode_limits *limits, int64_t now_ms);

/* Notes that a partition has passed control records: its run goes on at `to`. */
bool batch_pass(struct batch *batch, struct tp tp, int64_t position, int64_t to, int64_t now_ms);

/* Forget what one partition has in the batch. */
void batch_drop(struct batch *batch, struct tp tp);
void batch_drop_all(struct batch *batch);

/*
 * Keeps the first `count` records (fewer than there are). The runs of the others end before their
 * first record that is gone, and say `cut`.
 */
void batch_cut(struct batch *batch, size_t count);

/* Makes room when nothing but dropped records is left: what is dropped still fills a batch. */
void batch_clear_if_void(struct batch *batch);

/* The live run of a partition; NULL when there is none. A partition that was dropped and came back
 * has a second run. */
struct span *batch_span(struct batch *batch, struct tp tp);

/* True when there is something to commit. */
bool batch_has_work(const struct batch *batch);

static inline size_t batch_bytes(const struct batch *batch)
{
    return batch->arena.used_bytes + batch->entries.used_bytes;
}

#endif
