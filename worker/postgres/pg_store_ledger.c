/*
 * CLAIM, RESOLVE, MARK and UNDO: the steps that touch progress rows alone.
 *
 * None of them says BEGIN: a round is one transaction by itself, committed at its end or gone with
 * its first error, so that a failure leaves nothing to roll back.
 */
#include "worker/postgres/pg_store_steps.h"

#include <stddef.h>

static struct anchor get_anchor(const struct pg_result *result, size_t row, int column)
{
    struct anchor anchor = { .offset = pg_get_int8(result, row, column),
                             .timestamp_ms = pg_get_int8(result, row, column + 1) };
    struct bytes hash = pg_get_bytes(result, row, column + 2);
    if (hash.len == sizeof anchor.hash)
        memcpy(anchor.hash, hash.ptr, hash.len);
    return anchor;
}

/* -------------------------------------------------------------------------------------- CLAIM */

/* The positions within the call of those that may be made, so that an ordinal finds its claim. */
static size_t nth_creatable(const struct store_call *call, size_t n)
{
    size_t i = 0;
    for (; i < call->claim.count; i++)
        if (call->claim.items[i].may_create && n-- == 0)
            break;
    return i;
}

static bool on_created(void *self, const struct pg_result *result, struct err *err)
{
    struct pg_store *store = self;
    struct store_call *call = store->call;
    for (size_t row = 0; row < pg_row_count(result); row++) {
        size_t n;
        if (!pg_store_ordinal(result, row, call->claim.count, &n, err))
            return false;
        size_t i = nth_creatable(call, n);
        if (i < call->claim.count)
            call->claim.items[i].created = true;
    }
    return true;
}

/* The claim that a row's ordinal names; NULL when there is none. */
static struct claim *claim_of(struct pg_store *store, const struct pg_result *result, size_t row,
                              struct err *err)
{
    struct store_call *call = store->call;
    size_t i;
    return pg_store_ordinal(result, row, call->claim.count, &i, err) ? &call->claim.items[i] : NULL;
}

static bool on_claimed(void *self, const struct pg_result *result, struct err *err)
{
    for (size_t row = 0; row < pg_row_count(result); row++) {
        struct claim *claim = claim_of(self, result, row, err);
        if (claim == NULL)
            return false;
        claim->found = true;
        claim->generation = pg_get_int8(result, row, 1);
        claim->first_offset = pg_get_int8(result, row, 2);
        claim->next_offset = pg_get_int8(result, row, 3);
        claim->published_offset = pg_get_int8(result, row, 4);
        claim->epoch = pg_get_int8(result, row, 5);
        claim->has_anchor = !pg_is_null(result, row, 6);
        if (claim->has_anchor)
            claim->anchor = get_anchor(result, row, 6);
        claim->refusals_until = pg_is_null(result, row, 9) ? 0 : pg_get_int8(result, row, 9);
    }
    return true;
}

static bool on_refusals(void *self, const struct pg_result *result, struct err *err)
{
    for (size_t row = 0; row < pg_row_count(result); row++) {
        struct claim *claim = claim_of(self, result, row, err);
        if (claim == NULL)
            return false;
        claim->refusals = (unsigned)pg_get_int8(result, row, 1);
        claim->refused = (struct refused_submit){ .known = !pg_is_null(result, row, 2) };
        if (!claim->refused.known)
            continue;
        claim->refused.offset = pg_get_int8(result, row, 2);
        claim->refused.attempt_id = pg_get_uuid(result, row, 3);
    }
    return true;
}

static void send_new_rows(struct pg_store *store)
{
    const struct store_call *call = store->call;
    struct pg_params *params = &store->params;
    pg_params_clear(params);
    pg_array_begin(params, PG_TEXT);
    for (size_t i = 0; i < call->claim.count; i++)
        if (call->claim.items[i].may_create)
            pg_array_text(params, bytes_of(store->options.topics[call->claim.items[i].tp.topic]));
    pg_array_end(params);
    pg_array_begin(params, PG_INT4);
    for (size_t i = 0; i < call->claim.count; i++)
        if (call->claim.items[i].may_create)
            pg_array_int4(params, call->claim.items[i].tp.partition);
    pg_array_end(params);
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < call->claim.count; i++)
        if (call->claim.items[i].may_create)
            pg_array_int8(params, call->claim.items[i].low);
    pg_array_end(params);
    pg_store_send(store, "store_claim_new.sql", on_created);
}

