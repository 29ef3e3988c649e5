#include "worker/postgres/pg_store_steps.h"

#include <assert.h>
#include <stdlib.h>

/*
 * Every statement of the store finds its rows by key. The planner, which knows neither how long an
 * array is nor how big a new table will be, must not think otherwise; and a nested loop over the
 * sorted array is what keeps the order of locks.
 */
static const struct pg_setting session_settings[] = {
    { "default_transaction_isolation", "read committed" },
    { "default_transaction_read_only", "off" },
    { "enable_seqscan", "off" },
    { "enable_hashjoin", "off" },
    { "enable_mergejoin", "off" },
};

#define TEXT_BYTES_MAX ((size_t)1 << 26)
#define IDS_BYTES_MAX  ((size_t)1 << 28)

static const struct pg_store_step *step_of(enum store_step step)
{
    switch (step) {
    case STORE_CONNECT:
        return &pg_store_connect_step;
    case STORE_CLAIM:
        return &pg_store_claim_step;
    case STORE_OPEN:
        return &pg_store_open_step;
    case STORE_LOCK:
        return &pg_store_lock_step;
    case STORE_WRITE:
        return &pg_store_write_step;
    case STORE_CLOSE:
        return &pg_store_close_step;
    case STORE_UNDO:
        return &pg_store_undo_step;
    case STORE_RESOLVE:
        return &pg_store_resolve_step;
    case STORE_RECALL:
        return &pg_store_recall_step;
    case STORE_MARK:
        return &pg_store_mark_step;
    }
    return NULL;
}

struct pg_store *pg_store_new(const struct pg_store_options *options)
{
    struct pg_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return NULL;
    store->options = *options;
    store->options.session.settings = session_settings;
    store->options.session.setting_count = sizeof session_settings / sizeof session_settings[0];
    store->session = pg_session_new(&store->options.session);
    pg_params_init(&store->params);
    buf_init(&store->text, TEXT_BYTES_MAX);
    buf_init(&store->ids, IDS_BYTES_MAX);
    buf_init(&store->differing, 1024);
    if (store->session == NULL) {
        pg_store_free(store);
        return NULL;
    }
    return store;
}

void pg_store_free(struct pg_store *store)
{
    if (store == NULL)
        return;
    pg_session_free(store->session);
    pg_params_release(&store->params);
    buf_release(&store->text);
    buf_release(&store->ids);
    buf_release(&store->differing);
    free(store);
}

const struct pg_session *pg_store_session(const struct pg_store *store)
{
    return store->session;
}

/* ---------------------------------------------------------------------------------- the port */

static void start(void *self, struct store_call *call)
{
    struct pg_store *store = self;
    assert(store->call == NULL);
    store->call = call;
    store->round = 0;
    step_of(call->step)->begin(store);
}

/* Sets *ret_more when the call goes on with another round. */
static bool judge(struct pg_store *store, enum pg_state state, bool *ret_more, struct err *err)
{
    const struct pg_store_step *step = step_of(store->call->step);
    if (state == PG_DONE && (step->done == NULL || step->done(store, ret_more, err)))
        return true;
    return step->failed != NULL && step->failed(store, ret_more, err);
}

static enum store_state poll_store(void *self, struct err *ret_err)
{
    struct pg_store *store = self;
    if (store->call == NULL)
        return STORE_OK;
    for (;; store->round++) {
        struct err err = { 0 };
        bool more = false;
        enum pg_state state = pg_session_step(store->session, &err);
        if (state == PG_BUSY)
            return STORE_BUSY;
        bool ok = judge(store, state, &more, &err);
        if (ok && more)
            continue;
        store->call = NULL;
        if (ok)
            return STORE_OK;
        /* What people have to mend is looked at again by CONNECT, and only by it. */
        if (err.action == ERR_HALT)
            pg_session_abandon(store->session);
        *ret_err = err;
        return STORE_FAILED;
    }
}

static void abandon(void *self)
{
    struct pg_store *store = self;
    pg_session_abandon(store->session);
}

struct store pg_store_port(struct pg_store *store)
{
    return (struct store){ store, start, poll_store, abandon };
}

/* ------------------------------------------------------------------------------------ helpers */

void pg_store_send(struct pg_store *store, const char *file, pg_on_result *on_result)
{
    pg_session_send(store->session, file, &store->params, on_result, store);
}

void pg_store_send_plain(struct pg_store *store, const char *file, pg_on_result *on_result)
{
    pg_session_send(store->session, file, NULL, on_result, store);
}

void pg_store_put_tps(struct pg_store *store, const void *items, size_t count, size_t stride,
                      size_t tp_offset)
{
    const char *first = (const char *)items + (count == 0 ? 0 : tp_offset);
    pg_array_begin(&store->params, PG_TEXT);
    for (size_t i = 0; i < count; i++) {
        const struct tp *tp = (const void *)(first + i * stride);
        pg_array_text(&store->params, bytes_of(store->options.topics[tp->topic]));
    }
    pg_array_end(&store->params);
    pg_array_begin(&store->params, PG_INT4);
    for (size_t i = 0; i < count; i++) {
        const struct tp *tp = (const void *)(first + i * stride);
        pg_array_int4(&store->params, tp->partition);
    }
    pg_array_end(&store->params);
}

bool pg_store_ordinal(const struct pg_result *result, size_t row, size_t count, size_t *ret_index,
                      struct err *err)
{
    int64_t ordinal = pg_get_int8(result, row, 0);
    if (ordinal < 1 || (uint64_t)ordinal > count)
        return err_set(err, ERR_BUG, "ordinal", "PostgreSQL answered for a row that nobody sent");
    *ret_index = (size_t)ordinal - 1;
    return true;
}

bool pg_store_on_commit(void *self, const struct pg_result *result, struct err *err)
{
    struct pg_store *store = self;
    if (!pg_command_is(result, "COMMIT"))
        return err_set(err, ERR_BUG, "rollback", "PostgreSQL answered COMMIT with a rollback");
    const char *warning = pg_session_warning(store->session);
    if (warning != NULL)
        return err_set(err, ERR_LOST, "01000", "the commit may not be durable: %s", warning);
    return true;
}

bool pg_store_no_memory(struct err *err)
{
    return err_set(err, ERR_RESOURCE, "memory", "no memory for the results of PostgreSQL");
}
