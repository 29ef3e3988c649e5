/* The store and attempts: starts, the guard of the fast way, locks, the careful way, activity. */
#include "tests/pg/store_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define A1 "'a0000000-0000-4000-8000-000000000001'"

static void assert_uuid(const struct uuid *found, struct uuid expected)
{
    assert_memory_equal(found->bytes, expected.bytes, sizeof expected.bytes);
}

static int open_claimed(void **state)
{
    if (rig_open(state) != 0)
        return -1;
    (void)rig_claim(*state, TOPIC_WRITES, 0, 0);
    return 0;
}

/* One flush with one fold that must be written. */
static struct fold *flush_fold(struct rig *rig, int64_t from, int64_t expected, int64_t version,
                               const char *patch, unsigned events)
{
    rig_plan(rig, from, from + 1);
    struct fold *fold = rig_fold(rig, 1, expected, version, patch, events);
    rig_flush(rig, 1);
    return fold;
}

static void make_attempt(struct rig *rig)
{
    rig_plan(rig, 0, 1);
    rig_start(rig, 1, 1);
    rig_flush(rig, 1);
}

/* ----------------------------------------------------------------------------------- starts */

static void test_starts_make_rows_and_enter_exams(void **state)
{
    struct rig *rig = *state;
    sql_ok(rig->db, "INSERT INTO exams (id) VALUES ('e0000000-0000-4000-8000-000000000005')");
    sql_ok(rig->db, "INSERT INTO attempts (id, exam_id, student_id, started_at, answers) VALUES "
                    "(" A1 ", 'e0000000-0000-4000-8000-000000000005', "
                    "'50000000-0000-4000-8000-000000000001', now(), '{\"q\": 1}')");
    rig_plan(rig, 0, 3);
    rig_start(rig, 1, 7); /* was started already: its exam is not entered */
    struct start_row *second = rig_start(rig, 2, 1);
    struct start_row *third = rig_start(rig, 3, 1);
    third->started.has_deadline = false;
    rig_flush(rig, 3);
    assert_false(rig->starts[0].done);
    assert_true(second->done && third->done);
    assert_int_equal(second->revision, 1);
    sql_is(rig->db, "1 5", "SELECT string_agg(right(id::text, 1), ' ' ORDER BY id) FROM exams");
    sql_is(rig->db, "50000000-0000-4000-8000-000000000002|1|1|2027-01-15 08:00:00+00|in_progress",
           "SELECT concat_ws('|', student_id, version, revision, started_at AT TIME ZONE 'UTC' || "
           "'+00', status) FROM attempts WHERE id::text LIKE '%2'");
    sql_is(rig->db, "1", "SELECT count(*) FROM attempts WHERE deadline_at IS NOT NULL");
    sql_is(rig->db, "1", "SELECT count(*) FROM foreign_changes"); /* only the INSERT by SQL */
}

static void test_starts_race(void **state)
{
    struct rig *rig = *state;
    PGconn *other = sql_connect(rig->url);
    sql_ok(other, "BEGIN; INSERT INTO attempts (id) VALUES (" A1 ")");
    rig_plan(rig, 0, 1);
    rig_start(rig, 1, 1);
    struct store_call call = { .step = STORE_OPEN, .arena = &rig->arena, .plan = &rig->plan };
    rig->port.start(rig->port.self, &call);
    rig_poll_until_it_waits(rig, &rig->port);
    sql_ok(other, "COMMIT");
    assert_int_equal(rig_poll_to_its_end(rig, &rig->port), STORE_FAILED);
    assert_int_equal(rig->err.action, ERR_RETRY);
    rig_ok(rig, STORE_UNDO);
    sql_is(rig->db, "0", "SELECT count(*) FROM exams");
    rig_ok(rig, STORE_OPEN);
    assert_false(rig->starts[0].done);
    rig_ok(rig, STORE_UNDO);
    PQfinish(other);
}

/* ------------------------------------------------------------------------------ the fast way */

