/*
 * From a batch to a plan: fold the events of each attempt into one row write.
 *
 * plan_build() chains the records by attempt and sorts the attempts into two kinds. Fast: whatever
 * passes the guard in the row write has, event by event, the outcome "applied" (see struct fold).
 * Exact: needs the row first. plan_judge() then judges what did not take the fast way against the
 * locked rows, one event at a time, exactly as DESIGN 1.4 says. plan_settle() adds up the outcomes.
 *
 * Pure: no I/O, no clock. A plan may be built again and again from the same batch, each time from
 * nothing and in an arena of its own, so that retries do not pile up memory.
 */
#ifndef WORKER_ENGINE_PLANNER_H
#define WORKER_ENGINE_PLANNER_H

#include "worker/engine/batch.h"

/* Where the ledger stands for one partition, as the engine knows it. */
struct ledger_entry {
    struct tp tp;
    int64_t generation, epoch;
    int64_t published_offset;
};

struct plan_request {
    struct batch *batch;
    struct arena *arena; /* for the plan and all that follows from it */
    /* Finds the ledger's entry of a partition; NULL: not ours, leave its records out. */
    const struct ledger_entry *(*ledger)(void *self, struct tp tp);
    void *self;
    int64_t version_jump_max;
    size_t entry_limit; /* plan only the first n entries of the batch (a trial); SIZE_MAX: all */
    bool trial;
    bool lock_first;
    uint64_t secret; /* of the hash table */
};

struct planned {
    struct plan plan;
    struct fold *folds; /* all of them, by attempt id */
    size_t fold_count;
    struct entry **entries; /* those that are part of this plan, in order */
    size_t entry_count;
    bool needs_lock; /* set by plan_opened(): plan.rows must be read before the verdict */
    size_t
        wanted_count; /* set by plan_settle(): entries whose producer wants to know the outcome */
};

/* False when memory is short. */
bool plan_build(const struct plan_request *request, struct planned *ret);

/* After OPEN: takes what the fast way settled, and lists in plan.rows what must be locked. */
bool plan_opened(struct planned *planned, struct arena *arena);

/* After LOCK: judges the rest, and fills what WRITE needs. False when memory is short. */
bool plan_judge(struct planned *planned, struct arena *arena);

/* Before CLOSE: outcomes into the moves' counters, and the rows of the three outcome tables. */
bool plan_settle(struct planned *planned, struct arena *arena);

/* Whether the producer of a settled record wants to know what became of it (DESIGN 1.4). */
bool plan_wants_telling(const struct entry *entry);

/* True when every compare-and-set hit. */
bool plan_hits(const struct plan *plan);

#endif
