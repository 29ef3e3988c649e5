/* Writing through the view `attempts`: what a caller finds when somebody else was faster, what he
 * may, and that everybody reads the newest changes, wherever they wait. */
#include "tests/pg/private_pg.h"
#include "tests/pg/sql.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define A "'11111111-1111-4111-8111-111111111111'"
#define B "'22222222-2222-4222-8222-222222222222'"
#define E "'eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee'"

/* What the worker's statement does, in short. */
#define SAVE(members)                                                                              \
    "UPDATE attempt_rows SET tail = tail || ',\"" members "', version = version + 1, "             \
    "revision = revision + 1, updated_at = clock_timestamp() WHERE id = " A

/* Two callers and a third who looks on; attempt A has the answers q1 (folded) and q2 (waiting). */
struct fixture {
    PGconn *first, *second, *db;
};

static int open_database(void **state)
{
    static struct fixture f;
    char url[PRIVATE_PG_URL_BYTES];
    struct err err = { 0 };
    if (!private_pg_database(pg_group_server(), true, true, url, &err)) {
        print_error("%s\n", err.text);
        return -1;
    }
    f = (struct fixture){ sql_connect(url), sql_connect(url), sql_connect(url) };
    if (!f.first || !f.second || !f.db)
        return -1;
    sql_ok(f.db, "SET timezone = 'UTC'");
    sql_ok(f.second, "SET timezone = 'UTC'");
    sql_ok(f.db, "INSERT INTO exams (id) VALUES (" E ")");
    sql_ok(f.db, "INSERT INTO attempts (id, exam_id, student_id, started_at, answers) "
                 "VALUES (" A ", " E ", " B ", '2026-01-01Z', '{\"q1\": 1}')");
    sql_ok(f.db, SAVE("q2\":2"));
    *state = &f;
    return 0;
}

static int close_database(void **state)
{
    struct fixture *f = *state;
    PQfinish(f->first);
    PQfinish(f->second);
    PQfinish(f->db);
    return 0;
}

/* ------------------------------------------------------------------------- who comes second */

/* `sql` of the second caller runs into what the first, who has begun, did; then the first commits.
 */
static PGresult *second_meanwhile(struct fixture *f, const char *sql)
{
    assert_int_equal(PQsendQuery(f->second, sql), 1);
    while (sql_number(f->db, "SELECT count(*) FROM pg_locks WHERE NOT granted") == 0) {
        assert_int_equal(PQconsumeInput(f->second), 1);
        if (!PQisBusy(f->second))
            fail_msg("it does not wait: %s", sql);
        (void)poll(NULL, 0, 5);
    }
    sql_ok(f->first, "COMMIT");
    PGresult *result = PQgetResult(f->second);
    PGresult *last = PQgetResult(f->second);
    assert_null(last);
    return result;
}

static void second_changes(struct fixture *f, const char *rows, const char *returned,
                           const char *sql)
{
    PGresult *result = second_meanwhile(f, sql);
    if (*PQresultErrorMessage(result))
        fail_msg("%s", PQresultErrorMessage(result));
    assert_string_equal(PQcmdTuples(result), rows);
    if (returned)
        assert_string_equal(PQgetvalue(result, 0, 0), returned);
    PQclear(result);
}

static void second_is_told(struct fixture *f, const char *sqlstate, const char *sql)
{
    PGresult *result = second_meanwhile(f, sql);
    assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), sqlstate);
    PQclear(result);
    sql_ok(f->second, "ROLLBACK");
}

static void first_does(struct fixture *f, const char *sql)
{
    sql_ok(f->first, "BEGIN");
    sql_ok(f->first, sql);
}

static void test_extra_time_and_a_save_are_both_kept(void **state)
{
    struct fixture *f = *state;
    first_does(f, SAVE("q3\":3"));
    second_changes(f, "1", "3 {\"q1\": 1, \"q2\": 2, \"q3\": 3} 2026-02-01",
                   "UPDATE attempts SET deadline_at = '2026-02-01Z' WHERE exam_id = " E
                   " RETURNING concat_ws(' ', version, answers, deadline_at::date)");
    sql_is(f->db, "3 {\"q1\": 1, \"q2\": 2, \"q3\": 3} 2026-02-01 4",
           "SELECT concat_ws(' ', version, answers, deadline_at::date, revision) FROM attempts");
    sql_is(f->db, ",\"q2\":2,\"q3\":3", "SELECT tail FROM attempt_rows");
    sql_is(f->db, "3 4",
           "SELECT concat_ws(' ', version, revision) FROM foreign_changes "
           "ORDER BY id DESC LIMIT 1");
    sql_is(f->db, "{\"new\": {\"deadline_at\": \"2026-02-01T00:00:00+00:00\"}}",
           "SELECT detail FROM audit_log ORDER BY id DESC LIMIT 1");
}

