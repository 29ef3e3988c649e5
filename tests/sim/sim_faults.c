/* What can go wrong from outside the worker, beside what the ports do by themselves. */
#include "tests/sim/sim_past.h"
#include "tests/sim/sim_run.h"

#include <string.h>

static struct sim_worker *any_worker(struct sim_run *run)
{
    return &run->workers[sim_below(&run->sim, run->worker_count)];
}

static void broker_lost(struct sim_run *run, struct sim_worker *worker)
{
    struct sim *sim = &run->sim;
    bool suspect = sim_one_in(sim, 2);
    worker->source.down_until = sim->now_ms + sim_below(sim, 500);
    int tp = -1;
    if (sim_one_in(sim, 2))
        tp = sim_below(sim, 2) * SIM_PARTITIONS + sim_below(sim, run->log.partitions);
    sim_cover(sim, suspect ? COVER_SUSPECT : COVER_TROUBLE);
    sim_source_add_news(&worker->source,
                        (struct sim_news){ .kind = suspect ? SOURCE_SUSPECT : SOURCE_TROUBLE,
                                           .at_ms = sim->now_ms + sim_below(sim, 50),
                                           .tp = suspect ? tp : -1 });
}

/* A group offset is only a rumour: whoever believes it skips or repeats. */
static void group_lies(struct sim_run *run)
{
    struct sim *sim = &run->sim;
    int tp = sim_below(sim, 2) * SIM_PARTITIONS + sim_below(sim, run->log.partitions);
    struct sim_partition *partition = &run->log.tps[tp];
    if (!run->db.progress[tp].exists || partition->replaced || partition->behind)
        return;
    sim_cover(sim, COVER_GROUP_LIE);
    partition->witness.present = false;
    partition->has_committed = !sim_one_in(sim, 4);
    partition->committed = sim_below(sim, (int)partition->high + 3);
}

/* Retention takes records that are committed but not yet published. */
static void expire(struct sim_run *run)
{
    struct sim *sim = &run->sim;
    for (int tp = 0; tp < 2 * SIM_PARTITIONS; tp++) {
        struct sim_partition *partition = &run->log.tps[tp];
        const struct db_progress *row = &run->db.progress[tp];
        if (!partition->exists || partition->replaced || !row->exists ||
            row->published >= row->next || partition->low > row->published)
            continue;
        partition->low = row->published + 1 + sim_below(sim, (int)(row->next - row->published));
        run->oracle.may_drop_all = true;
        sim_cover(sim, COVER_EXPIRED);
        sim_tell(sim, "tp %d: the log now begins at %lld", tp, (long long)partition->low);
        return;
    }
}

/* Somebody recreates or truncates a topic while no worker runs. */
static void replace_log(struct sim_run *run)
{
    struct sim *sim = &run->sim;
    int tp = sim_below(sim, 2) * SIM_PARTITIONS + sim_below(sim, run->log.partitions);
    struct sim_partition *partition = &run->log.tps[tp];
    const struct db_progress *row = &run->db.progress[tp];
    if (partition->replaced || partition->corrupt || partition->put_back || !row->exists ||
        run->db.progress_lock[tp] != NULL)
        return;
    const char *halt = NULL;
    int variant = sim_below(sim, 4);
    if (variant == 0 && row->next > partition->low) {
        partition->high = row->next - 1;
        halt = "log_end";
    } else if (variant == 1 && partition->high > row->next) {
        partition->low = row->next + 1;
        halt = "log_start";
        run->oracle.may_drop_all = true;
    } else if (variant == 2 && row->has_anchor && row->anchor.offset >= partition->low) {
        struct sim_record *record = sim_log_at(&run->log, sim_tp(tp), row->anchor.offset);
        if (record == NULL)
            return;
        record->wire.value = BYTES("{\"another\":\"log\"}");
        record->wire.timestamp_ms += sim_below(sim, 2);
        halt = "anchor";
    } else if (variant == 3 && partition->has_committed) {
        halt = "ledger_missing";
    }
    if (halt == NULL)
        return;
    for (int i = 0; i < run->worker_count; i++)
        if (run->workers[i].alive)
            worker_reap(&run->workers[i]);
    partition->replaced = true;
    run->halt[tp] = halt;
    if (variant == 3) {
        run->db.progress[tp].exists = false;
        sim_cover(sim, COVER_LEDGER_MISSING);
    }
    sim_cover(sim, COVER_REPLACED);
    sim_tell(sim, "tp %d: the log is another one: %s", tp, halt);
}

