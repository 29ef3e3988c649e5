/*
 * The attempts and the activity that the replay leaves, against the rows: expected rows go to
 * PostgreSQL in batches of JSON, what differs comes back.
 */
#include "common/json.h"
#include "worker/commands/audit_work.h"
#include "worker/events/canonical.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH_BYTES   ((size_t)2 << 20)
#define BATCH_ROWS    1000
#define LIMIT_BYTES   ((size_t)512 << 20)
#define UUID_SMALLEST "00000000-0000-0000-0000-000000000000"

struct batch {
    struct buf text;
    size_t rows;
};

static void batch_begin(struct batch *batch)
{
    buf_clear(&batch->text);
    buf_put_char(&batch->text, '[');
    batch->rows = 0;
}

static bool batch_is_full(const struct batch *batch)
{
    return batch->rows >= BATCH_ROWS || batch->text.len >= BATCH_BYTES;
}

static bool batch_run(struct audit *audit, struct batch *batch, const char *file,
                      struct pg_rows **ret, struct err *err)
{
    buf_put(&batch->text, (struct bytes){ "]", 2 }); /* with its NUL */
    if (batch->text.failed)
        return err_set(err, ERR_RESOURCE, "ENOMEM", "no memory for the comparison");
    const char *params[] = { batch->text.ptr };
    return pg_client_run(audit->db, file, params, 1, ret, err);
}

static void put_uuid(struct buf *out, const char *name, const struct uuid *id)
{
    char text[UUID_TEXT_LEN + 1];
    buf_printf(out, ",\"%s\":\"%s\"", name, uuid_format(id, text));
}

static void put_int(struct buf *out, const char *name, int64_t value)
{
    buf_printf(out, ",\"%s\":%" PRId64, name, value);
}

/* ----------------------------------------------------------------------------------- activity */

struct audit_activity {
    struct audit *audit;
    struct batch batch;
};

struct audit_activity *audit_activity_new(struct audit *audit)
{
    struct audit_activity *activity = calloc(1, sizeof *activity);
    if (activity == NULL)
        return NULL;
    activity->audit = audit;
    buf_init(&activity->batch.text, LIMIT_BYTES);
    batch_begin(&activity->batch);
    return activity;
}

void audit_activity_free(struct audit_activity *activity)
{
    if (activity == NULL)
        return;
    buf_release(&activity->batch.text);
    free(activity);
}

static void stored(void *self, const struct uuid *attempt_id, const struct activity *item)
{
    struct audit_activity *activity = self;
    struct buf *out = &activity->batch.text;
    buf_put(out,
            activity->batch.rows++ == 0 ? BYTES("{\"event_type\":") : BYTES(",{\"event_type\":"));
    json_put_string(out, item->event_type);
    put_uuid(out, "event_id", &item->event_id);
    put_uuid(out, "attempt_id", attempt_id);
    put_int(out, "at_us", item->occurred_at_us);
    if (bytes_present(item->payload)) {
        buf_put(out, BYTES(",\"payload\":"));
        buf_put(out, item->payload);
    }
    buf_put_char(out, '}');
}

struct model_sink audit_activity_sink(struct audit_activity *activity)
{
    return (struct model_sink){ activity, stored };
}

bool audit_activity_compare(struct audit_activity *activity, bool all, struct err *err)
{
    struct pg_rows *rows;
    if (activity->batch.rows == 0 || (!all && !batch_is_full(&activity->batch)))
        return true;
    if (!batch_run(activity->audit, &activity->batch, "audit_activity.sql", &rows, err))
        return false;
    for (size_t i = 0; i < pg_rows_count(rows); i++)
        differences_put(&activity->audit->differences, "activity_events",
                        pg_rows_text(rows, i, 0, ""), "as in the log",
                        pg_rows_bool(rows, i, 1) ? "no row" : "other contents");
    pg_rows_free(rows);
    batch_begin(&activity->batch);
    return true;
}

