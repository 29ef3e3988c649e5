/* Processes: started, stepped, killed at any of their port calls; and the group they form. */
#include "tests/sim/sim_memory.h"
#include "tests/sim/sim_run.h"

#include <string.h>

#define HURRIES_MAX 5000 /* steps in a row that ask for another one at once */

static void on_call(void *self)
{
    struct sim_worker *worker = self;
    if (worker->calls_until_crash > 0 && --worker->calls_until_crash == 0) {
        worker->crashed = true;
        sim_cover(&worker->run->sim, COVER_CRASH);
        sim_tell(&worker->run->sim, "worker %d crashes", worker->incarnation);
    }
}

static int64_t sim_clock_ms(void *self)
{
    const struct sim *sim = self;
    return sim->now_ms;
}

/* The wall clock is put on and back by ten years all the time, as nothing may depend on it. */
#define TEN_YEARS_US (INT64_C(3652) * 86400 * 1000000)

static int64_t sim_clock_us(void *self)
{
    const struct sim *sim = self;
    return 1700000000000000 + sim->now_ms * 1000 + (sim->now_ms / 1009 % 3 - 1) * TEN_YEARS_US;
}

static void note(void *self, const struct note *note)
{
    static const char *const kinds[] = { "claimed", "released", "fenced",   "halted",
                                         "healed",  "flushed",  "retrying", "resolved",
                                         "breaker", "isolated", "trouble" };
    struct sim_worker *worker = self;
    if (note->kind == NOTE_HALTED && strcmp(note->word, "data_errors") == 0)
        sim_cover(&worker->run->sim, COVER_BRAKE);
    sim_tell(&worker->run->sim, "worker %d: %s %s/%d %s %s %s %lld", worker->incarnation,
             kinds[note->kind], note->has_tp ? sim_topic_name(note->tp.topic) : "",
             note->has_tp ? note->tp.partition : -1, note->word != NULL ? note->word : "",
             note->err != NULL ? note->err->code : "", note->err != NULL ? note->err->text : "",
             (long long)note->number);
}

/* Now and then one of the next few allocations fails. */
static void enter_engine(struct sim *sim, int n)
{
    if (!sim->torture && sim_strikes(sim, n))
        memory_fail_at(memory_count() + 1 + (uint64_t)sim_below(sim, 6));
    memory_enter();
}

static void leave_engine(struct sim *sim)
{
    memory_leave();
    bool failed = memory_failed();
    if (failed) {
        sim_cover(sim, COVER_NO_MEMORY);
        sim_tell(sim, "there was no memory");
    }
    if (failed || !sim->torture)
        memory_fail_at(0);
}

void worker_start(struct sim_worker *worker)
{
    struct sim_run *run = worker->run;
    struct sim *sim = &run->sim;
    worker->incarnation = ++run->incarnations;
    worker->alive = true;
    worker->crashed = worker->stopping = worker->deaf = false;
    worker->calls_until_crash = 0;
    worker->frozen_until = worker->wake_ms = 0;
    worker->fair = (struct sim_fair){ 0 };
    worker->look.taken = false;
    sim_source_init(&worker->source, sim, &run->log, &run->db);
    sim_store_init(&worker->store, &run->db, worker->backends);
    sim_publisher_init(&worker->publisher, sim, &run->oracle);
    worker->source.crashed = worker->store.crashed = worker->publisher.crashed = &worker->crashed;
    worker->source.on_call = worker->store.on_call = worker->publisher.on_call = on_call;
    worker->source.worker = worker->store.worker = worker->publisher.worker = worker;
    worker->source.owner = worker->store.owner = worker->incarnation;
    worker->source.group_assigned = &worker->group_assigned;
    worker->group_assigned = 0;

    struct engine_ports ports = {
        .source = sim_source_port(&worker->source),
        .store = sim_store_port(&worker->store),
        .publisher = sim_publisher_port(&worker->publisher),
        .journal = { .self = worker, .note = note },
        .clock = { .self = sim, .monotonic_ms = sim_clock_ms, .wall_us = sim_clock_us },
    };
    run->options.seed = rng_next(&sim->rng);
    enter_engine(sim, 30);
    worker->engine = engine_new(&run->options, &ports);
    leave_engine(sim);
    if (worker->engine == NULL) {
        worker->alive = false;
        return;
    }
    sim_tell(sim, "worker %d starts", worker->incarnation);
    run->rebalance_at = sim->now_ms + 1 + sim_below(sim, 5);
}

