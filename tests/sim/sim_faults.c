/* What can go wrong from outside the worker, beside what the ports do by themselves. */
#include "tests/sim/sim_past.h"
#include "tests/sim/sim_run.h"

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
    if (!run->db.progress[tp].exists || partition->replaced)
        return;
    sim_cover(sim, COVER_GROUP_LIE);
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
    if (partition->replaced || partition->corrupt || !row->exists ||
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

/* All stop, an older backup is put back, and they begin again from there. */
static void restore(struct sim_run *run)
{
    if (!db_may_return(&run->db))
        return;
    for (int i = 0; i < run->worker_count; i++) {
        if (run->workers[i].alive)
            worker_reap(&run->workers[i]);
        for (int k = 0; k < STORE_BACKENDS; k++)
            db_rollback(&run->db, &run->workers[i].backends[k].tx);
    }
    db_return(&run->db);
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
    switch (sim_below(sim, 19)) {
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
        if (sim_one_in(sim, 2))
            db_remember(&run->db);
        else if (sim_one_in(sim, 2))
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
    run->rebalance_at = sim->now_ms;
}
