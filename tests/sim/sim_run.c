#include "tests/sim/sim_run.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_memory.h"

#include <stdio.h>
#include <string.h>

#define PEACE_STEPS_MAX 200000
#define LOOK_AGAIN_MS   65000 /* the engine looks again at a halted partition within this time */
#define LOOK_MS         5000  /* of a housekeeper */
#define PEACE_MS_MAX    (15 * 60 * 1000)

static void draw_options(struct sim_run *run)
{
    struct sim *sim = &run->sim;
    struct engine_options *options = &run->options;
    *options = engine_options_default();
    options->version_jump_max = SIM_VERSION_JUMP;
    options->linger_ms = sim_below(sim, 60);
    options->batch_events_max = 3 + (size_t)sim_below(sim, sim_one_in(sim, 2) ? 12 : 100);
    options->batch_bytes_max = 1u << 20;
    options->retry_base_ms = 2;
    options->retry_cap_ms = 200;
    options->breaker_open_ms = 3000;
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        options->topics[topic] = sim_topic_name((enum topic)topic);
}

static void begin(struct sim_run *run, uint64_t seed, bool torture, bool verbose, uint64_t *cover)
{
    struct arena arena = run->sim.arena;
    struct buf text = run->sim.text;
    memset(run, 0, sizeof *run);
    run->sim = (struct sim){ .seed = seed,
                             .rng = { seed * 0x9e3779b97f4a7c15u + 1 },
                             .now_ms = 1,
                             .torture = torture,
                             .verbose = verbose,
                             .arena = arena,
                             .text = text,
                             .cover = cover };
    struct sim *sim = &run->sim;
    arena_reset(&sim->arena);
    sim_log_init(&run->log, sim, 1 + sim_below(sim, SIM_PARTITIONS));
    workload_init(&run->workload, sim, &run->log);
    db_init(&run->db, sim, &run->log, &run->workload);
    run->oracle = (struct sim_oracle){ .sim = sim, .log = &run->log, .db = &run->db };
    run->db.oracle = &run->oracle;
    draw_options(run);
    run->rough = 15 + sim_below(sim, 120);
    run->worker_count = 1 + sim_below(sim, SIM_WORKERS);
    for (int i = 0; i < run->worker_count; i++) {
        run->workers[i].run = run;
        run->workers[i].number = i;
        worker_start(&run->workers[i]);
    }
}

/* Each look takes two: one to ask, one to hear. */
static void look_in_peace(struct sim_run *run)
{
    if (!run->sim.calm || run->sim.now_ms < run->look_at)
        return;
    run->look_at = run->sim.now_ms + LOOK_MS / 2;
    for (int i = 0; i < run->worker_count; i++)
        if (run->workers[i].alive)
            worker_look(&run->workers[i]);
}

/* What happens by itself when its time has come. */
static void tick(struct sim_run *run)
{
    struct sim *sim = &run->sim;
    for (int i = 0; i < run->worker_count; i++) {
        /* The worst moment to lose a partition: nobody knows yet whether it was committed. */
        bool worst = run->workers[i].store.lost_commit && sim_strikes(sim, 4);
        run->workers[i].store.lost_commit = false;
        if (worst) {
            run->workers[i].deaf = true;
            run->rebalance_at = sim->now_ms;
        }
    }
    if (run->rebalance_at != 0 && sim->now_ms >= run->rebalance_at)
        run_rebalance(run);
    if (run->db.schema_broken && sim->now_ms >= run->heal_schema_at)
        run->db.schema_broken = false;
    for (int i = 0; i < run->worker_count; i++)
        sim_store_tick(&run->workers[i].store);
    if (sim->calm || sim_one_in(sim, 50))
        run_accept_gaps(run);
    look_in_peace(run);
}

/* Every action has a random source of its own: leaving one out does not change the dice of others.
 */
static void reseed(struct sim *sim, int action, int part)
{
    sim->rng.state = sim->seed * 0x9e3779b97f4a7c15u + (uint64_t)action * 0xd1342543de82ef95u +
                     (uint64_t)part * 0xaf251af3b0f025b5u;
    sim->rng.state = rng_next(&sim->rng);
}

