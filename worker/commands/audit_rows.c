/*
 * The attempts that the replay leaves, against the rows: expected rows go to PostgreSQL in batches,
 * what differs comes back.
 */
#include "worker/commands/audit_batch.h"
#include "worker/commands/audit_work.h"
#include "worker/commands/facts.h"
#include "worker/events/canonical.h"

#include <sodium.h>
#include <stdio.h>

#define ANSWERS_LIMIT_BYTES ((size_t)512 << 20)
#define UUID_SMALLEST       "00000000-0000-0000-0000-000000000000"

struct expecting {
    struct audit *audit;
    struct audit_batch batch;
    struct buf answers, canonical;
    struct arena scratch;
};

static void put_start(struct audit_batch *batch, const struct started *start)
{
    audit_batch_uuid(batch, "exam_id", &start->exam_id);
    audit_batch_uuid(batch, "student_id", &start->student_id);
    audit_batch_int(batch, "started_us", start->started_at_us);
    if (start->has_deadline)
        audit_batch_int(batch, "deadline_us", start->deadline_at_us);
}

static bool put_submit(struct expecting *expecting, const struct model_attempt *attempt,
                       struct err *err)
{
    struct audit_batch *batch = &expecting->batch;
    uint8_t digest[HASH_256_BYTES];
    char hex[2 * HASH_256_BYTES + 1];
    audit_batch_int(batch, "submitted_us", attempt->submitted_at_us);
    audit_batch_uuid(batch, "submit_id", &attempt->submit_id);
    audit_batch_int(batch, "submit_version", attempt->submit_expected + 1);
    audit_batch_int(batch, "submit_missing", attempt->submit_missing);
    audit_batch_int(batch, "submit_partition", attempt->submit_partition);
    audit_batch_int(batch, "submit_offset", attempt->submit_offset);
    audit_batch_text(batch, "submit_topic",
                     bytes_of(expecting->audit->kafka.names.topics[TOPIC_WRITES]));
    arena_reset(&expecting->scratch);
    if (!canonical_digest(buf_bytes(&expecting->answers), &expecting->scratch,
                          &expecting->canonical, digest))
        return err_set(err, ERR_RESOURCE, "ENOMEM", "no memory for the digest of an attempt");
    (void)sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
    audit_batch_text(batch, "digest", bytes_of(hex));
    return true;
}

static bool put_attempt(struct expecting *expecting, const struct model_attempt *attempt,
                        struct err *err)
{
    struct audit_batch *batch = &expecting->batch;
    buf_clear(&expecting->answers);
    members_put(&attempt->answers, &expecting->answers);
    audit_batch_row(batch, "status",
                    attempt->submitted ? BYTES("submitted") : BYTES("in_progress"));
    audit_batch_uuid(batch, "id", &attempt->id);
    audit_batch_int(batch, "version", attempt->version);
    audit_batch_json(batch, "answers", buf_bytes(&expecting->answers));
    if (attempt->auto_save_data != NULL)
        audit_batch_json(batch, "auto_save_data", bytes_of(attempt->auto_save_data));
    if (attempt->has_start)
        put_start(batch, &attempt->start);
    if (attempt->submitted && !put_submit(expecting, attempt, err))
        return false;
    audit_batch_row_end(batch);
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
    if (!audit_batch_run(&expecting->batch, expecting->audit->db, "audit_attempts.sql", &rows, err))
        return false;
    for (size_t i = 0; i < pg_rows_count(rows); i++)
        take_difference(expecting->audit, rows, i);
    pg_rows_free(rows);
    return true;
}

static bool compare_attempts(struct expecting *expecting, struct err *err)
{
    struct audit *audit = expecting->audit;
    size_t cursor = 0, done = 0;
    const struct model_attempt *attempt;
    while ((attempt = replay_model_next(audit->model, &cursor)) != NULL) {
        if (!put_attempt(expecting, attempt, err))
            return false;
        if (audit_batch_is_full(&expecting->batch) && !compare_batch(expecting, err))
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
        (void)differences_put(&audit->differences, "attempts", pg_rows_text(rows, row, 0, ""),
                              "no row", "a row that no event made");
}

static bool find_strangers(struct audit *audit, struct err *err)
{
    char after[UUID_TEXT_LEN + 1] = UUID_SMALLEST;
    size_t count;
    do {
        const char *params[] = { after };
        struct pg_rows *rows;
        if (!facts_run(audit->db, "audit_attempt_ids.sql", params, 1, &rows, err))
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
    audit_batch_init(&expecting.batch);
    buf_init(&expecting.answers, ANSWERS_LIMIT_BYTES);
    buf_init(&expecting.canonical, ANSWERS_LIMIT_BYTES);
    arena_init(&expecting.scratch, 1 << 16, 0);
    bool good = compare_attempts(&expecting, err) && find_strangers(audit, err);
    arena_release(&expecting.scratch);
    buf_release(&expecting.canonical);
    buf_release(&expecting.answers);
    audit_batch_release(&expecting.batch);
    if (!good)
        return false;
    count_attempts(audit);
    differences_compare(&audit->differences, "activity_events: distinct events", "all",
                        (int64_t)replay_model_activity_events(audit->model) -
                            audit->erased_activity,
                        audit->facts.activity_events);
    return true;
}