static void test_fast_fold_merges(void **state)
{
    struct rig *rig = *state;
    make_attempt(rig);
    struct fold *fold = flush_fold(rig, 1, 1, 4, "{\"q1\":\"A\",\"q2\":{\"x\":1}}", 3);
    assert_true(fold->written && fold->has_exam);
    assert_int_equal(fold->prior_version, 1);
    assert_int_equal(fold->revision, 2);
    assert_uuid(&fold->exam_id, rig_uuid('e', 1));
    sql_ok(rig->db, "UPDATE attempt_rows SET updated_at = '2001-01-01', revision = revision + 1");
    rig_plan(rig, 2, 3);
    fold = rig_fold(rig, 1, 4, 5, "{\"q1\":null,\"q2\":{\"y\":null},\"q3\":[]}", 1);
    fold->auto_save_data = BYTES("{\"progress\":50}");
    rig_flush(rig, 1);
    assert_true(fold->written);
    sql_is(rig->db, "t", "SELECT updated_at > '2020-01-01' FROM attempts");
    sql_is(rig->db, "{\"q2\": {\"y\": null}, \"q3\": []}", "SELECT answers FROM attempts");
    flush_fold(rig, 3, 5, 6, NULL, 1);
    sql_is(rig->db, "{\"progress\": 50}|{\"q2\": {\"y\": null}, \"q3\": []}|6|5",
           "SELECT concat_ws('|', auto_save_data, answers, version, revision) FROM attempts");
    sql_is(rig->db, "0", "SELECT count(*) FROM foreign_changes");
}

static void test_fast_guard(void **state)
{
    struct rig *rig = *state;
    make_attempt(rig);
    flush_fold(rig, 1, 1, 5, "{\"q\":1}", 4);
    const struct {
        int64_t expected;
        const char *why;
    } refused[] = { { 4, "stale" }, { 1000006, "jump" } };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct fold *fold =
            flush_fold(rig, 2 + (int64_t)i, refused[i].expected, refused[i].expected + 1, NULL, 1);
        if (fold->written)
            fail_msg("%s was written", refused[i].why);
    }
    rig_plan(rig, 4, 5);
    struct fold *repeated = rig_fold(rig, 1, 5, 7, NULL, 2);
    rig->event_ids[0][1] = rig_uuid('b', 1001 + 1); /* the second of the first flush */
    rig_flush(rig, 1);
    assert_false(repeated->written);
    struct fold *unknown = NULL;
    rig_plan(rig, 5, 6);
    unknown = rig_fold(rig, 9, 1, 2, NULL, 1);
    rig_flush(rig, 1);
    assert_false(unknown->written);
    sql_is(rig->db, "5", "SELECT version FROM attempts");
    /* A gap is none of these, up to the whole jump. */
    struct fold *gap = flush_fold(rig, 6, 1000005, 1000006, NULL, 1);
    assert_true(gap->written);
    assert_int_equal(gap->prior_version, 5);
}

static void test_sixteen_recent_ids(void **state)
{
    struct rig *rig = *state;
    make_attempt(rig);
    int64_t version = 1;
    const unsigned sizes[] = { 3, 12, 1, 1, 5, 16, 2, 20, 39 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct fold *fold =
            flush_fold(rig, 1 + (int64_t)i, version, version + sizes[i], NULL, sizes[i]);
        assert_true(fold->written);
        version += sizes[i];
        /* The ids count up with the versions: they are the last 16 of them. */
        char expected[64];
        (void)snprintf(expected, sizeof expected, "%lld %lld",
                       1000LL + (version - 1 < 16 ? 1 : version - 16), 1000LL + version - 1);
        sql_is(rig->db, expected,
               "SELECT concat_ws(' ', ltrim(right(recent_event_ids[1]::text, 12), '0'), "
               "ltrim(right(recent_event_ids[cardinality(recent_event_ids)]::text, 12), '0')) "
               "FROM attempt_rows");
        assert_int_equal(
            sql_number(rig->db, "SELECT cardinality(recent_event_ids) FROM attempt_rows"),
            version - 1 < 16 ? version - 1 : 16);
        assert_int_equal(sql_number(rig->db, "SELECT array_lower(recent_event_ids, 1) "
                                             "FROM attempt_rows"),
                         1);
    }
}

