/*
 * CLOSE: the rows that say what became of records, the counters, and COMMIT, in one round trip.
 *
 * The round is sent whole: if a row is refused, COMMIT is never executed, and if COMMIT was
 * answered by COMMIT, everything before it went well.
 */
#include "worker/postgres/pg_store_steps.h"

#include <stddef.h>

/* ------------------------------------------------------------------------------ where records are
 */

static struct bytes topic_of(const struct pg_store *store, const struct entry *entry)
{
    return bytes_of(store->options.topics[entry->record.tp.topic]);
}

/* What several statements say of entries: topic, partition, generation, offset. */
static void put_places(struct pg_store *store, struct entry *const *entries, size_t count)
{
    struct pg_params *params = &store->params;
    pg_array_begin(params, PG_TEXT);
    for (size_t i = 0; i < count; i++)
        pg_array_text(params, topic_of(store, entries[i]));
    pg_array_end(params);
    pg_array_begin(params, PG_INT4);
    for (size_t i = 0; i < count; i++)
        pg_array_int4(params, entries[i]->record.tp.partition);
    pg_array_end(params);
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < count; i++)
        pg_array_int8(params, entries[i]->move != NULL ? entries[i]->move->generation : 0);
    pg_array_end(params);
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < count; i++)
        pg_array_int8(params, entries[i]->record.offset);
    pg_array_end(params);
}

static void put_event_and_attempt(struct pg_params *params, struct entry *const *entries,
                                  size_t count)
{
    pg_array_begin(params, PG_UUID);
    for (size_t i = 0; i < count; i++)
        pg_array_uuid(params, &entries[i]->event.event_id);
    pg_array_end(params);
    pg_array_begin(params, PG_UUID);
    for (size_t i = 0; i < count; i++)
        pg_array_uuid(params, &entries[i]->event.attempt_id);
    pg_array_end(params);
}

/* -------------------------------------------------------------------------------- submissions */

static void put_submitted_ids(struct pg_params *params, const struct plan *plan)
{
    pg_array_begin(params, PG_UUID);
    for (size_t i = 0; i < plan->submission_count; i++)
        pg_array_uuid(params, &plan->submissions[i].fold->attempt_id);
    pg_array_end(params);
}

static void put_submission_facts(struct pg_params *params, const struct submission_row *rows,
                                 size_t count)
{
    pg_array_begin(params, PG_UUID);
    for (size_t i = 0; i < count; i++)
        pg_array_uuid(params, &rows[i].entry->event.event_id);
    pg_array_end(params);
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < count; i++)
        pg_array_int8(params, rows[i].entry->version);
    pg_array_end(params);
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < count; i++)
        pg_array_int8(params, rows[i].entry->missing);
    pg_array_end(params);
    pg_array_begin(params, PG_BYTEA);
    for (size_t i = 0; i < count; i++)
        pg_array_bytea(params, (struct bytes){ (const char *)rows[i].digest, DIGEST_BYTES });
    pg_array_end(params);
    pg_array_begin(params, PG_TEXT);
    for (size_t i = 0; i < count; i++)
        pg_array_text(params, rows[i].receipt);
    pg_array_end(params);
}

static void send_submissions(struct pg_store *store, const struct plan *plan)
{
    struct pg_params *params = &store->params;
    size_t count = plan->submission_count;
    if (count == 0)
        return;
    struct entry **entries = arena_calloc(store->call->arena, count, sizeof(struct entry *));
    for (size_t i = 0; entries != NULL && i < count; i++)
        entries[i] = plan->submissions[i].entry;
    pg_params_clear(params);
    params->bytes.failed = entries == NULL; /* reported when it is sent */
    put_submitted_ids(params, plan);
    put_submission_facts(params, plan->submissions, count);
    put_places(store, entries, entries != NULL ? count : 0);
    pg_store_send(store, "store_submissions.sql", NULL);
    pg_params_clear(params);
    put_submitted_ids(params, plan);
    pg_store_send(store, "store_answers.sql", NULL);
}

/* ------------------------------------------------------------------------------------ rejected */

static void send_rejected(struct pg_store *store, const struct plan *plan)
{
    struct pg_params *params = &store->params;
    struct entry *const *entries = plan->rejected;
    size_t count = plan->rejected_count;
    if (count == 0)
        return;
    pg_params_clear(params);
    put_event_and_attempt(params, entries, count);
    pg_array_begin(params, PG_TEXT);
    for (size_t i = 0; i < count; i++)
        pg_array_text(params, bytes_of(outcome_name(entries[i]->outcome)));
    pg_array_end(params);
    pg_array_begin(params, PG_TEXT);
    for (size_t i = 0; i < count; i++)
        pg_array_text(params, bytes_of(entries[i]->late_reason));
    pg_array_end(params);
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < count; i++)
        pg_array_int8(params, entries[i]->event.write.expected_version);
    pg_array_end(params);
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < count; i++)
        pg_array_int8(params, entries[i]->version);
    pg_array_end(params);
    pg_array_begin(params, PG_JSONB);
    for (size_t i = 0; i < count; i++)
        pg_array_jsonb(params, entries[i]->event.data);
    pg_array_end(params);
    put_places(store, entries, count);
    pg_store_send(store, "store_rejected.sql", NULL);
}

/* ------------------------------------------------------------------------------------ counters */

static void put_counts(struct pg_params *params, const struct plan *plan, enum outcome outcome)
{
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < plan->move_count; i++)
        pg_array_int8(params, plan->moves[i].counts[outcome]);
    pg_array_end(params);
}

static void send_counts(struct pg_store *store, const struct plan *plan)
{
    struct pg_params *params = &store->params;
    if (plan->move_count == 0)
        return;
    pg_params_clear(params);
    PUT_TPS(store, plan->moves, plan->move_count, struct ledger_move);
    put_counts(params, plan, OUTCOME_APPLIED);
    put_counts(params, plan, OUTCOME_DUPLICATE);
    put_counts(params, plan, OUTCOME_STALE);
    put_counts(params, plan, OUTCOME_LATE);
    put_counts(params, plan, OUTCOME_DEAD);
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < plan->move_count; i++)
        pg_array_int8(params, plan->moves[i].gaps);
    pg_array_end(params);
    pg_store_send(store, "store_count.sql", NULL);
}

/* --------------------------------------------------------------------------------------- CLOSE */

static void begin_close(struct pg_store *store)
{
    const struct plan *plan = store->call->plan;
    send_submissions(store, plan);
    send_rejected(store, plan);
    pg_store_send_letters(store, plan);
    send_counts(store, plan);
    if (plan->trial) {
        pg_store_send_plain(store, "store_check_constraints.sql", NULL);
        pg_store_send_plain(store, "store_rollback.sql", NULL);
    } else {
        pg_store_send_plain(store, "store_commit.sql", pg_store_on_commit);
    }
    pg_session_sync(store->session);
}

/* Without a connection there is nobody who knows whether COMMIT came through. */
static bool close_failed(struct pg_store *store, bool *ret_more, struct err *err)
{
    (void)ret_more;
    if (!pg_session_connected(store->session))
        err->action = ERR_LOST;
    return false;
}

const struct pg_store_step pg_store_close_step = { begin_close, NULL, close_failed };