/* From some record on, nobody has read it yet, a log cannot be read. */
static void corrupt_log(struct sim_run *run)
{
    struct sim *sim = &run->sim;
    int tp = sim_below(sim, 2) * SIM_PARTITIONS + sim_below(sim, run->log.partitions);
    struct sim_partition *partition = &run->log.tps[tp];
    if (partition->replaced || partition->corrupt)
        return;
    partition->corrupt = true;
    partition->corrupt_at = partition->high;
    run->halt[tp] = "corrupt";
    sim_tell(sim, "tp %d: cannot be read from %lld on", tp, (long long)partition->high);
}

/* A worker that has nothing left to say, so that what it says later is of the restored state. */
static bool lives_through(const struct sim_worker *worker, struct engine_status *ret)
{
    if (!worker->alive || worker->crashed || worker->publisher.count > 0)
        return false;
    engine_status(worker->engine, ret);
    bool quiet = ret->in_flight_events == 0;
    for (size_t i = 0; i < ret->partition_count; i++) {
        const struct partition_status *partition = &ret->partitions[i];
        if (partition->tp.topic != TOPIC_REFRESH &&
            (partition->state != PARTITION_RUNNING ||
             partition->published_offset != partition->next_offset))
            quiet = false;
    }
    return quiet;
}

static void remember(struct sim_run *run, const struct sim_worker *worker,
                     const struct engine_status *status)
{
    for (size_t i = 0; i < status->partition_count; i++) {
        const struct partition_status *partition = &status->partitions[i];
        int tp = sim_tp_index(partition->tp);
        const struct db_progress *then = &run->db.past.progress[tp];
        if (partition->tp.topic != TOPIC_REFRESH &&
            (partition->generation > then->generation ||
             (partition->generation == then->generation && partition->next_offset > then->next))) {
            run->log.tps[tp].remembered_by = worker->incarnation;
            run->log.tps[tp].remembered_at = partition->next_offset;
        }
    }
}

/*
 * An older backup is put back, or a standby is promoted that lacks the last commits. Some workers
 * live through it: they lose nothing but their connection.
 */
static void restore(struct sim_run *run)
{
    struct sim *sim = &run->sim;
    if (!db_may_return(&run->db))
        return;
    bool failover = sim_one_in(sim, 2);
    for (int i = 0; i < run->worker_count; i++) {
        struct sim_worker *worker = &run->workers[i];
        struct engine_status status;
        if (failover && lives_through(worker, &status)) {
            sim_cover(sim, COVER_FAILOVER);
            remember(run, worker, &status);
            sim_store_disconnect(&worker->store);
        } else if (worker->alive) {
            worker_reap(worker);
        }
        for (int k = 0; k < STORE_BACKENDS; k++)
            db_rollback(&run->db, &worker->backends[k].tx);
    }
    db_return(&run->db);
}

/* Halted, as it must be: the operator's word that the records are to be read again. */
static void accept_gap(struct sim_run *run, int tp)
{
    struct sim_partition *partition = &run->log.tps[tp];
    struct db_progress *row = &run->db.progress[tp];
    int64_t seen = partition->witness.present ? partition->witness.generation : 0;
    *row =
        (struct db_progress){ .exists = true,
                              .generation = (row->generation > seen ? row->generation : seen) + 1,
                              .first = row->next,
                              .next = row->next,
                              .published = row->next - 1,
                              .epoch = row->epoch + 1 };
    partition->put_back = partition->behind = false;
    partition->remembered_by = 0;
    run->oracle.may_drop_all = true;
    sim_cover(&run->sim, COVER_LEDGER_BEHIND);
    sim_tell(&run->sim, "tp %d: accepted: generation %lld from %lld on", tp,
             (long long)row->generation, (long long)row->next);
}

/* Halted by the brake: the operator's word that what is refused is bad itself. */
static void accept_refusals(struct sim_run *run, int tp)
{
    struct sim *sim = &run->sim;
    run->db.progress[tp].refusals_until =
        run->db.progress[tp].next + 1 + sim_below(sim, 1 + (int)run->log.tps[tp].high);
    sim_cover(sim, COVER_REFUSALS_ACCEPTED);
    sim_tell(sim, "tp %d: refusals are accepted before %lld", tp,
             (long long)run->db.progress[tp].refusals_until);
}