static void test_many_folds_in_one_statement(void **state)
{
    struct rig *rig = *state;
    rig_plan(rig, 0, 40);
    for (unsigned i = 1; i <= 40; i++)
        rig_start(rig, i, i % 3);
    for (unsigned i = 1; i <= 40; i += 2)
        rig_fold(rig, i, 1, 3, i % 3 == 0 ? NULL : "{\"q\":\"v\"}", 2);
    rig_flush(rig, 40);
    for (size_t i = 0; i < rig->plan.fold_count; i++) {
        assert_true(rig->folds[i].written);
        assert_int_equal(rig->folds[i].prior_version, 1);
    }
    sql_is(rig->db, "20|20|40|3",
           "SELECT concat_ws('|', count(*) FILTER (WHERE version = 3), count(*) FILTER (WHERE "
           "version = 1), count(*), count(DISTINCT exam_id)) FROM attempts");
    sql_is(rig->db, "0",
           "SELECT count(*) FROM attempt_rows WHERE version = 3 AND "
           "ltrim(right(recent_event_ids[1]::text, 12), '0')::int / 1000 <> "
           "ltrim(right(id::text, 12), '0')::int");
}

static void test_submit_freezes(void **state)
{
    struct rig *rig = *state;
    make_attempt(rig);
    rig_plan(rig, 1, 2);
    struct fold *fold = rig_fold(rig, 1, 1, 3, "{\"b\":1.50,\"a\":\"\\u00e9\"}", 1);
    rig_submit(rig, fold, 1);
    rig_flush(rig, 1);
    assert_true(fold->written);
    assert_true(bytes_equal(fold->answers, BYTES("{\"a\": \"é\", \"b\": 1.50}")));
    sql_is(rig->db, "submitted|3|2027-01-15 08:16:40",
           "SELECT concat_ws('|', status, version, submitted_at AT TIME ZONE 'UTC') FROM attempts");
    fold = flush_fold(rig, 2, 3, 4, "{\"b\":2}", 1);
    assert_false(fold->written);
    sql_is(rig->db, "t", "SELECT attempt_document(id) = answers FROM attempts");
}

/* --------------------------------------------------------------------------- locks and plans */

static void test_lock_reads_rows(void **state)
{
    struct rig *rig = *state;
    make_attempt(rig);
    rig_plan(rig, 1, 2);
    rig_fold(rig, 1, 1, 4, NULL, 3);
    rig_submit(rig, &rig->folds[0], 1);
    rig_flush(rig, 1);
    sql_ok(rig->db, "INSERT INTO attempts (id) VALUES ('a0000000-0000-4000-8000-000000000002')");
    rig_plan(rig, 2, 3);
    rig->plan.row_count = 3;
    for (unsigned i = 0; i < 3; i++)
        rig->rows[i] = (struct attempt_row){ .attempt_id = rig_uuid('a', i + 1) };
    rig_ok(rig, STORE_OPEN);
    rig_ok(rig, STORE_LOCK);
    const struct attempt_row *row = &rig->rows[0];
    assert_true(row->found && row->submitted && row->has_start);
    assert_int_equal(row->version, 4);
    assert_int_equal(row->revision, 2);
    assert_int_equal(row->recent_count, 3);
    assert_uuid(&row->recent[0], rig_uuid('b', 1001));
    assert_uuid(&row->recent[2], rig_uuid('b', 1003));
    assert_uuid(&row->exam_id, rig_uuid('e', 1));
    assert_uuid(&row->student_id, rig_uuid('5', 1));
    assert_int_equal(row->submit_version, 4);
    assert_int_equal(row->submit_missing, 2);
    row = &rig->rows[1];
    assert_true(row->found && !row->submitted && !row->has_start);
    assert_int_equal(row->recent_count, 0);
    assert_false(rig->rows[2].found);
    rig_ok(rig, STORE_UNDO);
}

