/*
 * The simulated log: topics with partitions, what the producer meant by each record, and what
 * became of it.
 *
 * Offsets are indices; a hole is an offset without a record (a control record, a compacted one).
 * Beside the wire form each record keeps its meaning in plain numbers, from which the model
 * computes its outcome without the decoder, and its fate as the committed transactions tell it.
 */
#ifndef TESTS_SIM_LOG_H
#define TESTS_SIM_LOG_H

#include "tests/sim/sim.h"
#include "worker/engine/ports.h"
#include "worker/events/event.h"

enum refusal_place {
    REFUSE_NEVER,
    REFUSE_WRITE, /* by the statement that writes its row */
    REFUSE_CLOSE  /* by a deferred constraint, or when its submission or rejection is written */
};

#define ANSWER_SAME  0    /* the event does not name this key */
#define ANSWER_CLEAR (-1) /* null */

struct meaning {
    bool poison; /* the decoder must refuse it, for `reason` */
    enum reason reason;
    enum event_type type;
    int attempt; /* its number */
    uint32_t event;
    int64_t expected; /* expected_version */
    int answers[SIM_KEYS];
    bool has_answers;
    int auto_save; /* 0 for none */
    int exam, student;
    int activities[3]; /* numbers of activity events */
    int activity_count;
    int view;
    enum refusal_place refused;
};

/* What the committed transactions made of a record. */
struct fate {
    bool settled;
    uint64_t commit; /* serial of the transaction */
    enum outcome outcome;
    bool outcome_known;    /* false: applied or duplicate, of an attempt in two partitions */
    int64_t version;       /* the row's version after it; 0 when unknown or dead */
    bool rejected, letter; /* has a row there */
    const char *late_reason;
    enum reason reason;
    int64_t missing;
    int64_t revision; /* its attempt's row must be invalidated with at least this; 0 for none */
    int exam;         /* whose statistics it changed, -1 for none; if revision */
    bool wants_outcome;
    bool told; /* its outcome message was delivered and confirmed */
};

struct sim_record {
    bool present; /* false for a hole */
    struct record wire;
    struct meaning meaning;
    struct fate fate;
    int row;                 /* scratch of check_commit(): its outcome row, -1 for none */
    uint64_t appended_after; /* commit serial when it was appended */
};

struct sim_partition {
    bool exists;
    struct sim_record *records;
    int64_t low, high;
    bool has_committed; /* by the consumer group */
    int64_t committed;
    struct witness witness; /* beside it */
    bool put_back; /* the ledger was put back to an older state; nobody has accepted it yet ... */
    bool behind;   /* ... and the group knows: it must halt, ... */
    int unaware;   /* ... but for this worker, whose claim is in the backup and who has not asked
                      since: it has seen no more than the ledger shows; 0 for none */
    int remembered_by;     /* ... and this worker knows (its incarnation); 0 for none, ... */
    int64_t remembered_at; /* ... for it has seen the ledger here */
    bool corrupt;          /* it cannot be read at `corrupt_at`, nor beyond */
    int64_t corrupt_at;
    bool replaced; /* the ledger does not know this log any more: it must halt */
};

struct sim_log {
    struct sim *sim;
    int partitions; /* of each topic */
    struct sim_partition tps[SIM_TPS];
    bool split[SIM_ATTEMPTS]; /* events of this attempt lie in more than one partition */
};

void sim_log_init(struct sim_log *log, struct sim *sim, int partitions);

/* The next record of a partition, to be filled in by the caller; NULL when the log is full. */
struct sim_record *sim_log_append(struct sim_log *log, struct tp tp);

/* One at that offset, NULL for a hole or outside the log. */
struct sim_record *sim_log_at(struct sim_log *log, struct tp tp, int64_t offset);

/* Where reading ends: the end of the log, or a record that cannot be read. */
int64_t sim_log_readable(const struct sim_partition *partition);

/* Records (not holes) in [from, to). */
int64_t sim_log_count(struct sim_log *log, struct tp tp, int64_t from, int64_t to);

#endif
