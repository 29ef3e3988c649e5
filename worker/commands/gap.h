/*
 * The gap between the ledger and the log of one partition: which one it is, and where a new
 * generation of the log would begin if the operator accepts it. No I/O: accept_gap.c gathers the
 * facts and carries the step out.
 *
 * The states are the halts of the worker (errands.c, intake.c) and are judged in its order, so that
 * `accept-gap` sees what the worker saw.
 */
#ifndef WORKER_COMMANDS_GAP_H
#define WORKER_COMMANDS_GAP_H

#include "common/err.h"
#include "worker/engine/ports.h"

#include <stdbool.h>
#include <stdint.h>

enum gap_state {
    GAP_NONE,           /* ledger and log agree */
    GAP_NEW,            /* no row, and nobody has read here: a worker makes the row by itself */
    GAP_LOG_START,      /* the log begins after next_offset */
    GAP_LOG_END,        /* the log ends before next_offset */
    GAP_ANCHOR,         /* the last applied record is another one, or is missing */
    GAP_LEDGER_MISSING, /* the group has committed offsets, the ledger has no row */
    GAP_LEDGER_BEHIND,  /* the ledger was seen further on: it was put back to an older state */
    GAP_CORRUPT         /* the record at next_offset cannot be read */
};

struct gap_facts {
    bool has_row;
    int64_t generation, next_offset, published_offset; /* if has_row */
    bool has_committed;                                /* the group, in Kafka */
    struct witness witness;                            /* beside what it has committed */
    int64_t log_low, log_end;
    bool anchor_differs;   /* the anchor's place is in the log, and another record is there */
    bool unreadable;       /* data at next_offset, or of the anchor, fails its checksum: */
    int64_t readable_from; /* the first offset from next_offset on that can be read, or the end */
};

/* What accepting it would write. */
struct gap_step {
    int64_t start;     /* first_offset and next_offset of the new generation */
    int64_t published; /* start, or start - 1: something before it was never told (1.5) */
};

#define GAP_NO_OFFSET (-1)

enum gap_state gap_judge(const struct gap_facts *facts);

/* The word of the halt line, "log_start"; "none" and "new" for what is no halt. */
const char *gap_state_name(enum gap_state state);

/*
 * Where to go on: at the log's start, where the ledger stands if that is all that is wrong, or at
 * `skip_to` (GAP_NO_OFFSET: not given), which a corrupt
 * log needs. False, with a sentence about what to do instead, when there is nothing to accept and
 * `force` is not given, or when `skip_to` is missing or outside the log.
 */
bool gap_plan(const struct gap_facts *facts, int64_t skip_to, bool force, struct gap_step *ret,
              struct err *err);

#endif