static void test_lock_waits_only_if_asked(void **state)
{
    struct rig *rig = *state;
    make_attempt(rig);
    PGconn *other = sql_connect(rig->url);
    sql_ok(other, "BEGIN; SELECT FROM attempts FOR UPDATE");
    rig_plan(rig, 1, 2);
    rig->plan.row_count = 1;
    rig->rows[0] = (struct attempt_row){ .attempt_id = rig_uuid('a', 1) };
    rig_ok(rig, STORE_OPEN);
    rig_fails(rig, STORE_LOCK, ERR_RETRY, "55P03");
    rig_ok(rig, STORE_UNDO);

    rig->plan.lock_first = true;
    rig_fails(rig, STORE_OPEN, ERR_RETRY, "55P03"); /* after lock_timeout */
    rig_ok(rig, STORE_UNDO);
    sql_ok(other, "UPDATE attempts SET version = 5; COMMIT");
    rig_ok(rig, STORE_OPEN);
    rig_ok(rig, STORE_LOCK);
    assert_int_equal(rig->rows[0].version, 5);
    rig_ok(rig, STORE_UNDO);
    PQfinish(other);
}

static void test_row_write_uses_the_index(void **state)
{
    struct rig *rig = *state;
    sql_ok(rig->db, "INSERT INTO attempts (id) SELECT gen_random_uuid() "
                    "FROM generate_series(1, 3000)");
    sql_ok(rig->db, "SET enable_seqscan = off");
    sql_ok(rig->db, "SET enable_hashjoin = off");
    sql_ok(rig->db, "SET enable_mergejoin = off");
    sql_ok(rig->db, "SET plan_cache_mode = force_generic_plan");
    const char *files[] = { "store_write_rows.sql", "store_fill_starts.sql",
                            "store_read_rows.sql",  "store_lock_rows.sql",
                            "store_make_rows.sql",  "store_submissions.sql",
                            "store_answers.sql",    "store_recall_attempts.sql",
                            "store_enter_exams.sql" };
    const char *nulls[] = { "10", "5", "1", "1", "5", "10", "1", "1", "2" };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char sql[8192];
        (void)snprintf(sql, sizeof sql, "PREPARE p AS %s", pg_statement_text(files[i]));
        sql_ok(rig->db, sql);
        struct buf explain;
        buf_init(&explain, 256);
        buf_put(&explain, BYTES("EXPLAIN EXECUTE p (null"));
        for (int n = 1; n < (int)strtol(nulls[i], NULL, 10); n++)
            buf_put(&explain, BYTES(",null"));
        buf_put(&explain, (struct bytes){ ")", 2 }); /* and its NUL */
        assert_false(explain.failed);
        PGresult *plan = PQexec(rig->db, explain.ptr);
        buf_release(&explain);
        bool index = false;
        for (int row = 0; row < PQntuples(plan); row++) {
            const char *line = PQgetvalue(plan, row, 0);
            index |= strstr(line, "using attempt_rows_pkey") != NULL ||
                     strstr(line, "on attempt_rows_pkey") != NULL;
            if (strstr(line, "Seq Scan") != NULL ||
                strstr(line, "attempt_rows_") != strstr(line, "attempt_rows_pkey"))
                fail_msg("%s: %s", files[i], line);
        }
        PQclear(plan);
        if (!index)
            fail_msg("%s does not find attempts by id", files[i]);
        sql_ok(rig->db, "DEALLOCATE p");
    }
}

/* --------------------------------------------------------------------------- the careful way */

static void write_plan(struct rig *rig, int64_t from)
{
    static struct start_row new_rows[4], fills[4];
    rig_plan(rig, from, from + 1);
    rig->plan.new_rows = new_rows;
    rig->plan.fills = fills;
    rig->plan.exact_folds = rig->fold_list;
}

/* A start that is judged one by one. */
static void name_exam(struct rig *rig, unsigned attempt, unsigned exam)
{
    static struct exam_entry entry;
    entry =
        (struct exam_entry){ .attempt_id = rig_uuid('a', attempt), .exam_id = rig_uuid('e', exam) };
    rig->plan.exams = &entry;
    rig->plan.exam_count = 1;
}

