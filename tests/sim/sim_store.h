/*
 * The store port of one worker: a connection that may break at any moment, in front of sim_db.
 *
 * The server carries out a call when its time has come, whether or not the worker looks; the reply
 * may be lost, before or after the effect. A connection that is lost in the middle of a
 * transaction leaves a backend behind, which holds its row locks for a while and then rolls back,
 * or, when COMMIT had been sent, may still commit.
 */
#ifndef TESTS_SIM_SIM_STORE_H
#define TESTS_SIM_SIM_STORE_H

#include "tests/sim/sim_db.h"

#define STORE_BACKENDS 4 /* left behind by one worker */

struct sim_backend {
    struct db_tx tx;
    int64_t ends_ms;
    bool commits;
};

struct sim_store {
    struct sim_db *db;
    const bool *crashed; /* of the worker: nothing reaches the server any more */
    void (*on_call)(void *worker);
    void *worker;
    int owner; /* incarnation of the worker */
    bool connected;
    bool lost_commit; /* an answer to COMMIT was lost; cleared by the schedule */
    struct db_tx *tx;
    struct sim_backend *backends; /* STORE_BACKENDS */
    struct db_tx spare;
    int64_t tx_idle_since;

    struct store_call *call;
    bool done; /* `state` and `err` wait to be polled */
    enum store_state state;
    struct err err;
    int64_t ready_ms, started_ms;
    int fault;
};

void sim_store_init(struct sim_store *store, struct sim_db *db, struct sim_backend *backends);
struct store sim_store_port(struct sim_store *store);

/* The server's side moves on: due calls are carried out, idle transactions killed. */
void sim_store_tick(struct sim_store *store);

/* The worker's process is gone: the connection breaks. */
void sim_store_crash(struct sim_store *store);

/* The network or the server broke the connection. */
void sim_store_disconnect(struct sim_store *store);

/* An answer waits to be polled. */
bool sim_store_news(const struct sim_store *store);

/* When the server's side has something to do next; INT64_MAX for never. */
int64_t sim_store_due_ms(const struct sim_store *store);

#endif
