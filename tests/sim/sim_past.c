#include "tests/sim/sim_past.h"
#include "tests/sim/sim_oracle.h"

#include <string.h>

#define FOREIGN_VALUE 1000000 /* no value of a producer */

void db_foreign_write(struct sim_db *db)
{
    struct sim *sim = db->sim;
    int i = sim_below(sim, db->workload->attempts);
    struct db_attempt *row = &db->attempts[i];
    if (db->attempt_lock[i] != NULL || row->row.submitted)
        return; /* it would wait; and the guard refuses changes of what is submitted */
    struct model_row *model = &db->model[i];
    if (!row->row.exists) {
        row->row = (struct model_row){ .exists = true, .version = 1 };
    } else if (sim_one_in(sim, 2)) {
        row->row.auto_save = FOREIGN_VALUE + sim_below(sim, 1000);
    } else {
        row->row.answers[sim_below(sim, SIM_KEYS)] = FOREIGN_VALUE + sim_below(sim, 1000);
        row->row.version += sim_below(sim, 3);
    }
    row->revision++;
    int64_t submit_expected = model->submit_expected, submit_missing = model->submit_missing;
    *model = row->row;
    model->submit_expected = submit_expected;
    model->submit_missing = submit_missing;
    db->workload->seen[i] = row->row.version;
    sim_cover(sim, COVER_FOREIGN);
    sim_tell(sim, "another session writes attempt %d: version %lld, revision %lld", i,
             (long long)row->row.version, (long long)row->revision);
}

void db_remember(struct sim_db *db)
{
    struct db_past *past = &db->past;
    past->taken = true;
    past->serial = db->sim->commit_serial;
    memcpy(past->attempts, db->attempts, sizeof past->attempts);
    memcpy(past->progress, db->progress, sizeof past->progress);
    memcpy(past->activity, db->activity, sizeof past->activity);
    memcpy(past->model, db->model, sizeof past->model);
    past->exams = db->exams;
    sim_tell(db->sim, "a backup is taken");
}

bool db_may_return(const struct sim_db *db)
{
    bool may = db->past.taken && db->sim->commit_serial > db->past.serial;
    for (int i = 0; i < SIM_TPS; i++) {
        const struct sim_partition *partition = &db->log->tps[i];
        const struct db_progress *then = &db->past.progress[i], *now = &db->progress[i];
        /* A row that the backup lacks would halt its partition: that is tried elsewhere. */
        if (partition->replaced || (now->exists && !then->exists) ||
            (then->exists && (partition->low > then->published || partition->low > then->next)))
            may = false;
    }
    return may;
}

static bool is_older(int64_t generation, int64_t next, const struct db_progress *row)
{
    return row->exists &&
           (row->generation < generation || (row->generation == generation && row->next < next));
}

static void put_back(struct sim_partition *partition, const struct db_progress *before,
                     const struct db_progress *now)
{
    const struct witness *witness = &partition->witness;
    if (before->exists && is_older(before->generation, before->next, now))
        partition->put_back = true;
    if (witness->present && is_older(witness->generation, witness->next_offset, now))
        partition->put_back = partition->behind = true;
    partition->unaware = partition->behind ? now->owner : 0;
}

void db_return(struct sim_db *db)
{
    const struct db_past *past = &db->past;
    struct db_progress before[SIM_TPS];
    memcpy(before, db->progress, sizeof before);
    memcpy(db->attempts, past->attempts, sizeof db->attempts);
    memcpy(db->progress, past->progress, sizeof db->progress);
    memcpy(db->activity, past->activity, sizeof db->activity);
    memcpy(db->model, past->model, sizeof db->model);
    db->exams = past->exams;
    for (int i = 0; i < SIM_ATTEMPTS; i++)
        db->workload->seen[i] = db->attempts[i].row.version;
    for (int i = 0; i < SIM_ATTEMPTS; i++)
        if (db->oracle->revision_told[i] > db->attempts[i].revision)
            db->oracle->revision_told[i] = db->attempts[i].revision;
    for (int i = 0; i < SIM_TPS; i++) {
        struct sim_partition *partition = &db->log->tps[i];
        put_back(partition, &before[i], &db->progress[i]);
        for (int64_t offset = partition->low; partition->exists && offset < partition->high;
             offset++)
            if (partition->records[offset].present &&
                partition->records[offset].fate.commit > past->serial)
                partition->records[offset].fate = (struct fate){ 0 };
    }
    db_forget_refusals(db);
    sim_cover(db->sim, COVER_RESTORED);
    sim_tell(db->sim, "the backup is restored");
}
