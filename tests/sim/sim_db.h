/*
 * The simulated PostgreSQL: tables, transactions, row locks.
 *
 * A transaction writes into private copies of the rows it has locked; COMMIT puts them in the
 * place of the committed ones, all at once, and ROLLBACK forgets them. A row is locked by at most
 * one transaction; whoever needs it waits. Only what the ports say about a store is modelled, and
 * exactly that.
 */
#ifndef TESTS_SIM_SIM_DB_H
#define TESTS_SIM_SIM_DB_H

#include "tests/sim/sim_model.h"
#include "tests/sim/sim_workload.h"
#include "worker/engine/plan.h"
#include "worker/engine/ports.h"

#define DB_MOVES 8
#define DB_ROWS  1024 /* of rejected writes or letters in one transaction */

struct db_attempt {
    struct model_row row;
    int64_t revision;
    bool has_submission;
    int64_t submission_version, submission_missing; /* of the table submissions */
};

struct db_progress {
    bool exists;
    int64_t generation, first, next, published, epoch;
    int64_t counts[OUTCOME_COUNT], gaps;
    bool has_anchor;
    struct anchor anchor;
    int64_t refusals_until; /* the operator's word */
    int owner;              /* worker incarnation of the last claim */
};

/* A row of rejected_writes, dead_letters or submissions, still in its transaction. */
struct db_outcome_row {
    int tp;
    int64_t offset;
    enum outcome outcome;
    enum reason reason;
    const char *late_reason;
    int64_t version, missing;
};

struct db_move {
    int tp;
    int64_t from, to;
    bool hit;
    bool has_anchor;
    struct anchor anchor;
};

struct db_tx {
    bool open, aborted;
    bool refuses_commit; /* a deferred constraint is violated */
    int owner;
    bool has_attempt[SIM_ATTEMPTS];
    struct db_attempt attempts[SIM_ATTEMPTS];
    bool written[SIM_ATTEMPTS];
    bool has_progress[SIM_TPS];
    struct db_progress progress[SIM_TPS];
    struct db_move moves[DB_MOVES];
    int move_count;
    bool missed;
    bool activity[SIM_ACTIVITIES];
    int activity_count;
    struct db_outcome_row *rows; /* DB_ROWS */
    int row_count;
    unsigned views;              /* bits */
    unsigned exams;              /* entered; bits */
    bool saw_none[SIM_ATTEMPTS]; /* LOCK found no row, which cannot be locked */
};

/*
 * The row's revision when an event was refused first and last; -1 for never. An event that was
 * sent twice is refused twice, and another session may change the row in between.
 */
struct db_refusal {
    int64_t first_at, last_at;
};

/* A backup. */
struct db_past {
    bool taken;
    uint64_t serial;
    struct db_attempt attempts[SIM_ATTEMPTS];
    struct db_progress progress[SIM_TPS];
    bool activity[SIM_ACTIVITIES];
    unsigned exams;
    struct model_row model[SIM_ATTEMPTS];
};

struct sim_db {
    struct sim *sim;
    struct sim_log *log;
    struct sim_workload *workload;
    struct sim_oracle *oracle;
    bool schema_broken;
    bool refusing;               /* planted records are refused ... */
    struct db_refusal *refusals; /* ... by event */
    int64_t down_until;          /* no connection before */
    struct db_attempt attempts[SIM_ATTEMPTS];
    struct db_tx *attempt_lock[SIM_ATTEMPTS];
    struct db_progress progress[SIM_TPS];
    struct db_tx *progress_lock[SIM_TPS];
    unsigned exams; /* bits */
    bool activity[SIM_ACTIVITIES];
    const struct db_tx *activity_lock[SIM_ACTIVITIES];
    uint64_t view_requested[SIM_VIEWS]; /* commit serial of the last request */
    struct model_row model[SIM_ATTEMPTS];
    struct db_past past;
};

void db_init(struct sim_db *db, struct sim *sim, struct sim_log *log,
             struct sim_workload *workload);

/* What was refused in a world that is gone says nothing. */
void db_forget_refusals(struct sim_db *db);

/* Committed, or as this transaction sees it. Locks nothing. */
const struct db_attempt *db_attempt_seen(const struct sim_db *db, const struct db_tx *tx, int i);

/* Locks; the caller has made sure that nobody else holds the lock. */
struct db_attempt *db_attempt_lock(struct sim_db *db, struct db_tx *tx, int i);
struct db_progress *db_progress_lock(struct sim_db *db, struct db_tx *tx, int i);

void db_begin(struct db_tx *tx, int owner);
void db_rollback(struct sim_db *db, struct db_tx *tx);
void db_commit(struct sim_db *db, struct db_tx *tx); /* checks every rule of a commit first */

/* The number of a known attempt; a broken rule and -1 otherwise. */
int db_attempt_number(struct sim_db *db, const struct uuid *id);

/* ------------------------------------------------------------------------------------- steps */

enum step_result {
    STEP_WAIT, /* for a lock */
    STEP_DONE,
    STEP_REFUSED /* a planted record: `err` is set, the transaction is aborted */
};

/* Carries out one call on the server's side. CLOSE commits unless `hold`. */
enum step_result db_step(struct sim_db *db, struct db_tx *tx, struct store_call *call, int owner,
                         bool hold, struct err *err);

/* ------------------------------------------------------------------------------------ patches */

/* The engine's JSON back into numbers. False when it is not the object text it should be. */
bool patch_read_answers(struct bytes text, int answers[SIM_KEYS]);
bool patch_read_auto_save(struct bytes text, int *ret_value);
struct bytes patch_write_document(struct arena *arena, const struct model_row *row);

#endif