static void act(struct sim_run *run, int action, unsigned left_out)
{
    struct sim *sim = &run->sim;
    reseed(sim, action, 1);
    sim->lucky = left_out & EDIT_LUCK;
    int dice = sim_below(sim, 100);
    if (left_out & EDIT_ACT) {
        ;
    } else if (dice < 60) {
        struct sim_worker *worker = &run->workers[sim_below(sim, run->worker_count)];
        if (worker->alive && sim->now_ms >= worker->frozen_until)
            worker_step(worker);
    } else if (dice < 75) {
        for (int i = left_out & EDIT_FEW ? 1 : 1 + sim_below(sim, 8); i > 0; i--)
            workload_produce(&run->workload);
    } else {
        sim->now_ms += sim_one_in(sim, 20) ? sim_below(sim, 1500) : 1 + sim_below(sim, 15);
    }
    reseed(sim, action, 3);
    struct sim_worker *looks = &run->workers[sim_below(sim, run->worker_count)];
    if (sim_one_in(sim, 8) && looks->alive && sim->now_ms >= looks->frozen_until)
        worker_look(looks);
    reseed(sim, action, 2);
    if (sim_one_in(sim, run->rough) && !(left_out & EDIT_FAULT))
        run_fault(run);
    tick(run);
}

/* ------------------------------------------------------------------------------------- peace */

static bool settled(struct sim_run *run)
{
    for (int tp = 0; tp < SIM_TPS; tp++) {
        const struct sim_partition *partition = &run->log.tps[tp];
        const struct db_progress *row = &run->db.progress[tp];
        if (!partition->exists || partition->replaced)
            continue;
        if (sim_tp(tp).topic != TOPIC_REFRESH) {
            bool corrupt = partition->corrupt && partition->corrupt_at < partition->high;
            if (!row->exists)
                return false;
            /* What a halted partition has not yet noted as published is published again. */
            if (corrupt ? sim_log_count(&run->log, sim_tp(tp), row->next, partition->corrupt_at) > 0
                        : row->next != partition->high || row->published != row->next)
                return false;
            continue;
        }
        for (int64_t offset = partition->low; offset < partition->high; offset++) {
            const struct sim_record *record = sim_log_at(&run->log, sim_tp(tp), offset);
            if (record != NULL &&
                run->db.view_requested[record->meaning.view] <= record->appended_after)
                return false;
        }
    }
    return true;
}

/* The next moment at which anything can happen. */
static int64_t next_moment(const struct sim_run *run)
{
    int64_t at = run->rebalance_at != 0 ? run->rebalance_at : INT64_MAX;
    if (run->sim.calm && run->look_at < at)
        at = run->look_at;
    for (int i = 0; i < run->worker_count; i++) {
        const struct sim_worker *worker = &run->workers[i];
        int64_t due = sim_store_due_ms(&worker->store);
        if (worker->alive) {
            int64_t source = sim_source_due_ms(&worker->source);
            int64_t publisher = sim_publisher_due_ms(&worker->publisher);
            due = worker->wake_ms < due ? worker->wake_ms : due;
            due = source < due ? source : due;
            due = publisher < due ? publisher : due;
        }
        at = due < at ? due : at;
    }
    return at > run->sim.now_ms ? at : run->sim.now_ms + 1;
}

/* Steps only whom something wakes: an engine that forgets to ask for time does not get any. */
static int step_the_woken(struct sim_run *run)
{
    int stepped = 0;
    for (int i = 0; i < run->worker_count; i++) {
        struct sim_worker *worker = &run->workers[i];
        if (!worker->alive || sim_broken(&run->sim))
            continue;
        if (worker->wake_ms > run->sim.now_ms && !worker_has_news(worker))
            continue;
        worker_step(worker);
        stepped++;
    }
    return stepped;
}

static void stuck(struct sim_run *run)
{
    char where[256] = "";
    size_t len = 0;
    for (int tp = 0; tp < 2 * SIM_PARTITIONS; tp++) {
        const struct sim_partition *partition = &run->log.tps[tp];
        const struct db_progress *row = &run->db.progress[tp];
        if (partition->exists && (row->next != partition->high || row->published != row->next))
            len += (size_t)snprintf(
                where + len, sizeof where - len, " tp %d published %lld next %lld end %lld", tp,
                (long long)row->published, (long long)row->next, (long long)partition->high);
    }
    sim_violate(&run->sim, "liveness: not settled long after peace:%s", where);
}

static void until_settled(struct sim_run *run)
{
    struct sim *sim = &run->sim;
    int64_t begun = sim->now_ms, at = sim->now_ms;
    int here = 0;
    for (int steps = 0; !settled(run) && !sim_broken(sim);) {
        tick(run);
        int stepped = step_the_woken(run);
        steps += stepped;
        here = sim->now_ms == at ? here + 1 : 0;
        at = sim->now_ms;
        if (stepped == 0 || here > 8)
            sim->now_ms = next_moment(run);
        if (steps > PEACE_STEPS_MAX || sim->now_ms - begun > PEACE_MS_MAX) {
            stuck(run);
            return;
        }
    }
}

