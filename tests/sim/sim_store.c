#include "tests/sim/sim_store.h"
#include "tests/sim/sim_memory.h"

#define LOCK_TIMEOUT_MS    1500
#define IDLE_TX_TIMEOUT_MS 2000

enum fault {
    FAULT_NONE,
    FAULT_LOST_BEFORE,
    FAULT_LOST_AFTER,
    FAULT_LOST_LATER, /* CLOSE: the backend commits when the client is long gone */
    FAULT_WARNING,    /* CLOSE: committed or not, the connection lives */
    FAULT_RETRY,
    FAULT_RESOURCE,
    FAULT_BUG
};

void sim_store_init(struct sim_store *store, struct sim_db *db, struct sim_backend *backends)
{
    *store = (struct sim_store){ .db = db, .backends = backends };
    struct arena *arena = &db->sim->arena;
    for (int i = 0; i < STORE_BACKENDS; i++)
        if (backends[i].tx.rows == NULL)
            backends[i].tx.rows = arena_alloc(arena, DB_ROWS * sizeof(struct db_outcome_row));
    store->spare.rows = arena_alloc(arena, DB_ROWS * sizeof(struct db_outcome_row));
    store->tx = &store->spare;
}

/* The transaction stays on the server, alone, until its backend notices. */
static void leave_behind(struct sim_store *store, bool commits)
{
    struct sim *sim = store->db->sim;
    store->connected = false;
    if (!store->tx->open)
        return;
    for (int i = 0; i < STORE_BACKENDS && !store->tx->aborted; i++) {
        struct sim_backend *backend = &store->backends[i];
        if (backend->tx.open)
            continue;
        struct db_outcome_row *rows = backend->tx.rows;
        backend->tx = *store->tx;
        store->tx->rows = rows;
        for (int k = 0; k < SIM_ATTEMPTS; k++)
            if (store->db->attempt_lock[k] == store->tx)
                store->db->attempt_lock[k] = &backend->tx;
        for (int k = 0; k < SIM_TPS; k++)
            if (store->db->progress_lock[k] == store->tx)
                store->db->progress_lock[k] = &backend->tx;
        for (int k = 0; k < SIM_ACTIVITIES; k++)
            if (store->db->activity_lock[k] == store->tx)
                store->db->activity_lock[k] = &backend->tx;
        store->tx->open = false;
        backend->commits = commits;
        backend->ends_ms =
            sim->now_ms + (sim_one_in(sim, 2) ? sim_below(sim, 20) : sim_below(sim, 4000));
        return;
    }
    if (commits)
        db_commit(store->db, store->tx);
    else
        db_rollback(store->db, store->tx);
}

static void finish(struct sim_store *store, enum store_state state)
{
    store->done = true;
    store->state = state;
    store->tx_idle_since = store->db->sim->now_ms;
}

static void fail(struct sim_store *store, enum err_action action, const char *code)
{
    err_set(&store->err, action, code, "simulated");
    finish(store, STORE_FAILED);
}

static void fail_lost(struct sim_store *store, bool commits)
{
    store->lost_commit = store->call->step == STORE_CLOSE;
    leave_behind(store, commits);
    fail(store, ERR_LOST, "08006");
}

static void fail_in_tx(struct sim_store *store, enum err_action action, const char *code)
{
    if (store->tx->open) {
        db_rollback(store->db, store->tx);
        store->tx->open = true; /* until UNDO */
        store->tx->aborted = true;
    }
    fail(store, action, code);
}

/* ------------------------------------------------------------------------------------- faults */

static int draw_fault(struct sim *sim, enum store_step step)
{
    if (step == STORE_UNDO)
        return FAULT_NONE;
    if (step == STORE_CLOSE && sim_strikes(sim, 12)) {
        static const int faults[] = { FAULT_LOST_BEFORE, FAULT_LOST_AFTER, FAULT_LOST_LATER,
                                      FAULT_WARNING };
        return faults[sim_below(sim, 4)];
    }
    if (!sim_strikes(sim, 25))
        return FAULT_NONE;
    if (sim_one_in(sim, 10))
        return FAULT_BUG;
    static const int faults[] = { FAULT_LOST_BEFORE, FAULT_LOST_AFTER, FAULT_RETRY, FAULT_RETRY,
                                  FAULT_RESOURCE };
    int fault = faults[sim_below(sim, 5)];
    if (step == STORE_CONNECT && fault == FAULT_LOST_AFTER)
        return FAULT_LOST_BEFORE;
    return fault;
}