/*
 * Of plain starts and of those to be judged together: who waits for the first exam has entered no
 * other. Else two workers that wait for each other's would be found by PostgreSQL, after a second.
 */
static void test_exams_are_entered_in_one_order(void **state)
{
    struct rig *rig = *state;
    PGconn *other = sql_connect(rig->url), *third = sql_connect(rig->url);
    sql_ok(other, "BEGIN; INSERT INTO exams (id) VALUES ('e0000000-0000-4000-8000-000000000003')");
    rig_plan(rig, 0, 1);
    rig_start(rig, 1, 5);
    rig_start(rig, 3, 4);
    name_exam(rig, 2, 3);
    struct store_call call = { .step = STORE_OPEN, .arena = &rig->arena, .plan = &rig->plan };
    rig->port.start(rig->port.self, &call);
    rig_poll_until_it_waits(rig, &rig->port);
    sql_ok(third, "BEGIN; SET LOCAL lock_timeout = 100;"
                  "INSERT INTO exams (id) VALUES ('e0000000-0000-4000-8000-000000000004'), "
                  "('e0000000-0000-4000-8000-000000000005'); ROLLBACK");
    sql_ok(other, "COMMIT");
    assert_int_equal(rig_poll_to_its_end(rig, &rig->port), STORE_OK);
    assert_true(rig->starts[0].done && rig->starts[1].done);
    rig_ok(rig, STORE_UNDO);
    PQfinish(third);
    PQfinish(other);
}

/* The start that comes second is refused, and then its exam must not be there either. */
static void started_elsewhere(struct rig *rig, bool judged)
{
    PGconn *other = sql_connect(rig->url);
    sql_ok(other, "INSERT INTO exams (id) VALUES ('e0000000-0000-4000-8000-000000000001')");
    sql_ok(other, "INSERT INTO attempts (id) VALUES (" A1 ")");
    rig_plan(rig, 0, 1);
    rig_start(rig, 1, 7);
    if (judged) {
        rig->plan.start_count = 0;
        name_exam(rig, 1, 7);
    }
    rig->plan.row_count = 1;
    rig->rows[0] = (struct attempt_row){ .attempt_id = rig_uuid('a', 1) };
    rig_ok(rig, STORE_OPEN);
    sql_ok(other, "UPDATE attempt_rows SET exam_id = 'e0000000-0000-4000-8000-000000000001', "
                  "student_id = '50000000-0000-4000-8000-000000000001', started_at = now()");
    rig_fails(rig, STORE_LOCK, ERR_RETRY, "race");
    rig_ok(rig, STORE_UNDO);
    rig_ok(rig, STORE_OPEN);
    rig_ok(rig, STORE_LOCK);
    assert_true(rig->rows[0].has_start);
    rig_ok(rig, STORE_CLOSE);
    sql_is(rig->db, "1", "SELECT string_agg(right(id::text, 1), ' ') FROM exams");
    PQfinish(other);
}

static void test_a_refused_start_enters_no_exam(void **state)
{
    started_elsewhere(*state, false);
}

static void test_a_judged_start_enters_no_exam_either(void **state)
{
    started_elsewhere(*state, true);
}

/* An exam that is deleted after it was found is entered with the next try. */
static void test_an_exam_that_goes_away(void **state)
{
    struct rig *rig = *state;
    write_plan(rig, 0);
    rig->plan.new_row_count = 1;
    rig->plan.new_rows[0] = *rig_start(rig, 2, 4);
    rig->plan.start_count = 0;
    name_exam(rig, 2, 4);
    sql_ok(rig->db, "INSERT INTO exams (id) VALUES ('e0000000-0000-4000-8000-000000000004')");
    rig_ok(rig, STORE_OPEN);
    sql_ok(rig->db, "DELETE FROM exams");
    rig_fails(rig, STORE_WRITE, ERR_RETRY, "23503");
    rig_ok(rig, STORE_UNDO);
    rig_ok(rig, STORE_OPEN);
    rig_ok(rig, STORE_WRITE);
    rig_ok(rig, STORE_UNDO);
}