static void test_two_callers_change_two_columns(void **state)
{
    struct fixture *f = *state;
    first_does(f, "UPDATE attempts SET deadline_at = '2026-02-01Z'");
    second_changes(f, "1", NULL, "UPDATE attempts SET started_at = '2026-01-02Z'");
    sql_is(f->db, "2026-01-02 2026-02-01 4",
           "SELECT concat_ws(' ', started_at::date, deadline_at::date, revision) FROM attempts");
    sql_is(f->db, "3", "SELECT count(*) FROM foreign_changes");
    /* Who counts the revision himself is no foreign writer, in second place neither. */
    static const char changed_at[] =
        "SELECT extract(epoch FROM updated_at) * 1000000 FROM attempts";
    first_does(f, SAVE("q3\":3"));
    long long saved_at = sql_number(f->first, changed_at);
    second_changes(f, "1", NULL,
                   "UPDATE attempts SET deadline_at = '2026-02-02Z', revision = revision + 1");
    assert_int_equal(sql_number(f->db, changed_at), saved_at);
    sql_is(f->db, "2026-02-02 6 3",
           "SELECT concat_ws(' ', deadline_at::date, revision, version) FROM attempts");
    sql_is(f->db, "3", "SELECT count(*) FROM foreign_changes");
    /* What came first stays in each column that the second leaves alone. */
    sql_ok(f->db, "INSERT INTO exams (id) VALUES (" B ")");
    first_does(f, "UPDATE attempts SET exam_id = " B ", student_id = " E ", "
                  "started_at = '2026-01-03Z'");
    second_changes(f, "1", NULL, "UPDATE attempts SET deadline_at = '2026-02-03Z'");
    sql_is(f->db, "t",
           "SELECT (exam_id, student_id, started_at, deadline_at) = "
           "(" B "::uuid, " E "::uuid, '2026-01-03Z', '2026-02-03Z') FROM attempts");
}

static void test_compare_and_set_says_no_rows(void **state)
{
    struct fixture *f = *state;
    first_does(f, SAVE("q3\":3"));
    second_changes(f, "0", NULL,
                   "UPDATE attempts SET answers = '{}', version = version + 1 WHERE version = 2");
    sql_is(f->db, "3 {\"q1\": 1, \"q2\": 2, \"q3\": 3}",
           "SELECT concat_ws(' ', version, answers) FROM attempts");
    sql_is(f->db, "1", "SELECT count(*) FROM foreign_changes");
    sql_ok(f->second, "UPDATE attempts SET answers = '{\"x\": 1}', version = version + 1 "
                      "WHERE version = 3");
    sql_is(f->db, "4 {\"x\": 1}", "SELECT concat_ws(' ', version, answers) FROM attempts");
    sql_is(f->db, "", "SELECT tail FROM attempt_rows");
}

