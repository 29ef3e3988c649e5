/* The writing of attempt rows, which OPEN (fast) and WRITE (careful) share. */
#include "worker/postgres/pg_store_steps.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------- starts */

static void put_start_ids(struct pg_store *store, const struct start_row *starts, size_t count)
{
    struct pg_params *params = &store->params;
    pg_array_begin(params, PG_UUID);
    for (size_t i = 0; i < count; i++)
        pg_array_uuid(params, &starts[i].attempt_id);
    pg_array_end(params);
}

static void put_exam_ids(struct pg_store *store, const struct start_row *starts, size_t count)
{
    struct pg_params *params = &store->params;
    pg_array_begin(params, PG_UUID);
    for (size_t i = 0; i < count; i++)
        if (starts[i].has_start)
            pg_array_uuid(params, &starts[i].started.exam_id);
        else
            pg_array_null(params);
    pg_array_end(params);
}

/* Five parameters: attempts, exams, students, started_at, deadline_at. */
void pg_store_put_starts(struct pg_store *store, const struct start_row *starts, size_t count)
{
    struct pg_params *params = &store->params;
    pg_params_clear(params);
    put_start_ids(store, starts, count);
    put_exam_ids(store, starts, count);
    pg_array_begin(params, PG_UUID);
    for (size_t i = 0; i < count; i++)
        if (starts[i].has_start)
            pg_array_uuid(params, &starts[i].started.student_id);
        else
            pg_array_null(params);
    pg_array_end(params);
    pg_array_begin(params, PG_TIMESTAMPTZ);
    for (size_t i = 0; i < count; i++)
        if (starts[i].has_start)
            pg_array_time(params, starts[i].started.started_at_us);
        else
            pg_array_null(params);
    pg_array_end(params);
    pg_array_begin(params, PG_TIMESTAMPTZ);
    for (size_t i = 0; i < count; i++)
        if (starts[i].has_start && starts[i].started.has_deadline)
            pg_array_time(params, starts[i].started.deadline_at_us);
        else
            pg_array_null(params);
    pg_array_end(params);
}

/*
 * The exams that were entered belong to these attempts. Those that are missing must be the ones
 * that get made, and the others may not get a start from elsewhere before LOCK.
 */
static bool on_startless(void *self, const struct pg_result *result, struct err *err)
{
    struct pg_store *store = self;
    const struct plan *plan = store->call->plan;
    for (size_t row = 0; row < pg_row_count(result); row++) {
        size_t i;
        if (!pg_store_ordinal(result, row, plan->start_count + plan->exam_count, &i, err))
            return false;
        if (i >= plan->start_count) {
            plan->exams[i - plan->start_count].startless = true;
            continue;
        }
        plan->starts[i].startless = true;
        plan->starts[i].done = pg_get_bool(result, row, 1);
        store->making_count += plan->starts[i].done;
    }
    return true;
}

void pg_store_enter_exams(struct pg_store *store, const struct plan *plan)
{
    struct pg_params *params = &store->params;
    store->making_count = 0;
    for (size_t i = 0; i < plan->start_count; i++)
        plan->starts[i].done = plan->starts[i].startless = false;
    for (size_t i = 0; i < plan->exam_count; i++)
        plan->exams[i].startless = false;
    if (plan->start_count + plan->exam_count == 0)
        return;
    pg_params_clear(params);
    pg_array_begin(params, PG_UUID);
    for (size_t i = 0; i < plan->start_count; i++)
        pg_array_uuid(params, &plan->starts[i].attempt_id);
    for (size_t i = 0; i < plan->exam_count; i++)
        pg_array_uuid(params, &plan->exams[i].attempt_id);
    pg_array_end(params);
    pg_array_begin(params, PG_UUID);
    for (size_t i = 0; i < plan->start_count; i++)
        pg_array_uuid(params, &plan->starts[i].started.exam_id);
    for (size_t i = 0; i < plan->exam_count; i++)
        pg_array_uuid(params, &plan->exams[i].exam_id);
    pg_array_end(params);
    pg_store_send(store, "store_enter_exams.sql", on_startless);
}

static int compare_start(const void *id, const void *start)
{
    return uuid_compare(id, &((const struct start_row *)start)->attempt_id);
}

static bool raced(struct err *err)
{
    return err_set(err, ERR_RETRY, "race", "another writer made or took away an attempt meanwhile");
}

static bool on_made(void *self, const struct pg_result *result, struct err *err)
{
    struct pg_store *store = self;
    size_t made = pg_row_count(result);
    if (made != store->making_count)
        return raced(err);
    for (size_t row = 0; row < made; row++) {
        struct uuid id = pg_get_uuid(result, row, 0);
        struct start_row *start =
            bsearch(&id, store->starts, store->start_count, sizeof *store->starts, compare_start);
        if (start == NULL || !start->done)
            return raced(err);
        start->revision = pg_get_int8(result, row, 1);
    }
    return true;
}

