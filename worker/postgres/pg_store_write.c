/* WRITE: the careful writes, of rows that are locked and judged; each of them must succeed. */
#include "worker/postgres/pg_store_steps.h"

static bool on_filled(void *self, const struct pg_result *result, struct err *err)
{
    struct pg_store *store = self;
    struct plan *plan = store->call->plan;
    for (size_t row = 0; row < pg_row_count(result); row++) {
        size_t i;
        if (!pg_store_ordinal(result, row, plan->fill_count, &i, err))
            return false;
        plan->fills[i].done = true;
        plan->fills[i].revision = pg_get_int8(result, row, 1);
    }
    return true;
}

static void send_fills(struct pg_store *store, const struct plan *plan)
{
    if (plan->fill_count == 0)
        return;
    for (size_t i = 0; i < plan->fill_count; i++)
        plan->fills[i].done = false;
    pg_store_put_starts(store, plan->fills, plan->fill_count);
    pg_store_send(store, "store_fill_starts.sql", on_filled);
}

static void begin_write(struct pg_store *store)
{
    struct plan *plan = store->call->plan;
    pg_store_send_new_rows(store, plan);
    send_fills(store, plan);
    /* A jump of 0: the version must be the expected one. */
    pg_store_send_folds(store, plan->exact_folds, plan->exact_fold_count, 0);
    pg_session_sync(store->session);
}

static bool write_done(struct pg_store *store, bool *ret_more, struct err *err)
{
    (void)ret_more;
    const struct plan *plan = store->call->plan;
    size_t filled = 0;
    for (size_t i = 0; i < plan->fill_count; i++)
        filled += plan->fills[i].done;
    if (filled != plan->fill_count || store->written_count != plan->exact_fold_count)
        return err_set(err, ERR_RETRY, "race", "an attempt changed under the worker's lock");
    return true;
}

static bool write_failed(struct pg_store *store, bool *ret_more, struct err *err)
{
    (void)ret_more;
    (void)store;
    return pg_store_forgive_race(err);
}

const struct pg_store_step pg_store_write_step = { begin_write, write_done, write_failed };