void run_accept_gaps(struct sim_run *run)
{
    for (int i = 0; i < run->worker_count; i++) {
        const struct sim_worker *worker = &run->workers[i];
        if (!worker->alive || worker->crashed)
            continue;
        struct engine_status status;
        engine_status(worker->engine, &status);
        for (size_t k = 0; k < status.partition_count; k++) {
            const struct partition_status *partition = &status.partitions[k];
            int tp = sim_tp_index(partition->tp);
            if (partition->state == PARTITION_HALTED && run->log.tps[tp].put_back &&
                run->db.progress_lock[tp] == NULL && strcmp(partition->halt, "ledger_behind") == 0)
                accept_gap(run, tp);
            else if (partition->state == PARTITION_HALTED && run->db.progress[tp].exists &&
                     run->db.progress_lock[tp] == NULL && sim_strikes(&run->sim, 4) &&
                     strcmp(partition->halt, "data_errors") == 0)
                accept_refusals(run, tp);
        }
    }
}

static void worker_fault(struct sim_run *run, struct sim_worker *worker)
{
    struct sim *sim = &run->sim;
    if (!worker->alive) {
        if (sim_one_in(sim, 2))
            worker_start(worker);
        return;
    }
    switch (sim_below(sim, 5)) {
    case 0:
    case 1:
        worker->calls_until_crash = 1 + sim_below(sim, sim_one_in(sim, 2) ? 20 : 300);
        break;
    case 2:
        sim_cover(sim, COVER_FREEZE);
        worker->frozen_until = sim->now_ms + sim_below(sim, sim_one_in(sim, 2) ? 50 : 12000);
        /* Beyond the session's timeout the group goes on without it. */
        if (worker->frozen_until > sim->now_ms + 3000)
            run->rebalance_at = sim->now_ms + 1;
        break;
    case 3:
        if (sim_one_in(sim, 3) && !worker->stopping) {
            worker->stopping = true;
            engine_stop(worker->engine);
            run->rebalance_at = sim->now_ms + 200;
        }
        break;
    default:
        sim_store_disconnect(&worker->store);
    }
}

void run_fault(struct sim_run *run)
{
    struct sim *sim = &run->sim;
    struct sim_worker *worker = any_worker(run);
    switch (sim_below(sim, 22)) {
    case 21:
        if (!run->workload.over)
            workload_flood(&run->workload);
        break;
    case 0:
        run->rebalance_at = sim->now_ms;
        break;
    case 1:
        if (!sim_one_in(sim, 3))
            break;
        sim_cover(sim, COVER_DB_DOWN);
        run->db.down_until = sim->now_ms + sim_below(sim, 3000);
        for (int i = 0; i < run->worker_count; i++)
            if (run->workers[i].alive)
                sim_store_disconnect(&run->workers[i].store);
        break;
    case 2:
        if (sim_one_in(sim, 3)) {
            run->db.schema_broken = true;
            run->heal_schema_at = sim->now_ms + sim_below(sim, 2000);
        }
        break;
    case 3:
        if (worker->alive)
            broker_lost(run, worker);
        break;
    case 4:
        group_lies(run);
        break;
    case 5:
        if (sim_one_in(sim, 4))
            expire(run);
        break;
    case 6:
        if (worker->alive)
            worker->publisher.stalled_until = sim->now_ms + sim_below(sim, 2000);
        break;
    case 7:
        if (sim_one_in(sim, 6))
            replace_log(run);
        else if (sim_one_in(sim, 12))
            corrupt_log(run);
        break;
    case 8:
    case 9:
        db_foreign_write(&run->db);
        break;
    case 10:
    case 11:
    case 12:
        if (!run->db.past.taken || sim_one_in(sim, 3))
            db_remember(&run->db);
        else
            restore(run);
        break;
    default:
        worker_fault(run, worker);
    }
}

void run_heal(struct sim_run *run)
{
    struct sim *sim = &run->sim;
    sim_tell(sim, "---- peace");
    sim->calm = true;
    run->db.schema_broken = run->db.refusing = false;
    run->db.down_until = 0;
    for (int i = 0; i < run->worker_count; i++) {
        struct sim_worker *worker = &run->workers[i];
        worker->frozen_until = 0;
        worker->calls_until_crash = 0;
        worker->publisher.stalled_until = 0;
        if (worker->store.ready_ms > sim->now_ms + 100)
            worker->store.ready_ms = sim->now_ms + 100;
        if (worker->publisher.room < 2)
            worker->publisher.room = 2;
        while (!worker->alive) /* also the one allocation that fails may be here */
            worker_start(worker);
    }
    if (sim_one_in(sim, 2)) /* otherwise they have to find back by themselves */
        run->rebalance_at = sim->now_ms;
}
