/*
 * What the parts of `audit` share: the snapshot, the log, and what has been found so far.
 *
 * Everything in the database is read in one REPEATABLE READ snapshot, and of the log only what that
 * snapshot's ledger says is settled: so the audit is exact also while workers run.
 *
 *     audit_ledger.c   conservation: the counters, the tables of outcomes, the length of the log
 *     audit_replay.c   the log, record by record, against the tables of outcomes
 *     audit_contents.c the contents of activity and rejected writes, beside it
 *     audit_rows.c     the attempts that the replay leaves, against the rows
 *     audit_report.c   what is said about it
 */
#ifndef WORKER_COMMANDS_AUDIT_WORK_H
#define WORKER_COMMANDS_AUDIT_WORK_H

#include "common/clock.h"
#include "worker/audit/replay_model.h"
#include "worker/commands/audit_differences.h"
#include "worker/commands/kafka_setup.h"
#include "worker/commands/progress.h"
#include "worker/engine/plan.h"
#include "worker/kafka/kafka_admin.h"
#include "worker/postgres/pg_client.h"

#define EARLIER_UNKNOWN (-1)

/* One row of ingest_progress, and what goes with it. */
struct audit_partition {
    char topic[TOPIC_NAME_MAX + 1];
    char name[TOPIC_NAME_MAX + 16]; /* "attempt.writes[3]" */
    bool known;                     /* it is one of our two topics: */
    enum topic kind;
    int32_t partition;
    int64_t generation, first, next, published;
    int64_t records, counters[OUTCOME_COUNT], gaps;
    int64_t rejected_stale, rejected_late, letters, submits, outside;
    int64_t earlier; /* records that earlier generations settled, or EARLIER_UNKNOWN */
    int64_t log_low, log_high;
    bool log_whole; /* all of it is still there */
    bool loose;     /* holds attempts that cannot be compared exactly */

    /* of the log, by the replay */
    int64_t found_records, replayed[OUTCOME_COUNT], replayed_gaps;
};

struct audit_facts {
    int64_t attempts, without_start, submitted, foreign, activity_events, submissions;
    int64_t stray_rejected, stray_letters;
};

struct audit {
    struct settings settings; /* with the limits that the workers judge by */
    bool replay, json, quiet;
    struct decode_limits limits;
    struct clock clock;
    struct progress progress;
    struct kafka_setup kafka;
    struct kafka_admin *admin;
    struct pg_client *db;

    struct audit_partition *partitions;
    size_t partition_count;
    struct audit_facts facts;
    struct differences differences;
    uint64_t unconserved; /* of them: against conservation itself */

    struct replay_model *model;
    uint64_t compared, foreign_attempts, spread_attempts, refused_by_database;
    int64_t erased_activity; /* events of attempts that maintain_attempt() erased */
    int64_t unclaimed;       /* records in partitions that no ledger knows yet */
    bool log_cut;            /* not all that is settled is in the log that was read: no replay */
};

/* Each is false only when it could not be done; differences go into `differences`. */
bool audit_ledger(struct audit *audit, struct err *err);
bool audit_log(struct audit *audit, struct err *err);
bool audit_rows(struct audit *audit, struct err *err);

/* To stdout. True when everything that was asked for is proved. */
bool audit_report(struct audit *audit);

#endif