static void test_write_makes_fills_and_folds(void **state)
{
    struct rig *rig = *state;
    /* A save whose start has not come: a row without one, and the save on it. */
    write_plan(rig, 0);
    rig->plan.new_row_count = 3;
    rig->plan.new_rows[0] = (struct start_row){ .attempt_id = rig_uuid('a', 1) };
    rig->plan.new_rows[1] = *rig_start(rig, 2, 4);
    rig->plan.new_rows[2] = (struct start_row){ .attempt_id = rig_uuid('a', 3) };
    rig->plan.start_count = 0;
    name_exam(rig, 2, 4);
    rig_fold(rig, 1, 1, 4, "{\"q\":1}", 1);
    rig->plan.fold_count = 0;
    rig->plan.exact_fold_count = 1;
    rig_ok(rig, STORE_OPEN);
    rig_ok(rig, STORE_WRITE);
    assert_true(rig->folds[0].written && !rig->folds[0].has_exam);
    assert_true(rig->plan.new_rows[0].done && rig->plan.new_rows[1].done);
    assert_int_equal(rig->plan.new_rows[0].revision, 1);
    assert_int_equal(rig->folds[0].revision, 2);
    rig_ok(rig, STORE_CLOSE);
    sql_is(rig->db, "1", "SELECT count(*) FROM exams");

    /* It submits, still without a start: nobody knows the deadline. So does a third. */
    rig_plan(rig, 1, 2);
    rig_submit(rig, rig_fold(rig, 1, 4, 5, NULL, 1), 1);
    rig_submit(rig, rig_fold(rig, 3, 1, 2, NULL, 1), 2);
    rig_flush(rig, 1);
    sql_is(rig->db, "2", "SELECT count(*) FROM submissions WHERE after_deadline IS NULL");

    /* The starts come at last, with a deadline that had passed, and one that was just met. */
    sql_ok(rig->db, "UPDATE attempt_rows SET updated_at = '2001-01-01', revision = revision + 1");
    write_plan(rig, 2);
    rig->plan.fill_count = 2;
    rig->plan.fills[0] = *rig_start(rig, 1, 9);
    rig->plan.fills[0].started.deadline_at_us = 1800000900000000;
    rig->plan.fills[1] = *rig_start(rig, 3, 9);
    rig->plan.fills[1].started.deadline_at_us = 1800001000000000;
    rig->plan.start_count = 0;
    name_exam(rig, 1, 9);
    rig_ok(rig, STORE_OPEN);
    rig_ok(rig, STORE_WRITE);
    assert_true(rig->plan.fills[0].done);
    assert_int_equal(rig->plan.fills[0].revision, 5);
    rig_ok(rig, STORE_CLOSE);
    sql_is(rig->db, "2", "SELECT count(*) FROM attempts WHERE updated_at > '2020-01-01'");
    sql_is(rig->db, "true false",
           "SELECT string_agg(after_deadline::text, ' ' ORDER BY attempt_id) FROM submissions");
    sql_is(rig->db, "e0000000-0000-4000-8000-000000000009|5|submitted",
           "SELECT concat_ws('|', exam_id, version, status) FROM attempts WHERE id = " A1);
    sql_is(rig->db, "0", "SELECT count(*) FROM foreign_changes");

    /* Twice is once too often. */
    rig->plan.move_count = 0;
    rig_ok(rig, STORE_OPEN);
    rig_fails(rig, STORE_WRITE, ERR_RETRY, "race");
    rig_ok(rig, STORE_UNDO);
}

static void test_write_is_exact(void **state)
{
    struct rig *rig = *state;
    make_attempt(rig);
    write_plan(rig, 1);
    rig_fold(rig, 1, 2, 3, NULL, 1); /* a gap would do for the fast way */
    rig->plan.fold_count = 0;
    rig->plan.exact_fold_count = 1;
    rig_ok(rig, STORE_OPEN);
    rig_fails(rig, STORE_WRITE, ERR_RETRY, "race");
    rig_ok(rig, STORE_UNDO);
    rig->plan.exact_fold_count = 0;
    rig->plan.new_row_count = 1;
    rig->plan.new_rows[0] = (struct start_row){ .attempt_id = rig_uuid('a', 1) };
    rig_ok(rig, STORE_OPEN);
    rig_fails(rig, STORE_WRITE, ERR_RETRY, "race");
    rig_ok(rig, STORE_UNDO);
}