static void send_rows(struct pg_store *store, struct start_row *starts, size_t count)
{
    store->starts = starts;
    store->start_count = count;
    if (count == 0)
        return;
    pg_store_put_starts(store, starts, count);
    pg_store_send(store, "store_make_rows.sql", on_made);
}

void pg_store_send_starts(struct pg_store *store, const struct plan *plan)
{
    send_rows(store, plan->starts, plan->start_count);
}

void pg_store_send_new_rows(struct pg_store *store, const struct plan *plan)
{
    for (size_t i = 0; i < plan->new_row_count; i++)
        plan->new_rows[i].done = true;
    store->making_count = plan->new_row_count;
    send_rows(store, plan->new_rows, plan->new_row_count);
}

/*
 * An exam that somebody deletes between its entering and its use is entered again next time; so is
 * that of an attempt whose start was taken away meanwhile.
 */
bool pg_store_forgive_race(struct err *err)
{
    if (strcmp(err->code, "23503") == 0 && strstr(err->text, "attempt_rows_exam_fkey") != NULL)
        err->action = ERR_RETRY;
    return false;
}

/* -------------------------------------------------------------------------------------- folds */

static bool on_written(void *self, const struct pg_result *result, struct err *err)
{
    struct pg_store *store = self;
    store->written_count = pg_row_count(result);
    for (size_t row = 0; row < store->written_count; row++) {
        size_t i;
        if (!pg_store_ordinal(result, row, store->fold_count, &i, err))
            return false;
        struct fold *fold = store->folds[i];
        fold->written = true;
        fold->prior_version = pg_get_int8(result, row, 1);
        fold->revision = pg_get_int8(result, row, 2);
        fold->has_exam = !pg_is_null(result, row, 3);
        if (fold->has_exam)
            fold->exam_id = pg_get_uuid(result, row, 3);
        if (!fold->has_submit)
            continue;
        fold->answers = arena_copy(store->call->arena, pg_get_bytes(result, row, 4));
        if (!bytes_present(fold->answers))
            return pg_store_no_memory(err);
    }
    return true;
}

static void put_changes(struct pg_params *params, struct fold *const *folds, size_t count)
{
    pg_array_begin(params, PG_TEXT);
    for (size_t i = 0; i < count; i++)
        pg_array_members(params, folds[i]->patch);
    pg_array_end(params);
    pg_array_begin(params, PG_TEXT);
    for (size_t i = 0; i < count; i++)
        pg_array_text(params, folds[i]->auto_save_data);
    pg_array_end(params);
    pg_array_begin(params, PG_TIMESTAMPTZ);
    for (size_t i = 0; i < count; i++)
        if (folds[i]->has_submit)
            pg_array_time(params, folds[i]->submit->event.write.at_us);
        else
            pg_array_null(params);
    pg_array_end(params);
}

/* The ids of all folds in one flat array, and where those of each begin and end. */
static void put_event_ids(struct pg_params *params, struct fold *const *folds, size_t count)
{
    pg_array_begin(params, PG_UUID);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < folds[i]->event_id_count; k++)
            pg_array_uuid(params, &folds[i]->event_ids[k]);
    pg_array_end(params);
    int32_t from = 1;
    pg_array_begin(params, PG_INT4);
    for (size_t i = 0; i < count; i++) {
        pg_array_int4(params, from);
        from += (int32_t)folds[i]->event_id_count;
    }
    pg_array_end(params);
    int32_t to = 0;
    pg_array_begin(params, PG_INT4);
    for (size_t i = 0; i < count; i++) {
        to += (int32_t)folds[i]->event_id_count;
        pg_array_int4(params, to);
    }
    pg_array_end(params);
}

void pg_store_send_folds(struct pg_store *store, struct fold **folds, size_t count,
                         int64_t jump_max)
{
    struct pg_params *params = &store->params;
    store->folds = folds;
    store->fold_count = count;
    store->written_count = 0;
    if (count == 0)
        return;
    pg_params_clear(params);
    pg_array_begin(params, PG_UUID);
    for (size_t i = 0; i < count; i++) {
        folds[i]->written = false;
        pg_array_uuid(params, &folds[i]->attempt_id);
    }
    pg_array_end(params);
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < count; i++)
        pg_array_int8(params, folds[i]->expected_first);
    pg_array_end(params);
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < count; i++)
        pg_array_int8(params, folds[i]->version);
    pg_array_end(params);
    put_changes(params, folds, count);
    put_event_ids(params, folds, count);
    pg_put_int8(params, jump_max);
    pg_store_send(store, "store_write_rows.sql", on_written);
}