/* A log that is not the ledger's halts its partition, for the right reason, wherever it is. */
static void check_halts(struct sim_run *run)
{
    for (int tp = 0; tp < SIM_TPS; tp++) {
        const struct sim_partition *log = &run->log.tps[tp];
        if (run->halt[tp] == NULL || (log->corrupt && log->corrupt_at >= log->high))
            continue;
        for (int i = 0; i < run->worker_count; i++) {
            struct engine_status status;
            engine_status(run->workers[i].engine, &status);
            for (size_t k = 0; k < status.partition_count; k++) {
                const struct partition_status *partition = &status.partitions[k];
                if (sim_tp_index(partition->tp) != tp)
                    continue;
                /* It may just be looking again. */
                if (partition->halt == NULL ||
                    (partition->state == PARTITION_RUNNING && !log->corrupt) ||
                    strcmp(partition->halt, run->halt[tp]) != 0)
                    sim_violate(&run->sim, "tp %d: should be halted by %s, is %s", tp,
                                run->halt[tp], partition_state_name(partition->state));
            }
        }
    }
}

static void until_stopped(struct sim_run *run)
{
    struct sim *sim = &run->sim;
    int64_t begun = sim->now_ms;
    for (int i = 0; i < run->worker_count; i++) {
        if (!run->workers[i].stopping)
            engine_stop(run->workers[i].engine);
        run->workers[i].stopping = true;
        run->workers[i].wake_ms = 0;
    }
    int alive = run->worker_count;
    for (int round = 0; alive > 0 && !sim_broken(sim); round++) {
        tick(run);
        alive = 0;
        int stepped = step_the_woken(run);
        for (int i = 0; i < run->worker_count; i++)
            alive += run->workers[i].alive;
        if (stepped == 0 || round % 8 == 7)
            sim->now_ms = next_moment(run);
        if (sim->now_ms - begun > 10000)
            sim_violate(sim, "liveness: not stopped 10 s after engine_stop()");
    }
}

bool sim_run(struct sim_run *run, uint64_t seed, bool verbose, uint64_t cover[COVER_COUNT])
{
    return sim_run_edited(run, seed, NULL, verbose, cover);
}

bool sim_run_edited(struct sim_run *run, uint64_t seed, const struct sim_edits *edits, bool verbose,
                    uint64_t cover[COVER_COUNT])
{
    memory_reset();
    memory_fail_at(edits != NULL ? edits->fail_at : 0);
    begin(run, seed, edits != NULL && edits->fail_at != 0, verbose, cover);
    struct sim *sim = &run->sim;
    run->actions = 150 + sim_below(sim, SIM_ACTIONS_MAX - 150);
    for (int i = 0; i < run->actions && !sim_broken(sim); i++)
        act(run, i, edits != NULL ? edits->left_out[i] : 0);
    reseed(sim, run->actions, 0);
    sim->lucky = false;
    /* A worker that was told to stop may finish that first; the others live on. */
    for (int i = 0; i < run->worker_count; i++)
        if (run->workers[i].alive && run->workers[i].stopping)
            worker_reap(&run->workers[i]);
    if (!sim_broken(sim))
        run_heal(run);
    until_settled(run);
    /*
     * A little longer: halts are found, nothing else happens. A worker that halts a partition for
     * what has been mended since looks again only after a while, and finds the other reason then.
     */
    int64_t end = sim->now_ms + 2000;
    for (int tp = 0; tp < SIM_TPS; tp++)
        if (run->halt[tp] != NULL)
            end = sim->now_ms + LOOK_AGAIN_MS + 2000;
    while (sim->now_ms < end && !sim_broken(sim)) {
        tick(run);
        if (step_the_woken(run) == 0 || sim_one_in(sim, 20))
            sim->now_ms = next_moment(run);
    }
    if (!sim_broken(sim) && !settled(run))
        sim_violate(sim, "was settled, and is no more");
    if (!sim_broken(sim))
        check_halts(run);
    if (!sim_broken(sim))
        until_stopped(run);
    if (!sim_broken(sim))
        check_end(&run->db);
    for (int i = 0; i < run->worker_count; i++)
        if (run->workers[i].alive)
            engine_free(run->workers[i].engine);
    return !sim_broken(sim);
}