/* ----------------------------------------------------------------------------------- attempts */

struct expecting {
    struct audit *audit;
    struct batch batch;
    struct buf answers, canonical;
    struct arena scratch;
};

static void put_start(struct buf *out, const struct started *start)
{
    put_uuid(out, "exam_id", &start->exam_id);
    put_uuid(out, "student_id", &start->student_id);
    put_int(out, "started_us", start->started_at_us);
    if (start->has_deadline)
        put_int(out, "deadline_us", start->deadline_at_us);
}

static bool put_submit(struct expecting *expecting, const struct model_attempt *attempt,
                       struct err *err)
{
    struct buf *out = &expecting->batch.text;
    uint8_t digest[HASH_256_BYTES];
    char hex[2 * HASH_256_BYTES + 1];
    put_int(out, "submitted_us", attempt->submitted_at_us);
    put_uuid(out, "submit_id", &attempt->submit_id);
    put_int(out, "submit_version", attempt->submit_expected + 1);
    put_int(out, "submit_missing", attempt->submit_missing);
    put_int(out, "submit_partition", attempt->submit_partition);
    put_int(out, "submit_offset", attempt->submit_offset);
    buf_put(out, BYTES(",\"submit_topic\":"));
    json_put_string(out, bytes_of(expecting->audit->kafka.names.topics[TOPIC_WRITES]));
    arena_reset(&expecting->scratch);
    if (!canonical_digest(buf_bytes(&expecting->answers), &expecting->scratch,
                          &expecting->canonical, digest))
        return err_set(err, ERR_RESOURCE, "ENOMEM", "no memory for the digest of an attempt");
    buf_printf(out, ",\"digest\":\"%s\"", sodium_bin2hex(hex, sizeof hex, digest, sizeof digest));
    return true;
}

static bool put_attempt(struct expecting *expecting, const struct model_attempt *attempt,
                        struct err *err)
{
    struct buf *out = &expecting->batch.text;
    buf_clear(&expecting->answers);
    members_put(&attempt->answers, &expecting->answers);
    buf_put(out, expecting->batch.rows++ == 0 ? BYTES("{\"status\":") : BYTES(",{\"status\":"));
    buf_put(out, attempt->submitted ? BYTES("\"submitted\"") : BYTES("\"in_progress\""));
    put_uuid(out, "id", &attempt->id);
    put_int(out, "version", attempt->version);
    buf_put(out, BYTES(",\"answers\":"));
    buf_put(out, buf_bytes(&expecting->answers));
    if (attempt->auto_save_data != NULL) {
        buf_put(out, BYTES(",\"auto_save_data\":"));
        buf_put(out, bytes_of(attempt->auto_save_data));
    }
    if (attempt->has_start)
        put_start(out, &attempt->start);
    if (attempt->submitted && !put_submit(expecting, attempt, err))
        return false;
    buf_put_char(out, '}');
    return true;
}

static void take_difference(struct audit *audit, const struct pg_rows *rows, size_t row)
{
    struct uuid id;
    if (!uuid_parse(pg_rows_bytes(rows, row, 0), &id))
        return;
    struct model_attempt *attempt = replay_model_find(audit->model, &id);
    bool gone = pg_rows_bool(rows, row, 1);
    if (pg_rows_bool(rows, row, 2)) {
        attempt->foreign = true;
        return;
    }
    const char *what = pg_rows_text(rows, row, 3, "");
    if (attempt->spread && !gone)
        return;
    struct difference *difference = differences_add(&audit->differences, "attempts");
    if (difference == NULL)
        return;
    (void)snprintf(difference->key, sizeof difference->key, "%s", pg_rows_text(rows, row, 0, ""));
    (void)snprintf(difference->expected, sizeof difference->expected, "version %s",
                   pg_rows_text(rows, row, 4, ""));
    if (gone)
        (void)snprintf(difference->found, sizeof difference->found, "no row");
    else
        (void)snprintf(difference->found, sizeof difference->found, "version %s, with another %s",
                       pg_rows_text(rows, row, 5, ""), what);
}