static int64_t draw_delay_ms(struct sim *sim)
{
    if (sim_strikes(sim, 150)) {
        sim_cover(sim, COVER_SLOW);
        return 1000 + sim_below(sim, 20000);
    }
    return sim_one_in(sim, 3) ? sim_below(sim, 8) : 0;
}

static const char *step_word(enum store_step step)
{
    static const char *const words[] = { "CONNECT", "CLAIM", "OPEN",    "LOCK",   "WRITE",
                                         "CLOSE",   "UNDO",  "RESOLVE", "RECALL", "MARK" };
    return words[step];
}

/* -------------------------------------------------------------------------------- carrying out */

/* True when the call ends here, without an effect on the server. */
static bool fails_before(struct sim_store *store)
{
    struct sim_db *db = store->db;
    struct sim *sim = db->sim;
    enum store_step step = store->call->step;
    if (step == STORE_UNDO && !store->connected) {
        finish(store, STORE_OK);
        return true;
    }
    if (step == STORE_CONNECT) {
        leave_behind(store, false);
        if (sim->now_ms < db->down_until) {
            fail(store, ERR_LOST, "57P03");
            return true;
        }
    } else if (!store->connected) {
        fail(store, ERR_LOST, "08003");
        return true;
    }
    if (db->schema_broken && step != STORE_UNDO) {
        sim_cover(sim, COVER_HALT);
        fail_in_tx(store, ERR_HALT, "42P01");
        return true;
    }
    switch (store->fault) {
    case FAULT_LOST_BEFORE:
        sim_cover(sim, step == STORE_CLOSE ? COVER_CLOSE_ROLLED_BACK : COVER_LOST_BEFORE);
        fail_lost(store, false);
        return true;
    case FAULT_RETRY:
        sim_cover(sim, COVER_RETRYABLE);
        fail_in_tx(store, ERR_RETRY,
                   sim_one_in(sim, 3)   ? "57014"
                   : sim_one_in(sim, 2) ? "40P01"
                                        : "55P03");
        return true;
    case FAULT_RESOURCE:
        sim_cover(sim, COVER_RESOURCE);
        fail_in_tx(store, ERR_RESOURCE, "53100");
        return true;
    case FAULT_BUG:
        sim_cover(sim, COVER_BUG);
        fail_in_tx(store, ERR_BUG, "42601");
        return true;
    default:
        return false;
    }
}

/* After the effect: is it the answer that gets lost? */
static void fails_after(struct sim_store *store)
{
    struct sim *sim = store->db->sim;
    enum store_step step = store->call->step;
    switch (store->fault) {
    case FAULT_LOST_AFTER:
        sim_cover(sim, step == STORE_CLOSE   ? COVER_CLOSE_COMMITTED
                       : step == STORE_CLAIM ? COVER_CLAIM_LOST
                                             : COVER_LOST_AFTER);
        fail_lost(store, false);
        break;
    case FAULT_LOST_LATER:
        sim_cover(sim, COVER_CLOSE_LATER);
        fail_lost(store, true);
        break;
    case FAULT_WARNING:
        sim_cover(sim, COVER_CLOSE_WARNING);
        fail(store, ERR_LOST, "01000");
        break;
    default:
        finish(store, STORE_OK);
    }
}

static void carry_out(struct sim_store *store)
{
    struct sim_db *db = store->db;
    struct sim *sim = db->sim;
    if (fails_before(store))
        return;
    struct store_call *call = store->call;
    if (call->step == STORE_CONNECT)
        store->connected = true;
    bool hold = store->fault == FAULT_LOST_LATER && call->step == STORE_CLOSE && !call->plan->trial;
    switch (db_step(db, store->tx, call, store->owner, hold, &store->err)) {
    case STEP_WAIT:
        if (sim->now_ms - store->ready_ms >= LOCK_TIMEOUT_MS) {
            sim_cover(sim, COVER_LOCK_TIMEOUT);
            fail_in_tx(store, ERR_RETRY, "55P03");
        }
        break;
    case STEP_REFUSED: {
        struct err err = store->err;
        fail_in_tx(store, err.action, err.code);
        store->err = err;
        break;
    }
    case STEP_DONE:
        fails_after(store);
    }
    if (store->done)
        sim_tell(sim, "worker %d: %s %s%s", store->owner, step_word(call->step),
                 store->state == STORE_OK ? "ok" : "failed ",
                 store->state == STORE_OK ? "" : store->err.code);
}