/* Sixteen writes later an id is forgotten, also within one flush: then the judge applies it again,
 * and the statement has no say. */
static void test_write_takes_ids_as_judged(void **state)
{
    struct rig *rig = *state;
    make_attempt(rig);
    flush_fold(rig, 1, 1, 2, NULL, 1);
    write_plan(rig, 2);
    struct fold *fold = rig_fold(rig, 1, 2, 19, NULL, 17);
    rig->event_ids[0][16] = rig_uuid('b', 1001); /* of the first flush */
    rig->plan.fold_count = 0;
    rig->plan.exact_fold_count = 1;
    rig_ok(rig, STORE_OPEN);
    rig_ok(rig, STORE_WRITE);
    rig_ok(rig, STORE_CLOSE);
    assert_true(fold->written);
    sql_is(rig->db, "19|16|t",
           "SELECT concat_ws('|', version, cardinality(recent_event_ids), "
           "'b0000000-0000-4000-8000-000000001001' = recent_event_ids[16]) FROM attempt_rows");
}

static void test_refused_by_a_constraint(void **state)
{
    struct rig *rig = *state;
    make_attempt(rig);
    sql_ok(rig->db, "ALTER TABLE attempt_rows ADD CONSTRAINT house_rule "
                    "CHECK (NOT attempt_fold(folded_answers, tail) ? 'forbidden')");
    rig_plan(rig, 1, 2);
    rig_fold(rig, 1, 1, 2, "{\"forbidden\":\"my secret answer\"}", 1);
    rig_fails(rig, STORE_OPEN, ERR_REJECT, "23514");
    assert_non_null(strstr(rig->err.text, "house_rule"));
    assert_null(strstr(rig->err.text, "secret"));
    rig_ok(rig, STORE_UNDO);
}

/* ---------------------------------------------------------------------------------- activity */

static void add_activity(struct rig *rig, unsigned event, int64_t at_us)
{
    size_t n = rig->plan.activity_count++;
    rig->items[n] = (struct activity){ .event_id = rig_uuid('d', event),
                                       .event_type = BYTES("answer_changed"),
                                       .occurred_at_us = at_us };
    if (event % 2 == 0)
        rig->items[n].payload = BYTES("{\"question_id\":\"q1\"}");
    rig->activities[n] =
        (struct activity_row){ .attempt_id = rig_uuid('a', event), .item = &rig->items[n] };
}

static void test_activity_is_stored_once(void **state)
{
    struct rig *rig = *state;
    const int64_t now = 1795000000000000, old = 946684800000000, late = 4102444799999999;
    rig_plan(rig, 0, 1);
    add_activity(rig, 2, now);
    add_activity(rig, 1, old);
    add_activity(rig, 3, late);
    rig_flush(rig, 1);
    for (size_t i = 0; i < 3; i++)
        assert_true(rig->activities[i].stored);
    rig_plan(rig, 1, 2);
    add_activity(rig, 9, now);
    add_activity(rig, 2, now);
    add_activity(rig, 9, now); /* the same key twice: the first has it */
    add_activity(rig, 2, now + 1);
    add_activity(rig, 3, late);
    rig_flush(rig, 1);
    const bool expected[] = { true, false, false, true, false };
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(rig->activities[i].stored, expected[i]);
    rig_plan(rig, 2, 3);
    add_activity(rig, 9, now);
    add_activity(rig, 2, now);
    rig_flush(rig, 1);
    assert_false(rig->activities[0].stored || rig->activities[1].stored);
    sql_is(rig->db, "5|3|2000-01-01 00:00:00|2099-12-31 23:59:59.999999",
           "SELECT concat_ws('|', count(*), count(*) FILTER (WHERE payload IS NULL), "
           "min(occurred_at) AT TIME ZONE 'UTC', max(occurred_at) AT TIME ZONE 'UTC') "
           "FROM activity_events");
    /* A flush that was undone has stored nothing, and the next try may find others' work. */
    rig_plan(rig, 3, 4);
    add_activity(rig, 11, now);
    add_activity(rig, 12, now);
    rig_ok(rig, STORE_OPEN);
    rig_ok(rig, STORE_UNDO);
    sql_ok(rig->db, "INSERT INTO activity_events (event_id, attempt_id, event_type, occurred_at) "
                    "SELECT 'd0000000-0000-4000-8000-000000000012', attempt_id, event_type, "
                    "occurred_at FROM activity_events WHERE event_id = "
                    "'d0000000-0000-4000-8000-000000000009'");
    rig_flush(rig, 1);
    assert_true(rig->activities[0].stored);
    assert_false(rig->activities[1].stored);
}