static bool compare_batch(struct expecting *expecting, struct err *err)
{
    struct pg_rows *rows;
    if (expecting->batch.rows == 0)
        return true;
    if (!batch_run(expecting->audit, &expecting->batch, "audit_attempts.sql", &rows, err))
        return false;
    for (size_t i = 0; i < pg_rows_count(rows); i++)
        take_difference(expecting->audit, rows, i);
    pg_rows_free(rows);
    batch_begin(&expecting->batch);
    return true;
}

static bool compare_attempts(struct expecting *expecting, struct err *err)
{
    struct audit *audit = expecting->audit;
    size_t cursor = 0, done = 0;
    const struct model_attempt *attempt;
    batch_begin(&expecting->batch);
    while ((attempt = replay_model_next(audit->model, &cursor)) != NULL) {
        if (!put_attempt(expecting, attempt, err))
            return false;
        if (batch_is_full(&expecting->batch) && !compare_batch(expecting, err))
            return false;
        done++;
        if (progress_due(&audit->progress, clock_monotonic_ms(&audit->clock)))
            progress_show(&audit->progress, "comparing attempts: %zu of %zu", done,
                          replay_model_attempts(audit->model));
    }
    return compare_batch(expecting, err);
}

/* ------------------------------------------------------------------ rows that nothing explains */

static void look_up(struct audit *audit, const struct pg_rows *rows, size_t row)
{
    struct uuid id;
    if (!uuid_parse(pg_rows_bytes(rows, row, 0), &id) ||
        replay_model_find(audit->model, &id) != NULL)
        return;
    if (pg_rows_bool(rows, row, 1))
        audit->foreign_attempts++;
    else
        differences_put(&audit->differences, "attempts", pg_rows_text(rows, row, 0, ""), "no row",
                        "a row that no event made");
}

static bool find_strangers(struct audit *audit, struct err *err)
{
    char after[UUID_TEXT_LEN + 1] = UUID_SMALLEST;
    size_t count;
    do {
        const char *params[] = { after };
        struct pg_rows *rows;
        if (!pg_client_run(audit->db, "audit_attempt_ids.sql", params, 1, &rows, err))
            return false;
        count = pg_rows_count(rows);
        for (size_t i = 0; i < count; i++)
            look_up(audit, rows, i);
        if (count > 0)
            (void)snprintf(after, sizeof after, "%s", pg_rows_text(rows, count - 1, 0, ""));
        pg_rows_free(rows);
    } while (count > 0);
    return true;
}

static void count_attempts(struct audit *audit)
{
    size_t cursor = 0;
    const struct model_attempt *attempt;
    while ((attempt = replay_model_next(audit->model, &cursor)) != NULL) {
        audit->foreign_attempts += attempt->foreign;
        audit->spread_attempts += !attempt->foreign && attempt->spread;
        audit->compared += !attempt->foreign && !attempt->spread;
    }
}

bool audit_rows(struct audit *audit, struct err *err)
{
    struct expecting expecting = { .audit = audit };
    buf_init(&expecting.batch.text, LIMIT_BYTES);
    buf_init(&expecting.answers, LIMIT_BYTES);
    buf_init(&expecting.canonical, LIMIT_BYTES);
    arena_init(&expecting.scratch, 1 << 16, 0);
    bool good = compare_attempts(&expecting, err) && find_strangers(audit, err);
    arena_release(&expecting.scratch);
    buf_release(&expecting.canonical);
    buf_release(&expecting.answers);
    buf_release(&expecting.batch.text);
    if (!good)
        return false;
    count_attempts(audit);
    differences_compare(&audit->differences, "activity_events: distinct events", "all",
                        (int64_t)replay_model_activity_events(audit->model),
                        audit->facts.activity_events);
    return true;
}