void sim_store_tick(struct sim_store *store)
{
    struct sim *sim = store->db->sim;
    for (int i = 0; i < STORE_BACKENDS; i++) {
        struct sim_backend *backend = &store->backends[i];
        if (!backend->tx.open || sim->now_ms < backend->ends_ms)
            continue;
        if (backend->commits)
            db_commit(store->db, &backend->tx);
        else
            db_rollback(store->db, &backend->tx);
    }
    if (store->call != NULL && !store->done && sim->now_ms >= store->ready_ms)
        carry_out(store);
    bool idle = store->connected && store->tx->open && (store->call == NULL || store->done);
    if (idle && sim->now_ms - store->tx_idle_since > IDLE_TX_TIMEOUT_MS) {
        sim_cover(sim, COVER_IDLE_KILLED);
        db_rollback(store->db, store->tx);
        store->connected = false;
    }
}

/* ----------------------------------------------------------------------------------- the port */

static void store_start(void *self, struct store_call *call)
{
    struct sim_store *store = self;
    struct sim *sim = store->db->sim;
    store->on_call(store->worker);
    if (*store->crashed)
        return;
    if (store->call != NULL)
        sim_violate(sim, "protocol: a second call while one is in progress");
    store->call = call;
    store->done = false;
    store->started_ms = sim->now_ms;
    store->ready_ms = sim->now_ms + draw_delay_ms(sim);
    store->fault = draw_fault(sim, call->step);
}

static enum store_state store_poll(void *self, struct err *ret_err)
{
    struct sim_store *store = self;
    store->on_call(store->worker);
    if (*store->crashed)
        return STORE_BUSY;
    if (store->call == NULL) {
        sim_violate(store->db->sim, "protocol: poll without a call");
        return STORE_BUSY;
    }
    memory_leave();
    sim_store_tick(store);
    memory_enter();
    if (!store->done)
        return STORE_BUSY;
    store->call = NULL;
    store->done = false;
    if (store->state == STORE_FAILED)
        *ret_err = store->err;
    return store->state;
}

/* What is in progress may yet happen, or not. */
static void cut(struct sim_store *store, enum cover committed)
{
    struct sim *sim = store->db->sim;
    bool closing = store->call != NULL && !store->done && store->call->step == STORE_CLOSE &&
                   store->connected && store->tx->open && !store->tx->aborted &&
                   !store->call->plan->trial;
    if (closing && !store->db->schema_broken && sim_one_in(sim, 2)) {
        struct err ignored;
        if (db_step(store->db, store->tx, store->call, store->owner, true, &ignored) == STEP_DONE) {
            sim_cover(sim, committed);
            leave_behind(store, true);
        }
    }
    leave_behind(store, false);
}

static void store_abandon(void *self)
{
    struct sim_store *store = self;
    store->on_call(store->worker);
    memory_leave();
    if (!*store->crashed)
        sim_store_disconnect(store);
    memory_enter();
}

struct store sim_store_port(struct sim_store *store)
{
    return (struct store){
        .self = store, .start = store_start, .poll = store_poll, .abandon = store_abandon
    };
}

void sim_store_disconnect(struct sim_store *store)
{
    cut(store, COVER_CLOSE_LATER);
    if (store->call != NULL && !store->done)
        fail(store, ERR_LOST, "57P01");
}

void sim_store_crash(struct sim_store *store)
{
    if (store->tx->open)
        sim_cover(store->db->sim, COVER_CRASH_IN_TX);
    cut(store, COVER_CRASH_COMMITTED);
    store->call = NULL;
    store->done = false;
}

bool sim_store_news(const struct sim_store *store)
{
    return store->call != NULL && store->done;
}

int64_t sim_store_due_ms(const struct sim_store *store)
{
    const struct sim *sim = store->db->sim;
    int64_t due = INT64_MAX;
    for (int i = 0; i < STORE_BACKENDS; i++)
        if (store->backends[i].tx.open && store->backends[i].ends_ms < due)
            due = store->backends[i].ends_ms;
    if (store->call != NULL && !store->done) {
        /* Behind a lock: look again soon. */
        int64_t at = store->ready_ms > sim->now_ms ? store->ready_ms : sim->now_ms + 5;
        due = at < due ? at : due;
    }
    return due;
}
