/* RECALL: what the database remembers of records that were committed but perhaps not published. */
#include "worker/postgres/pg_store_steps.h"

#include <stddef.h>

static bool on_attempts(void *self, const struct pg_result *result, struct err *err)
{
    struct pg_store *store = self;
    struct recall *recall = store->call->recall;
    for (size_t row = 0; row < pg_row_count(result); row++) {
        size_t i;
        if (!pg_store_ordinal(result, row, recall->attempt_count, &i, err))
            return false;
        struct recalled_attempt *attempt = &recall->attempts[i];
        attempt->found = true;
        attempt->version = pg_get_int8(result, row, 1);
        attempt->revision = pg_get_int8(result, row, 2);
        attempt->has_exam = !pg_is_null(result, row, 3);
        attempt->exam_id = pg_get_uuid(result, row, 3);
        attempt->committed_at_us = pg_get_time_us(result, row, 4);
    }
    return true;
}

static bool outcome_of(struct bytes name, enum outcome *ret)
{
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        if (!bytes_equal(name, bytes_of(outcome_name((enum outcome)i))))
            continue;
        *ret = (enum outcome)i;
        return true;
    }
    return false;
}

/* A copy that stays absent when there is nothing to copy. */
static bool keep(struct arena *arena, struct bytes from, struct bytes *ret)
{
    *ret = bytes_present(from) ? arena_copy(arena, from) : BYTES_NONE;
    return bytes_present(*ret) == bytes_present(from);
}

static bool on_outcomes(void *self, const struct pg_result *result, struct err *err)
{
    struct pg_store *store = self;
    struct recall *recall = store->call->recall;
    struct arena *arena = store->call->arena;
    size_t count = pg_row_count(result);
    struct recalled_outcome *outcomes = arena_calloc(arena, count, sizeof *outcomes);
    if (outcomes == NULL)
        return pg_store_no_memory(err);
    for (size_t row = 0; row < count; row++) {
        struct recalled_outcome *outcome = &outcomes[row];
        size_t i;
        if (!pg_store_ordinal(result, row, recall->range_count, &i, err))
            return false;
        outcome->tp = recall->ranges[i].tp;
        outcome->offset = pg_get_int8(result, row, 1);
        if (!outcome_of(pg_get_bytes(result, row, 2), &outcome->outcome))
            return err_set(err, ERR_BUG, "outcome", "an outcome in the database is none of ours");
        outcome->has_version = !pg_is_null(result, row, 4);
        outcome->version = pg_get_int8(result, row, 4);
        outcome->missing = pg_get_int8(result, row, 5);
        outcome->committed_at_us = pg_get_time_us(result, row, 7);
        if (!keep(arena, pg_get_bytes(result, row, 3), &outcome->reason) ||
            !keep(arena, pg_get_bytes(result, row, 6), &outcome->receipt))
            return pg_store_no_memory(err);
    }
    recall->outcomes = outcomes;
    recall->outcome_count = count;
    return true;
}

static void put_range_column(struct pg_params *params, const struct recall *recall, size_t offset)
{
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < recall->range_count; i++) {
        int64_t value;
        memcpy(&value, (const char *)&recall->ranges[i] + offset, sizeof value);
        pg_array_int8(params, value);
    }
    pg_array_end(params);
}

static void begin_recall(struct pg_store *store)
{
    struct recall *recall = store->call->recall;
    struct pg_params *params = &store->params;
    recall->outcome_count = 0;
    pg_params_clear(params);
    pg_array_begin(params, PG_UUID);
    for (size_t i = 0; i < recall->attempt_count; i++) {
        recall->attempts[i].found = false;
        pg_array_uuid(params, &recall->attempts[i].attempt_id);
    }
    pg_array_end(params);
    pg_store_send(store, "store_recall_attempts.sql", on_attempts);
    pg_params_clear(params);
    PUT_TPS(store, recall->ranges, recall->range_count, struct recall_range);
    put_range_column(params, recall, offsetof(struct recall_range, generation));
    put_range_column(params, recall, offsetof(struct recall_range, from));
    put_range_column(params, recall, offsetof(struct recall_range, to));
    pg_store_send(store, "store_recall_outcomes.sql", on_outcomes);
    pg_session_sync(store->session);
}

const struct pg_store_step pg_store_recall_step = { begin_recall, NULL, NULL };
