/*
 * OPEN: the whole of an ordinary flush but its end, in one round trip: BEGIN, the compare-and-set
 * of the ledger, starts, folds, activity, view requests.
 */
#include "worker/postgres/pg_store_steps.h"

#include "worker/failpoints/failpoints.h"

#include <stddef.h>

/* -------------------------------------------------------------------------------------- moves */

static bool on_now(void *self, const struct pg_result *result, struct err *err)
{
    (void)err;
    struct pg_store *store = self;
    store->call->plan->committed_at_us = pg_get_time_us(result, 0, 0);
    return true;
}

static bool on_moved(void *self, const struct pg_result *result, struct err *err)
{
    struct pg_store *store = self;
    struct plan *plan = store->call->plan;
    for (size_t row = 0; row < pg_row_count(result); row++) {
        size_t i;
        if (!pg_store_ordinal(result, row, plan->move_count, &i, err))
            return false;
        plan->moves[i].hit = true;
    }
    store->moves_known = true;
    (void)failpoint("after_cas");
    return true;
}

static void put_move_column(struct pg_params *params, const struct plan *plan, size_t offset)
{
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < plan->move_count; i++) {
        int64_t value;
        memcpy(&value, (const char *)&plan->moves[i] + offset, sizeof value);
        pg_array_int8(params, value);
    }
    pg_array_end(params);
}

static void put_anchors(struct pg_params *params, const struct plan *plan)
{
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < plan->move_count; i++)
        if (plan->moves[i].has_anchor)
            pg_array_int8(params, plan->moves[i].anchor.offset);
        else
            pg_array_null(params);
    pg_array_end(params);
    put_move_column(params, plan, offsetof(struct ledger_move, anchor.timestamp_ms));
    pg_array_begin(params, PG_BYTEA);
    for (size_t i = 0; i < plan->move_count; i++) {
        const struct anchor *anchor = &plan->moves[i].anchor;
        pg_array_bytea(params, (struct bytes){ (const char *)anchor->hash, sizeof anchor->hash });
    }
    pg_array_end(params);
}

static void send_moves(struct pg_store *store, const struct plan *plan)
{
    struct pg_params *params = &store->params;
    if (plan->move_count == 0)
        return;
    for (size_t i = 0; i < plan->move_count; i++)
        plan->moves[i].hit = false;
    pg_params_clear(params);
    PUT_TPS(store, plan->moves, plan->move_count, struct ledger_move);
    pg_store_send(store, "store_lock_progress.sql", NULL);
    put_move_column(params, plan, offsetof(struct ledger_move, generation));
    put_move_column(params, plan, offsetof(struct ledger_move, epoch));
    put_move_column(params, plan, offsetof(struct ledger_move, expected_next));
    put_move_column(params, plan, offsetof(struct ledger_move, new_next));
    put_move_column(params, plan, offsetof(struct ledger_move, published));
    put_anchors(params, plan);
    pg_put_text(params, bytes_of(store->options.owner));
    pg_store_send(store, "store_move.sql", on_moved);
}

/* ------------------------------------------------------------------------------------- views */

static void send_views(struct pg_store *store, const struct plan *plan)
{
    struct pg_params *params = &store->params;
    if (plan->view_count == 0)
        return;
    pg_params_clear(params);
    pg_array_begin(params, PG_TEXT);
    for (size_t i = 0; i < plan->view_count; i++)
        pg_array_text(params, plan->views[i]);
    pg_array_end(params);
    pg_store_send(store, "store_request_views.sql", NULL);
}

/* --------------------------------------------------------------------------------------- OPEN */

static void begin_open(struct pg_store *store)
{
    struct plan *plan = store->call->plan;
    store->moves_known = false;
    pg_store_send_plain(store, "store_begin.sql", NULL);
    pg_store_send_plain(store, "store_now.sql", on_now);
    send_moves(store, plan);
    pg_store_enter_exams(store, plan);
    if (plan->lock_first)
        pg_store_send_lock_all(store, plan);
    pg_store_send_starts(store, plan);
    pg_store_send_folds(store, plan->folds, plan->fold_count, plan->jump_max);
    pg_store_send_activity(store, plan);
    send_views(store, plan);
    pg_session_sync(store->session);
}

static bool missed(const struct plan *plan)
{
    for (size_t i = 0; i < plan->move_count; i++)
        if (!plan->moves[i].hit)
            return true;
    return false;
}

/*
 * A transaction whose ledger missed will be undone whatever else it met, and what it met may be
 * the work of the one who has the partition now. The miss is the news, if it is known.
 */
static bool open_failed(struct pg_store *store, bool *ret_more, struct err *err)
{
    const struct plan *plan = store->call->plan;
    if (store->moves_known && missed(plan) && pg_session_connected(store->session))
        return true;
    if (pg_store_activity_again(store, err)) {
        send_views(store, plan);
        pg_session_sync(store->session);
        *ret_more = true;
        return true;
    }
    return pg_store_forgive_race(err);
}

const struct pg_store_step pg_store_open_step = { begin_open, NULL, open_failed };