static void test_nothing_is_overwritten_unseen(void **state)
{
    struct fixture *f = *state;
    static const char *const changes[] = {
        "UPDATE attempts SET answers = answers || '{\"x\": 1}'",
        "UPDATE attempts SET auto_save_data = '{}'",
        "UPDATE attempts SET status = 'submitted', submitted_at = now()",
        "UPDATE attempts SET answers = '{}', deadline_at = now()",
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        first_does(f, SAVE("q3\":3"));
        second_is_told(f, "40001", changes[i]);
    }
    sql_is(f->db, "6 {\"q1\": 1, \"q2\": 2, \"q3\": 3} in_progress",
           "SELECT concat_ws(' ', version, answers, status, deadline_at) FROM attempts");
    first_does(f, SAVE("q4\":4"));
    sql_ok(f->second, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    second_is_told(f, "40001", "UPDATE attempts SET deadline_at = now()");
    sql_ok(f->second, changes[0]);
    sql_ok(f->second, changes[2]);
    sql_is(f->db, "{\"x\": 1, \"q1\": 1, \"q2\": 2, \"q3\": 3, \"q4\": 4}",
           "SELECT answers FROM attempts WHERE status = 'submitted' AND "
           "answers = attempt_document(id)");
}

static void test_what_is_no_longer_there_is_not_changed(void **state)
{
    struct fixture *f = *state;
    first_does(f, "SELECT batch_submit_attempts(ARRAY[" A "::uuid])");
    second_changes(f, "0", NULL,
                   "UPDATE attempts SET deadline_at = now() WHERE status = 'in_progress'");
    sql_is(f->db, NULL, "SELECT deadline_at FROM attempts");
    sql_ok(f->db, "INSERT INTO attempts (id) VALUES (" B ")");
    first_does(f, "DELETE FROM attempts WHERE id = " B);
    second_changes(f, "0", NULL, "UPDATE attempts SET deadline_at = now() WHERE id = " B);
}

/* ---------------------------------------------------------------------------- one at a time */

static void test_a_submit_keeps_what_waits(void **state)
{
    struct fixture *f = *state;
    sql_ok(f->db, "UPDATE attempts SET status = 'submitted', submitted_at = now()");
    sql_is(f->db, "{\"q1\": 1, \"q2\": 2}",
           "SELECT answers FROM attempts WHERE answers = attempt_document(id)");
}

static void test_insert_and_update_look_like_a_tables(void **state)
{
    struct fixture *f = *state;
    sql_is(f->db, "in_progress 1 1 {} t",
           "INSERT INTO attempts (id) VALUES (" B ") RETURNING concat_ws(' ', status, version, "
           "revision, answers, updated_at = now())");
    sql_fails(f->db, "23505", "INSERT INTO attempts (id) VALUES (" B ")");
    sql_fails(f->db, "23502", "INSERT INTO attempts (id, status) VALUES (gen_random_uuid(), NULL)");
    sql_fails(f->db, "23502", "UPDATE attempts SET answers = NULL");
    sql_fails(f->db, "23514", "UPDATE attempts SET answers = '[]'");
    sql_fails(f->db, "23514", "UPDATE attempts SET status = 'lost'");
    sql_fails(f->db, "23503", "UPDATE attempts SET exam_id = id, student_id = id");
    sql_fails(f->db, "42P10",
              "INSERT INTO attempts (id) VALUES (" B ") ON CONFLICT (id) DO NOTHING");
    sql_ok(f->db, "INSERT INTO attempts (id, status, submitted_at, answers) VALUES "
                  "(gen_random_uuid(), 'submitted', now(), '{\"q\": 1.50}')");
    sql_is(f->db, "1 t",
           "SELECT concat_ws(' ', count(*), bool_and(q.answer::text = '1.50')) FROM "
           "submissions s JOIN attempt_answers q USING (attempt_id)");
    /* A change of digits alone is a change. */
    sql_ok(f->db, "UPDATE attempts SET answers = '{\"q\": 1}' WHERE id = " B);
    sql_ok(f->db, "UPDATE attempts SET answers = '{\"q\": 1.0}' WHERE id = " B);
    sql_is(f->db, "{\"q\": 1.0}", "SELECT answers FROM attempts WHERE id = " B);
    /* What nobody changed stays where it waits. */
    sql_ok(f->db, "UPDATE attempts SET started_at = now(), version = version + 1 WHERE id = " A);
    sql_is(f->db, ",\"q2\":2", "SELECT tail FROM attempt_rows WHERE id = " A);
    sql_is(f->db, "3 {\"q1\": 1, \"q2\": 2}",
           "SELECT concat_ws(' ', version, answers) FROM attempts WHERE id = " A);
    sql_ok(f->db, "BEGIN");
    sql_is(f->db, "1",
           "WITH u AS (UPDATE attempts a SET deadline_at = now() FROM generate_series(1, 3)"
           " WHERE id = " A " RETURNING a.deadline_at) SELECT count(DISTINCT deadline_at) FROM u");
    sql_ok(f->db, "COMMIT");
}

static void test_rights_are_those_on_the_view(void **state)
{
    struct fixture *f = *state;
    sql_ok(f->db, "CREATE ROLE tutor");
    sql_ok(f->db, "GRANT SELECT, UPDATE (deadline_at) ON attempts TO tutor");
    sql_ok(f->db, "SET ROLE tutor");
    sql_ok(f->db, "UPDATE attempts SET deadline_at = now() WHERE id = " A);
    sql_is(f->db, "{\"q1\": 1, \"q2\": 2}", "SELECT answers FROM attempts");
    sql_fails(f->db, "42501", "UPDATE attempts SET answers = '{}'");
    sql_fails(f->db, "42501", "UPDATE attempts SET deadline_at = now(), version = 9");
    sql_fails(f->db, "42501", "INSERT INTO attempts (id) VALUES (" B ")");
    sql_fails(f->db, "42501", "DELETE FROM attempts");
    sql_fails(f->db, "42501", "SELECT FROM attempt_rows");
    sql_ok(f->db, "RESET ROLE");
    sql_ok(f->db, "GRANT INSERT (id), DELETE ON attempts TO tutor");
    sql_ok(f->db, "SET ROLE tutor");
    sql_ok(f->db, "SET search_path = pg_catalog");
    sql_ok(f->db, "INSERT INTO public.attempts (id) VALUES (" B ")");
    sql_ok(f->db, "DELETE FROM public.attempts");
    sql_ok(f->db, "RESET ROLE");
    sql_is(f->db, "{\"q1\": 1, \"q2\": 2}",
           "SELECT detail -> 'old_answers' FROM public.audit_log WHERE action = 'delete' AND "
           "attempt_id = " A);
    sql_ok(f->db, "DROP OWNED BY tutor");
    sql_ok(f->db, "DROP ROLE tutor");
}

static void test_everybody_reads_what_waits(void **state)
{
    struct fixture *f = *state;
    sql_ok(f->db, SAVE("q1\":null,\"q3\":[null]"));
    static const char *const whole[] = {
        "SELECT answers FROM attempts",
        "SELECT attempt_fold(r.folded_answers, r.tail) FROM attempt_rows r",
        "SELECT attempt_document(" A ")",
        "SELECT answers FROM get_multiple_attempt_states(ARRAY[" A "::uuid])",
    };
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        sql_is(f->db, "{\"q2\": 2, \"q3\": [null]}", whole[i]);
    sql_is(f->db, "2", "SELECT answered FROM get_active_attempts(" E ")");
    sql_is(f->db, "2", "SELECT trunc(answered_avg) FROM get_attempt_statistics(" E ")");
    sql_is(f->db, "t", "SELECT valid FROM validate_attempt_upload(" A ")");
    sql_ok(f->db, "REFRESH MATERIALIZED VIEW CONCURRENTLY exam_attempt_stats");
    sql_ok(f->db, "REFRESH MATERIALIZED VIEW CONCURRENTLY question_stats");
    sql_is(f->db, "2", "SELECT trunc(answered_avg) FROM exam_attempt_stats");
    sql_is(f->db, "q2 q3",
           "SELECT string_agg(question_id, ' ' ORDER BY question_id) FROM question_stats");
    sql_ok(f->db, SAVE("q2\":null,\"q3\":null"));
    sql_is(f->db, "{no_answers}", "SELECT reasons FROM validate_attempt_upload(" A ")");
    /* And the log says what was before and after. */
    sql_ok(f->db, "UPDATE attempts SET answers = '{\"q2\": 1}'");
    sql_ok(f->db, SAVE("q2\":3"));
    sql_is(f->db, "applied",
           "SELECT outcome FROM batch_save_attempts('[{\"attempt_id\": "
           "\"11111111-1111-4111-8111-111111111111\", \"expected_version\": 5, "
           "\"answers\": {\"q2\": null, \"q5\": 5}}]')");
    sql_is(
        f->db,
        "{\"new_answers\": {\"q2\": 1}} {\"new\": {\"version\": 6}, \"old\": {\"version\": 5}, "
        "\"new_answers\": {\"q5\": 5}, \"old_answers\": {\"q2\": 3}}",
        "SELECT string_agg(detail::text, ' ' ORDER BY id) FROM audit_log WHERE action = 'update'");
    /* The submit of the function, with a tail; then its door. */
    sql_ok(f->db, SAVE("q6\":6"));
    sql_ok(f->db, "SELECT batch_submit_attempts(ARRAY[" A "::uuid])");
    sql_is(f->db, "t",
           "SELECT answers = attempt_document(id) AND answers = '{\"q5\": 5, \"q6\": 6}' "
           "FROM attempts");
    sql_ok(f->db, "SELECT maintain_attempt(" A ", 'amend', 'x', '{\"q5\": null}')");
    sql_is(f->db, "{\"q5\": 5, \"q6\": 6}",
           "SELECT detail -> 'before' FROM audit_log WHERE action = 'amend'");
    sql_is(f->db, "{\"q6\": 6}", "SELECT attempt_document(" A ")");
    sql_fails(f->db, "23514",
              "INSERT INTO attempt_rows (id, status, submitted_at, tail) VALUES "
              "(" B ", 'submitted', now(), ',\"q\":1')");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_database, close_database)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_extra_time_and_a_save_are_both_kept),
        TEST(test_two_callers_change_two_columns),
        TEST(test_compare_and_set_says_no_rows),
        TEST(test_nothing_is_overwritten_unseen),
        TEST(test_what_is_no_longer_there_is_not_changed),
        TEST(test_a_submit_keeps_what_waits),
        TEST(test_insert_and_update_look_like_a_tables),
        TEST(test_rights_are_those_on_the_view),
        TEST(test_everybody_reads_what_waits),
    };
    return cmocka_run_group_tests_name("view", tests, pg_group_start, pg_group_stop);
}
