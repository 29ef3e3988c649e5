#include "tests/sim/sim_db.h"
#include "tests/sim/sim_check.h"

#include <string.h>

void db_forget_refusals(struct sim_db *db)
{
    for (int i = 0; i < WORKLOAD_EVENTS; i++)
        db->refusals[i] = (struct db_refusal){ -1, -1 };
}

void db_init(struct sim_db *db, struct sim *sim, struct sim_log *log, struct sim_workload *workload)
{
    *db = (struct sim_db){ .sim = sim, .log = log, .workload = workload, .refusing = true };
    db->refusals = arena_alloc(&sim->arena, WORKLOAD_EVENTS * sizeof *db->refusals);
    db_forget_refusals(db);
}

int db_attempt_number(struct sim_db *db, const struct uuid *id)
{
    int64_t number = sim_uuid_number(ID_ATTEMPT, id);
    if (number >= 0 && number < SIM_ATTEMPTS)
        return (int)number;
    sim_violate(db->sim, "an attempt that nobody sent");
    return -1;
}

const struct db_attempt *db_attempt_seen(const struct sim_db *db, const struct db_tx *tx, int i)
{
    return tx->has_attempt[i] ? &tx->attempts[i] : &db->attempts[i];
}

struct db_attempt *db_attempt_lock(struct sim_db *db, struct db_tx *tx, int i)
{
    if (!tx->has_attempt[i]) {
        tx->has_attempt[i] = true;
        tx->attempts[i] = db->attempts[i];
        db->attempt_lock[i] = tx;
    }
    return &tx->attempts[i];
}

struct db_progress *db_progress_lock(struct sim_db *db, struct db_tx *tx, int i)
{
    if (!tx->has_progress[i]) {
        tx->has_progress[i] = true;
        tx->progress[i] = db->progress[i];
        db->progress_lock[i] = tx;
    }
    return &tx->progress[i];
}

void db_begin(struct db_tx *tx, int owner)
{
    struct db_outcome_row *rows = tx->rows;
    *tx = (struct db_tx){ .open = true, .owner = owner, .rows = rows };
}

static void unlock(struct sim_db *db, struct db_tx *tx)
{
    for (int i = 0; i < SIM_ATTEMPTS; i++)
        if (db->attempt_lock[i] == tx)
            db->attempt_lock[i] = NULL;
    for (int i = 0; i < SIM_TPS; i++)
        if (db->progress_lock[i] == tx)
            db->progress_lock[i] = NULL;
    for (int i = 0; i < SIM_ACTIVITIES; i++)
        if (db->activity_lock[i] == tx)
            db->activity_lock[i] = NULL;
}

void db_rollback(struct sim_db *db, struct db_tx *tx)
{
    if (tx->open)
        unlock(db, tx);
    struct db_outcome_row *rows = tx->rows;
    *tx = (struct db_tx){ .rows = rows };
}

void db_commit(struct sim_db *db, struct db_tx *tx)
{
    db->sim->commit_serial++;
    check_commit(db, tx);
    for (int i = 0; i < SIM_ATTEMPTS; i++)
        if (tx->has_attempt[i])
            db->attempts[i] = tx->attempts[i];
    for (int i = 0; i < SIM_ATTEMPTS; i++)
        db->workload->seen[i] = db->attempts[i].row.version;
    for (int i = 0; i < SIM_TPS; i++)
        if (tx->has_progress[i])
            db->progress[i] = tx->progress[i];
    for (int i = 0; i < SIM_ACTIVITIES; i++)
        db->activity[i] |= tx->activity[i];
    db->exams |= tx->exams;
    for (int i = 0; i < SIM_VIEWS; i++)
        if (tx->views & 1u << i) {
            db->view_requested[i] = db->sim->commit_serial;
            sim_cover(db->sim, COVER_VIEW_REQUEST);
        }
    unlock(db, tx);
    struct db_outcome_row *rows = tx->rows;
    *tx = (struct db_tx){ .rows = rows };
}