void worker_reap(struct sim_worker *worker)
{
    struct sim *sim = &worker->run->sim;
    worker->crashed = true;
    sim_store_crash(&worker->store);
    sim_publisher_crash(&worker->publisher);
    engine_free(worker->engine);
    worker->engine = NULL;
    worker->alive = false;
    /* The group notices at once, or when the session times out. */
    worker->run->rebalance_at = sim->now_ms + 1 + (sim_one_in(sim, 2) ? 0 : sim_below(sim, 300));
}

void worker_look(struct sim_worker *worker)
{
    struct sim *sim = &worker->run->sim;
    struct sim_look *look = &worker->look;
    if (!look->taken) {
        look->asked_ms = sim->now_ms;
        memcpy(look->progress, worker->run->db.progress, sizeof look->progress);
        look->taken = true;
        return;
    }
    look->taken = false;
    for (int tp = 0; tp < SIM_TPS; tp++)
        if (look->progress[tp].exists)
            engine_ledger_seen(worker->engine,
                               &(struct seen_ledger){ sim_tp(tp), look->progress[tp].generation,
                                                      look->progress[tp].next,
                                                      look->progress[tp].published },
                               look->asked_ms);
    engine_ledger_looked(worker->engine, look->asked_ms);
}

void worker_step(struct sim_worker *worker)
{
    struct sim *sim = &worker->run->sim;
    enter_engine(sim, 300);
    int64_t delay = engine_step(worker->engine);
    leave_engine(sim);
    worker->wake_ms = sim->now_ms + (delay < 0 ? 0 : delay);
    if (delay < 0)
        sim_violate(sim, "engine_step wants to be called %lld ms ago", (long long)-delay);
    worker->hurries = delay == 0 ? worker->hurries + 1 : 0;
    if (worker->hurries > HURRIES_MAX)
        sim_violate(sim, "liveness: engine_step wants to be called at once, for ever");
    if (worker->crashed) {
        worker_reap(worker);
    } else if (worker->stopping && engine_stopped(worker->engine)) {
        sim_cover(sim, COVER_STOPPED);
        sim_tell(sim, "worker %d stopped", worker->incarnation);
        worker_reap(worker);
    } else if (!worker->stopping) {
        struct engine_status status;
        engine_status(worker->engine, &status);
        sim_fair_look(&worker->fair, &worker->source, &status);
    }
}

bool worker_has_news(const struct sim_worker *worker)
{
    return sim_source_has_news(&worker->source) || sim_store_news(&worker->store) ||
           sim_publisher_due_ms(&worker->publisher) <= worker->run->sim.now_ms;
}

void run_rebalance(struct sim_run *run)
{
    struct sim *sim = &run->sim;
    run->rebalance_at = 0;
    struct sim_worker *members[SIM_WORKERS];
    int count = 0;
    for (int i = 0; i < run->worker_count; i++) {
        run->workers[i].group_assigned = 0;
        if (run->workers[i].alive && !run->workers[i].stopping)
            members[count++] = &run->workers[i];
    }
    for (int tp = 0; tp < SIM_TPS && count > 0; tp++)
        if (run->log.tps[tp].exists)
            members[sim_below(sim, count)]->group_assigned |= 1u << tp;
    if (count > 1)
        sim_cover(sim, COVER_REBALANCE);
    for (int i = 0; i < count; i++) {
        /* Who is told late goes on reading what is no longer his. */
        int64_t delay =
            members[i]->deaf || sim_strikes(sim, 4) ? sim_below(sim, 3000) : sim_below(sim, 5);
        members[i]->deaf = false;
        sim_source_assign_news(&members[i]->source, members[i]->group_assigned, delay);
        sim_tell(sim, "group: worker %d gets %03x in %lld ms", members[i]->incarnation,
                 members[i]->group_assigned, (long long)delay);
    }
}
