/*
 * Activity, each event stored once.
 *
 * Nearly all of it is new, and then the plain INSERT of store_new_activity.sql is enough: its
 * unique index says so if it is not. To look for each event first costs half as much again. So a
 * flush with many events inserts them plainly, behind a savepoint; 23505 takes it back there, and
 * the same flush, and some after it, use store_activity.sql, which looks.
 */
#include "worker/postgres/pg_store_steps.h"

#include "common/uuid_sort.h"

#include <stdlib.h>
#include <string.h>

#define PLAIN_EVENTS_MIN 16 /* fewer gain less than a savepoint costs */
#define LOOKING_FLUSHES  64 /* after one event that was there already */

/* -------------------------------------------------------------------------------------- order */

static int compare_times(const void *a, const void *b)
{
    const struct ordered_activity *left = a, *right = b;
    int64_t l = left->item.occurred_at_us, r = right->item.occurred_at_us;
    if (l != r)
        return l < r ? -1 : 1;
    return (left->row > right->row) -
           (left->row < right->row); /* the first of equal ones gets it */
}

/* Events with the same id stand together, but not yet in the order of their times. */
static void sort_same_ids(struct ordered_activity *all, size_t count)
{
    size_t end;
    for (size_t at = 0; at < count; at = end) {
        for (end = at + 1; end < count; end++)
            if (!uuid_equal(&all[at].item.event_id, &all[end].item.event_id))
                break;
        if (end - at > 1)
            qsort(all + at, end - at, sizeof *all, compare_times);
    }
}

static size_t drop_repeated(struct ordered_activity *all, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || all[kept - 1].item.occurred_at_us != all[i].item.occurred_at_us ||
            !uuid_equal(&all[kept - 1].item.event_id, &all[i].item.event_id))
            all[kept++] = all[i];
    return kept;
}

/* store->activities: the plan's, in the order in which everybody inserts them, each key once. */
static bool sort_activity(struct pg_store *store, struct plan *plan)
{
    struct arena *arena = store->call->arena;
    size_t count = plan->activity_count;
    struct uuid_key *keys = arena_alloc(arena, count * sizeof *keys);
    struct uuid_key *scratch = arena_alloc(arena, count * sizeof *scratch);
    store->activities = arena_alloc(arena, count * sizeof *store->activities);
    if (keys == NULL || scratch == NULL || store->activities == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        keys[i] = uuid_key(&plan->activities[i].item->event_id, &plan->activities[i]);
    const struct uuid_key *sorted = uuid_sort(keys, scratch, count);
    for (size_t i = 0; i < count; i++) {
        struct activity_row *row = sorted[i].value;
        store->activities[i] = (struct ordered_activity){ *row->item, row->attempt_id, row };
    }
    sort_same_ids(store->activities, count);
    store->activity_count = drop_repeated(store->activities, count);
    return true;
}

/* The one with this key; NULL when there is none. */
static struct activity_row *find_activity(const struct pg_store *store, const struct uuid *event_id,
                                          int64_t occurred_at_us)
{
    const struct ordered_activity *all = store->activities;
    size_t low = 0, high = store->activity_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct activity *item = &all[middle].item;
        int order = uuid_compare(&item->event_id, event_id);
        if (order < 0 || (order == 0 && item->occurred_at_us < occurred_at_us))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == store->activity_count || !uuid_equal(&all[low].item.event_id, event_id) ||
        all[low].item.occurred_at_us != occurred_at_us)
        return NULL;
    return all[low].row;
}

/* ------------------------------------------------------------------------------------ answers */

static void store_all(struct pg_store *store)
{
    for (size_t i = 0; i < store->activity_count; i++)
        store->activities[i].row->stored = true;
}

static bool on_inserted(void *self, const struct pg_result *result, struct err *err)
{
    (void)result;
    (void)err;
    store_all(self);
    return true;
}

static bool on_looked(void *self, const struct pg_result *result, struct err *err)
{
    struct pg_store *store = self;
    if (pg_row_count(result) == 1 && pg_is_null(result, 0, 1)) {
        store_all(store);
        return true;
    }
    for (size_t row = 0; row < pg_row_count(result); row++) {
        struct uuid id = pg_get_uuid(result, row, 1);
        struct activity_row *found = find_activity(store, &id, pg_get_time_us(result, row, 2));
        if (found == NULL)
            return err_set(err, ERR_BUG, "activity", "PostgreSQL stored activity not sent to it");
        found->stored = true;
    }
    return true;
}

/* ------------------------------------------------------------------------------------ sending */

static void put_ids(struct pg_params *params, const struct ordered_activity *all, size_t count)
{
    pg_array_begin(params, PG_UUID);
    for (size_t i = 0; i < count; i++)
        pg_array_uuid(params, &all[i].item.event_id);
    pg_array_end(params);
    pg_array_begin(params, PG_UUID);
    for (size_t i = 0; i < count; i++)
        pg_array_uuid(params, &all[i].attempt_id);
    pg_array_end(params);
}

static void put_activity(struct pg_params *params, const struct ordered_activity *all, size_t count)
{
    put_ids(params, all, count);
    pg_array_begin(params, PG_TEXT);
    for (size_t i = 0; i < count; i++)
        pg_array_text(params, all[i].item.event_type);
    pg_array_end(params);
    pg_array_begin(params, PG_JSONB);
    for (size_t i = 0; i < count; i++)
        pg_array_jsonb(params, all[i].item.payload);
    pg_array_end(params);
    pg_array_begin(params, PG_TIMESTAMPTZ);
    for (size_t i = 0; i < count; i++)
        pg_array_time(params, all[i].item.occurred_at_us);
    pg_array_end(params);
}

static void send_plainly(struct pg_store *store)
{
    pg_store_send_plain(store, "store_savepoint.sql", NULL);
    pg_store_send(store, "store_new_activity.sql", on_inserted);
    pg_store_send_plain(store, "store_release.sql", NULL);
}

static void send_looking(struct pg_store *store)
{
    pg_put_int8(&store->params, (int64_t)store->activity_count);
    pg_store_send(store, "store_activity.sql", on_looked);
}

void pg_store_send_activity(struct pg_store *store, struct plan *plan)
{
    struct pg_params *params = &store->params;
    store->activity_is_plain = false;
    if (plan->activity_count == 0)
        return;
    for (size_t i = 0; i < plan->activity_count; i++)
        plan->activities[i].stored = false;
    pg_params_clear(params);
    if (sort_activity(store, plan))
        put_activity(params, store->activities, store->activity_count);
    else
        params->bytes.failed = true; /* reported when it is sent */
    if (store->looking_flushes > 0)
        store->looking_flushes--;
    else
        store->activity_is_plain = plan->activity_count >= PLAIN_EVENTS_MIN;
    if (store->activity_is_plain)
        send_plainly(store);
    else
        send_looking(store);
}

bool pg_store_activity_again(struct pg_store *store, const struct err *err)
{
    if (!store->activity_is_plain || strcmp(err->code, "23505") != 0 ||
        strstr(err->text, "store_new_activity.sql") == NULL ||
        !pg_session_connected(store->session))
        return false;
    store->activity_is_plain = false;
    store->looking_flushes = LOOKING_FLUSHES;
    pg_store_send_plain(store, "store_rollback_to.sql", NULL);
    pg_params_clear(&store->params);
    put_activity(&store->params, store->activities, store->activity_count);
    send_looking(store);
    return true;
}
