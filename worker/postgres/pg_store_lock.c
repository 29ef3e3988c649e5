/* LOCK: attempts under lock, as they stand; and the locking of all attempts of a plan. */
#include "worker/postgres/pg_store_steps.h"

#include <stdlib.h>

/* ------------------------------------------------------------------------------- a whole plan */

static void add_id(struct pg_store *store, const struct uuid *id)
{
    buf_put(&store->ids, (struct bytes){ (const char *)id->bytes, sizeof id->bytes });
}

/* Of ids, or of what begins with one. */
static int compare_ids(const void *a, const void *b)
{
    return uuid_compare(a, b);
}

static void collect_ids(struct pg_store *store, const struct plan *plan)
{
    buf_clear(&store->ids);
    for (size_t i = 0; i < plan->start_count; i++)
        add_id(store, &plan->starts[i].attempt_id);
    for (size_t i = 0; i < plan->fold_count; i++)
        add_id(store, &plan->folds[i]->attempt_id);
    for (size_t i = 0; i < plan->row_count; i++)
        add_id(store, &plan->rows[i].attempt_id);
}

/* Repeated ids are as good as one: the statement asks for rows whose id is any of them. */
void pg_store_send_lock_all(struct pg_store *store, const struct plan *plan)
{
    collect_ids(store, plan);
    /* With no memory for the ids the flush would only meet its deadlock again. */
    store->params.bytes.failed |= store->ids.failed;
    size_t count = store->ids.len / sizeof(struct uuid);
    struct uuid *ids = (void *)store->ids.ptr;
    if (count == 0)
        return;
    qsort(ids, count, sizeof *ids, compare_ids);
    pg_params_clear(&store->params);
    pg_array_begin(&store->params, PG_UUID);
    for (size_t i = 0; i < count; i++)
        pg_array_uuid(&store->params, &ids[i]);
    pg_array_end(&store->params);
    pg_store_send(store, "store_lock_rows.sql", NULL);
}

/* --------------------------------------------------------------------------------------- LOCK */

static void get_row(const struct pg_result *result, size_t at, struct attempt_row *row)
{
    row->found = true;
    row->submitted = pg_get_bool(result, at, 1);
    row->version = pg_get_int8(result, at, 2);
    row->revision = pg_get_int8(result, at, 3);
    row->has_start = !pg_is_null(result, at, 4);
    row->exam_id = pg_get_uuid(result, at, 4);
    row->student_id = pg_get_uuid(result, at, 5);
    row->recent_count = pg_get_uuids(result, at, 6, row->recent, RECENT_EVENTS_MAX);
    row->submit_version = pg_get_int8(result, at, 7);
    row->submit_missing = pg_get_int8(result, at, 8);
}

static bool on_rows(void *self, const struct pg_result *result, struct err *err)
{
    struct pg_store *store = self;
    struct plan *plan = store->call->plan;
    for (size_t at = 0; at < pg_row_count(result); at++) {
        size_t i;
        if (!pg_store_ordinal(result, at, plan->row_count, &i, err))
            return false;
        get_row(result, at, &plan->rows[i]);
    }
    return true;
}

static void begin_lock(struct pg_store *store)
{
    struct plan *plan = store->call->plan;
    pg_params_clear(&store->params);
    pg_array_begin(&store->params, PG_UUID);
    for (size_t i = 0; i < plan->row_count; i++) {
        plan->rows[i].found = false;
        pg_array_uuid(&store->params, &plan->rows[i].attempt_id);
    }
    pg_array_end(&store->params);
    pg_store_send(store, plan->lock_first ? "store_lock_rows.sql" : "store_lock_rows_nowait.sql",
                  NULL);
    pg_store_send(store, "store_read_rows.sql", on_rows);
    pg_session_sync(store->session);
}

/* Whether OPEN entered an exam for this attempt, which has been started in another one since. */
static bool started_elsewhere(const struct plan *plan, const struct attempt_row *row)
{
    if (!row->found || !row->has_start)
        return false;
    const struct start_row *start = bsearch(&row->attempt_id, plan->starts, plan->start_count,
                                            sizeof *plan->starts, compare_ids);
    if (start != NULL)
        return start->startless && !uuid_equal(&start->started.exam_id, &row->exam_id);
    const struct exam_entry *entry =
        bsearch(&row->attempt_id, plan->exams, plan->exam_count, sizeof *plan->exams, compare_ids);
    return entry != NULL && entry->startless && !uuid_equal(&entry->exam_id, &row->exam_id);
}

static bool lock_done(struct pg_store *store, bool *ret_more, struct err *err)
{
    (void)ret_more;
    const struct plan *plan = store->call->plan;
    for (size_t i = 0; i < plan->row_count; i++)
        if (started_elsewhere(plan, &plan->rows[i]))
            return err_set(err, ERR_RETRY, "race", "another writer started an attempt meanwhile");
    return true;
}

const struct pg_store_step pg_store_lock_step = { begin_lock, lock_done, NULL };
