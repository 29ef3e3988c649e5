/*
 * The partitions that are ours, and where each stands.
 *
 *     published_offset <= next_offset <= position
 *
 * `next_offset` is what the ledger has committed, `published_offset` what the world has confirmed,
 * `position` the next record to be read. A partition walks SURVEYING -> CLAIMING -> RECALLING ->
 * RUNNING; partition_set() is the only place where its state changes.
 */
#ifndef WORKER_ENGINE_PARTITION_H
#define WORKER_ENGINE_PARTITION_H

#include "worker/engine/engine.h"
#include "worker/engine/planner.h"

struct partition {
    struct tp tp;
    enum partition_state state;
    const char *halt;      /* why it halted; kept until it has proved itself again */
    struct err halt_err;   /* what the notes repeat */
    int64_t noted_at_ms;   /* when the halt was last noted */
    int64_t look_again_ms; /* FENCED and HALTED: when to survey again */

    struct ledger_entry ledger; /* generation, epoch, published_offset */
    int64_t next_offset;
    int64_t published_noted; /* published_offset as the ledger has it */
    int64_t position;
    bool assigned; /* the source reads it */

    int64_t log_low;
    int64_t log_end; /* -1 while unknown */
    bool caught_up;  /* its end was reached, and not much has come since */
    bool has_committed;
    int64_t committed;
    struct witness witness; /* of the group's offset, or of what was committed here since */
    bool witness_told;      /* the group has it */
    int64_t witness_at_ms;  /* when we saw the ledger last */
    int64_t seen_asked_ms;  /* another session, asked then, saw it no older than that */

    bool has_anchor; /* of the last applied record */
    struct anchor anchor;
    int64_t refusals_until;        /* somebody looked: what is refused before it is bad itself */
    struct refused_submit refused; /* no submit was applied since */
    int64_t wary_until;            /* many were refused: the next one before this offset halts */
    int64_t refused_at;            /* halted at this record: only what lies behind it heals */
    bool anchor_pending;           /* RECALLING: the anchor is still to be compared */
    int64_t recall_from;           /* RECALLING: publish again from here to next_offset */
    bool log_was_cut;              /* records to publish again are gone: publish "all" */
    bool corrupt; /* the next record cannot be read: halt when all before it is applied */
    struct err corrupt_err;
    bool suspected; /* the log may have been replaced: start over when it is time */
    bool doubted;   /* the ledger seemed to be past the log: surveyed once more */
    unsigned bugs;  /* failed flushes in a row that should not happen */
};

struct partition_table {
    struct partition *items;
    size_t count, capacity;
    struct partition_status *status; /* room for engine_status(), same capacity */
};

void partition_table_release(struct partition_table *table);

struct partition *partition_find(const struct partition_table *table, struct tp tp);

/*
 * The assignment as the group sees it now. Partitions that stay keep nothing: an eager rebalance
 * gives all of them anew, and each is claimed again. False when memory is short.
 */
bool partition_table_assign(struct partition_table *table, const struct tp *tps, size_t count);
void partition_table_clear(struct partition_table *table);

void partition_set(struct partition *partition, enum partition_state state);

/* True for the two topics whose progress is in the ledger. */
static inline bool partition_in_ledger(const struct partition *partition)
{
    return partition->tp.topic != TOPIC_REFRESH;
}

/* The ledger was seen here: a commit, or a claim, which shows only what is committed. */
void partition_witness(struct partition *partition, int64_t generation, int64_t next_offset,
                       int64_t now_ms);

/* The group's. False when this worker knows better. */
bool partition_take_witness(struct partition *partition, const struct witness *witness);

/* True while records are wanted from the source. */
static inline bool partition_reads(const struct partition *partition)
{
    return partition->state == PARTITION_RUNNING || partition->state == PARTITION_RECALLING;
}

#endif
