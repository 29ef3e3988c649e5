/*
 * One schedule: a few workers, a random order of everything that can happen, then peace, then the
 * verdict.
 */
#ifndef TESTS_SIM_SIM_RUN_H
#define TESTS_SIM_SIM_RUN_H

#include "tests/sim/sim_fair.h"
#include "tests/sim/sim_publisher.h"
#include "tests/sim/sim_source.h"
#include "tests/sim/sim_store.h"
#include "worker/engine/engine.h"

/* What a worker's housekeeper has read of the ledger; its answer may take a while. */
struct sim_look {
    bool taken;
    int64_t asked_ms;
    struct db_progress progress[SIM_TPS];
};

struct sim_worker {
    struct sim_run *run;
    int number;
    int incarnation;
    bool alive;
    bool crashed;          /* dead to the world: every port fails until the process is reaped */
    int calls_until_crash; /* 0 for none */
    bool stopping;
    bool deaf; /* hears late of the next rebalance */
    int hurries;
    int64_t frozen_until, wake_ms;
    unsigned group_assigned;
    struct engine *engine;
    struct sim_source source;
    struct sim_store store;
    struct sim_publisher publisher;
    struct sim_fair fair;
    struct sim_look look;
    struct sim_backend backends[STORE_BACKENDS];
};

struct sim_run {
    struct sim sim;
    struct sim_log log;
    struct sim_workload workload;
    struct sim_db db;
    struct sim_oracle oracle;
    struct engine_options options;
    struct sim_worker workers[SIM_WORKERS];
    int worker_count;
    int actions;
    int incarnations;
    int64_t rebalance_at; /* 0 for none */
    int64_t look_at;      /* in peace all look at the ledger now and then; before, by chance */
    int64_t heal_schema_at;
    const char *halt[SIM_TPS]; /* of replaced logs: how it must halt */
    int rough;                 /* the smaller, the more goes wrong */
};

/* Parts of a schedule that are left out, to find the ones that matter. */
enum sim_edit {
    EDIT_ACT = 1,   /* the action */
    EDIT_FAULT = 2, /* the fault beside it */
    EDIT_LUCK = 4,  /* what goes wrong in ports and processes meanwhile */
    EDIT_FEW = 8    /* one record instead of several */
};

#define SIM_ACTIONS_MAX 650

struct sim_edits {
    uint8_t left_out[SIM_ACTIONS_MAX]; /* bits of enum sim_edit */
    uint64_t fail_at;                  /* this allocation of the engine fails; 0 for none */
};

/* The same with edits (NULL for none), of which each leaves the rest of the schedule as it is. */
bool sim_run_edited(struct sim_run *run, uint64_t seed, const struct sim_edits *edits, bool verbose,
                    uint64_t cover[COVER_COUNT]);

/* Plays the schedule of `seed`. False when a rule was broken; run->sim.rule says which. */
bool sim_run(struct sim_run *run, uint64_t seed, bool verbose, uint64_t cover[COVER_COUNT]);

/* Parts of it (sim_worker.c, sim_faults.c). */
void worker_start(struct sim_worker *worker);
void worker_step(struct sim_worker *worker);

/* Half a look of its housekeeper at the ledger: the question, or the answer. */
void worker_look(struct sim_worker *worker);
void worker_reap(struct sim_worker *worker); /* the process is gone */
bool worker_has_news(const struct sim_worker *worker);
void run_rebalance(struct sim_run *run);
void run_fault(struct sim_run *run);       /* something goes wrong */
void run_heal(struct sim_run *run);        /* everything is mended */
void run_accept_gaps(struct sim_run *run); /* also: refusals */

#endif