static void begin_claim(struct pg_store *store)
{
    struct store_call *call = store->call;
    for (size_t i = 0; i < call->claim.count; i++)
        call->claim.items[i].found = call->claim.items[i].created = false;
    send_new_rows(store);
    pg_params_clear(&store->params);
    PUT_TPS(store, call->claim.items, call->claim.count, struct claim);
    pg_store_send(store, "store_lock_progress.sql", NULL);
    pg_put_text(&store->params, bytes_of(store->options.owner));
    pg_store_send(store, "store_claim.sql", on_claimed);
    /* Behind the locks: a predecessor's commit is over now, and its letters are there. */
    pg_params_clear(&store->params);
    PUT_TPS(store, call->claim.items, call->claim.count, struct claim);
    pg_store_send(store, "store_claim_refusals.sql", on_refusals);
    pg_session_sync(store->session);
}

const struct pg_store_step pg_store_claim_step = { begin_claim, NULL, NULL };

/* ------------------------------------------------------------------------------------ RESOLVE */

static bool on_resolved(void *self, const struct pg_result *result, struct err *err)
{
    struct pg_store *store = self;
    struct store_call *call = store->call;
    for (size_t row = 0; row < pg_row_count(result); row++) {
        size_t i;
        if (!pg_store_ordinal(result, row, call->resolve.count, &i, err))
            return false;
        struct resolution *resolution = &call->resolve.items[i];
        resolution->found = true;
        resolution->generation = pg_get_int8(result, row, 1);
        resolution->next_offset = pg_get_int8(result, row, 2);
        resolution->published_offset = pg_get_int8(result, row, 3);
        resolution->epoch = pg_get_int8(result, row, 4);
    }
    return true;
}

static void begin_resolve(struct pg_store *store)
{
    struct store_call *call = store->call;
    for (size_t i = 0; i < call->resolve.count; i++)
        call->resolve.items[i].found = false;
    pg_params_clear(&store->params);
    PUT_TPS(store, call->resolve.items, call->resolve.count, struct resolution);
    pg_put_text(&store->params, bytes_of(store->options.owner));
    pg_store_send(store, "store_resolve.sql", on_resolved);
    pg_session_sync(store->session);
}

const struct pg_store_step pg_store_resolve_step = { begin_resolve, NULL, NULL };

/* --------------------------------------------------------------------------------------- MARK */

static bool on_marked(void *self, const struct pg_result *result, struct err *err)
{
    struct pg_store *store = self;
    struct store_call *call = store->call;
    for (size_t row = 0; row < pg_row_count(result); row++) {
        size_t i;
        if (!pg_store_ordinal(result, row, call->mark.count, &i, err))
            return false;
        call->mark.items[i].hit = true;
    }
    return true;
}

static void begin_mark(struct pg_store *store)
{
    struct mark *items = store->call->mark.items;
    size_t count = store->call->mark.count;
    for (size_t i = 0; i < count; i++)
        items[i].hit = false;
    struct pg_params *params = &store->params;
    pg_params_clear(params);
    PUT_TPS(store, items, count, struct mark);
    pg_store_send(store, "store_lock_progress.sql", NULL);
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < count; i++)
        pg_array_int8(params, items[i].generation);
    pg_array_end(params);
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < count; i++)
        pg_array_int8(params, items[i].epoch);
    pg_array_end(params);
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < count; i++)
        pg_array_int8(params, items[i].published_offset);
    pg_array_end(params);
    pg_put_text(params, bytes_of(store->options.owner));
    pg_store_send(store, "store_mark.sql", on_marked);
    pg_session_sync(store->session);
}

const struct pg_store_step pg_store_mark_step = { begin_mark, NULL, NULL };

/* --------------------------------------------------------------------------------------- UNDO */

static void begin_undo(struct pg_store *store)
{
    pg_store_send_plain(store, "store_rollback.sql", NULL);
    pg_session_sync(store->session);
}

/* A session that cannot even roll back is closed, which rolls back too. */
static bool undo_failed(struct pg_store *store, bool *ret_more, struct err *err)
{
    (void)ret_more;
    (void)err;
    if (pg_session_connected(store->session))
        pg_session_abandon(store->session);
    return true;
}

const struct pg_store_step pg_store_undo_step = { begin_undo, NULL, undo_failed };