/* Many events are inserted as if all were new; when some are not, the rest of the flush stands. */
static void test_much_activity_is_stored_once(void **state)
{
    struct rig *rig = *state;
    const int64_t now = 1795000000000000;
    rig_plan(rig, 0, 1);
    for (unsigned event = 40; event > 0; event--)
        add_activity(rig, event, now);
    add_activity(rig, 7, now); /* the same key twice: the first has it */
    add_activity(rig, 7, now - 1);
    rig_flush(rig, 1);
    for (size_t i = 0; i < 42; i++)
        assert_int_equal(rig->activities[i].stored, i != 40);
    sql_is(rig->db, "41", "SELECT count(*) FROM activity_events");
    for (unsigned flush = 0; flush < 2; flush++) {
        rig_plan(rig, 1 + flush, 2 + flush);
        rig_start(rig, 1 + flush, 1);
        for (unsigned event = 1; event <= 40; event++)
            add_activity(rig, 30 * (flush + 1) + event, now);
        rig_flush(rig, 1);
        assert_true(rig->starts[0].done);
        for (size_t i = 0; i < 40; i++)
            assert_int_equal(rig->activities[i].stored, i >= 10);
    }
    sql_is(rig->db, "101 2",
           "SELECT concat_ws(' ', count(*), (SELECT count(*) FROM attempts)) FROM activity_events");
}

static void test_views_are_asked_for(void **state)
{
    struct rig *rig = *state;
    struct bytes views[] = { BYTES("question_stats"), BYTES("nobody's") };
    rig_plan(rig, 0, 0);
    rig->plan.views = views;
    rig->plan.view_count = 2;
    rig_flush(rig, 0);
    /* A refresh under way holds its schedule; nobody waits for it. */
    sql_ok(rig->db, "BEGIN; SELECT FROM view_schedules FOR UPDATE");
    rig_flush(rig, 0);
    sql_ok(rig->db, "COMMIT");
    sql_is(rig->db, "question_stats 2",
           "SELECT string_agg(view_name || ' ' || requests, ',') FROM view_requests");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_claimed, rig_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_starts_make_rows_and_enter_exams),
        TEST(test_starts_race),
        TEST(test_fast_fold_merges),
        TEST(test_fast_guard),
        TEST(test_sixteen_recent_ids),
        TEST(test_many_folds_in_one_statement),
        TEST(test_submit_freezes),
        TEST(test_lock_reads_rows),
        TEST(test_lock_waits_only_if_asked),
        TEST(test_row_write_uses_the_index),
        TEST(test_exams_are_entered_in_one_order),
        TEST(test_a_refused_start_enters_no_exam),
        TEST(test_a_judged_start_enters_no_exam_either),
        TEST(test_an_exam_that_goes_away),
        TEST(test_write_makes_fills_and_folds),
        TEST(test_write_is_exact),
        TEST(test_write_takes_ids_as_judged),
        TEST(test_refused_by_a_constraint),
        TEST(test_activity_is_stored_once),
        TEST(test_much_activity_is_stored_once),
        TEST(test_views_are_asked_for),
    };
    return cmocka_run_group_tests_name("store_rows", tests, pg_group_start, pg_group_stop);
}
