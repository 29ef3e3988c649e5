/* The functions for synchronous callers: what they promise, and what hostile input gets. */
#include "common/rfc3339.h"
#include "common/rng.h"
#include "tests/pg/private_pg.h"
#include "tests/pg/sql.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID(digit)                                                                                  \
    digit digit digit digit digit digit digit digit                                                \
        "-1111-4111-8111-" digit digit digit digit digit digit digit digit digit digit digit digit
#define E "'eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee'"
#define S "'55555555-5555-4555-8555-555555555555'"

/* Attempts 1…5 of exam E, in progress at version 1, with an answer. */
static void make_attempts(PGconn *db)
{
    sql_ok(db, "INSERT INTO exams (id) VALUES (" E ")");
    sql_ok(db, "INSERT INTO attempts (id, exam_id, student_id, started_at, answers) "
               "SELECT translate('" ID(
                   "x") "', 'x', n::text)::uuid, " E ", " S ", "
                        "now() - interval '1 hour', '{\"q1\": 1}' FROM generate_series(1, 5) AS n");
    sql_ok(db, "DELETE FROM foreign_changes");
}

/* "ordinal outcome version", joined: the whole answer of a call in one text. */
#define OUTCOMES(call)                                                                             \
    "SELECT string_agg(concat_ws(' ', ordinal, outcome, version), ', ' ORDER BY place) FROM "      \
    "(SELECT *, row_number() OVER () AS place FROM " call ") AS r"

static void test_each_save_has_its_outcome_in_order(void **state)
{
    PGconn *db = *state;
    make_attempts(db);
    sql_ok(db, "UPDATE attempts SET status = 'submitted', submitted_at = now() "
               "WHERE id = '" ID("5") "'");
    sql_ok(db, "DELETE FROM foreign_changes");
    sql_is(
        db, "1 applied 2, 2 late 1, 3 conflict 1, 4 unknown, 5 repeated 2, 6 applied 2, 7 invalid",
        OUTCOMES(
            "batch_save_attempts('["
            "{\"attempt_id\":\"" ID(
                "2") "\",\"expected_version\":1,"
                     "\"answers\":{\"q1\":null,\"q2\":[null]},\"event_id\":\"" ID(
                         "a") "\"},"
                              "{\"attempt_id\":\"" ID(
                                  "5") "\",\"expected_version\":1},"
                                       "{\"attempt_id\":\"" ID(
                                           "3") "\",\"expected_version\":2},"
                                                "{\"attempt_id\":\"" ID(
                                                    "9") "\",\"expected_version\":1},"
                                                         "{\"attempt_id\":\"" ID(
                                                             "2") "\",\"expected_version\":2},"
                                                                  "{\"attempt_id\":\"" ID(
                                                                      "1") "\",\"expected_version\":1,"
                                                                           "\"auto_save_data\":{\"at\":7},\"answers\":null,\"unknown\":0},"
                                                                           "7]')"));
    sql_is(db, "{\"q2\": [null]}", "SELECT answers FROM attempts WHERE id = '" ID("2") "'");
    sql_is(db, "{\"q1\": 1} {\"at\": 7}",
           "SELECT concat_ws(' ', answers, auto_save_data) FROM attempts WHERE id = '" ID("1") "'");
    /* Foreign changes, with the revision that the trigger gave. */
    sql_is(db, "2",
           "SELECT count(*) FROM foreign_changes f JOIN attempts a ON a.id = f.attempt_id "
           "AND a.revision = f.revision AND a.version = f.version");
    /* Sent again, even after somebody else's save, it is a duplicate. */
    sql_ok(db, "UPDATE attempts SET version = 9 WHERE id = '" ID("2") "'");
    sql_is(db, "1 duplicate 9",
           OUTCOMES("batch_save_attempts('[{\"attempt_id\":\"" ID("2") "\",\"expected_version\":1,"
                                                                       "\"event_id\":\"" ID(
                                                                           "a") "\"}]')"));
    sql_is(db, "the attempt is at version 9, not 3",
           "SELECT error FROM batch_save_attempts('[{\"attempt_id\":\"" ID(
               "2") "\",\"expected_version\":3}]')");
}

static void test_sixteen_events_are_remembered(void **state)
{
    PGconn *db = *state;
    make_attempts(db);
    sql_ok(db, "DO $$ BEGIN FOR n IN 1..17 LOOP PERFORM batch_save_attempts(jsonb_build_array("
               "jsonb_build_object('attempt_id', '" ID(
                   "1") "', 'expected_version', n, "
                        "'event_id', md5(n::text)::uuid))); END LOOP; END $$");
    sql_is(db, "18 16",
           "SELECT concat_ws(' ', version, cardinality(recent_event_ids)) FROM attempt_rows "
           "WHERE id = '" ID("1") "'");
    sql_is(db, "1 conflict 18, 2 duplicate 18",
           "SELECT string_agg(concat_ws(' ', n, outcome, version), ', ' ORDER BY n) "
           "FROM generate_series(1, 2) n, batch_save_attempts(jsonb_build_array("
           "jsonb_build_object('attempt_id', '" ID("1") "', 'expected_version', n, "
                                                        "'event_id', md5(n::text)::uuid)))");
    /* Before late comes duplicate, as in the log: a submit takes nothing back. */
    sql_ok(db, "SELECT batch_submit_attempts(ARRAY['" ID("1") "']::uuid[])");
    sql_is(db, "duplicate late",
           "SELECT string_agg(outcome, ' ' ORDER BY n) FROM generate_series(18, 19) n, "
           "batch_save_attempts(jsonb_build_array(jsonb_build_object('attempt_id', '" ID(
               "1") "', 'expected_version', n, 'event_id', md5((n - 1)::text)::uuid)))");
}

static void test_auto_save_data_is_replaced_whole(void **state)
{
    PGconn *db = *state;
    make_attempts(db);
    static const char *const saves[] = { "{\"a\": 1}", "{\"b\": 2}", "null" };
    for (size_t i = 0; i < 3; i++) {
        char sql[300];
        (void)snprintf(sql, sizeof sql,
                       "SELECT batch_save_attempts('[{\"attempt_id\":\"" ID(
                           "3") "\",\"expected_version\":%zu,\"auto_save_data\":%s}]')",
                       i + 1, saves[i]);
        sql_ok(db, sql);
        sql_is(db, saves[i < 2 ? i : 1],
               "SELECT auto_save_data FROM attempts WHERE id = '" ID("3") "'");
    }
}

/* A bad operation between two good ones: these are applied, and it is named. */
static void check_bad_save(PGconn *db, const char *operation, const char *error)
{
    char sql[8192];
    (void)snprintf(
        sql, sizeof sql,
        "SELECT string_agg(outcome, ' ' ORDER BY ordinal) || ': ' || "
        "max(error) FILTER (WHERE ordinal = 2) "
        "FROM batch_save_attempts((SELECT jsonb_build_array("
        "jsonb_build_object('attempt_id', a.id, 'expected_version', a.version), "
        "(%s)::jsonb, "
        "jsonb_build_object('attempt_id', b.id, 'expected_version', b.version)) "
        "FROM attempts a, attempts b WHERE a.id = '" ID("1") "' "
                                                             "AND b.id = '" ID("2") "'))",
        operation);
    char expected[256];
    (void)snprintf(expected, sizeof expected, "applied invalid applied: %s", error);
    sql_is(db, expected, sql);
}

#define OP(members) "'{\"attempt_id\":\"" ID("3") "\",\"expected_version\":1," members "}'"

static void test_a_bad_save_stops_no_other(void **state)
{
    PGconn *db = *state;
    make_attempts(db);
    static const char needs_id[] = "attempt_id: a UUID in lower case is needed";
    static const char needs_version[] =
        "expected_version: an integer from 1 to 9223372036854775806 is needed";
    static const struct {
        const char *operation, *error;
    } cases[] = {
        { "'null'", "the operation is not an object but: null" },
        { "'\"; DROP TABLE attempts; --\"'", "the operation is not an object but: string" },
        { "'[[]]'", "the operation is not an object but: array" },
        { "'{}'", needs_id },
        { "'{\"attempt_id\":7}'", needs_id },
        { "'{\"attempt_id\":{\"a\":1}}'", needs_id },
        { "'{\"attempt_id\":\"x'' OR true --\"}'", needs_id },
        { "'{\"attempt_id\":\"" ID("A") "\",\"expected_version\":1}'", needs_id },
        { "'{\"attempt_id\":\"{" ID("3") "}\",\"expected_version\":1}'", needs_id },
        { "'{\"attempt_id\":\"00000000-0000-0000-0000-000000000000\",\"expected_version\":1}'",
          needs_id },
        { "'{\"attempt_id\":\"" ID("3") "\"}'", needs_version },
        { "'{\"attempt_id\":\"" ID("3") "\",\"expected_version\":0}'", needs_version },
        { "'{\"attempt_id\":\"" ID("3") "\",\"expected_version\":-1}'", needs_version },
        { "'{\"attempt_id\":\"" ID("3") "\",\"expected_version\":1.0}'", needs_version },
        { "'{\"attempt_id\":\"" ID("3") "\",\"expected_version\":\"1\"}'", needs_version },
        { "'{\"attempt_id\":\"" ID("3") "\",\"expected_version\":9223372036854775807}'",
          needs_version },
        { "'{\"attempt_id\":\"" ID("3") "\",\"expected_version\":1e300}'", needs_version },
        { OP("\"event_id\":5"), "event_id: a UUID in lower case is needed" },
        { OP("\"answers\":[]"), "answers: not_an_object" },
        { OP("\"answers\":\"\""), "answers: not_an_object" },
        { OP("\"answers\":{\"\":1}"), "answers: question_id_length" },
        { OP("\"auto_save_data\":7"), "auto_save_data: not_an_object" },
        { "jsonb_build_object('attempt_id', '" ID(
              "3") "', 'expected_version', 1, 'answers', "
                   "(SELECT jsonb_object_agg(n, n) FROM generate_series(1, 5001) n))",
          "answers: too_many_answers" },
        { "jsonb_build_object('attempt_id', '" ID("3") "', 'expected_version', 1, 'answers', "
                                                       "jsonb_build_object(repeat('ä', 129), 1))",
          "answers: question_id_length" },
        { "jsonb_build_object('attempt_id', '" ID(
              "3") "', 'expected_version', 1, 'answers', "
                   "jsonb_build_object('q', (repeat('[', 31) || repeat(']', 31))::jsonb))",
          "answers: too_deep" },
        { "jsonb_build_object('attempt_id', '" ID(
              "3") "', 'expected_version', 1, 'answers', "
                   "jsonb_build_object('q', ('1' || repeat('0', 2010))::jsonb))",
          "answers: number_too_long" },
        { "jsonb_build_object('attempt_id', '" ID(
              "3") "', 'expected_version', 1, "
                   "'auto_save_data', jsonb_build_object('q', repeat('x', 1048576)))",
          "auto_save_data: too_large" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_bad_save(db, cases[i].operation, cases[i].error);
    sql_is(db, "1", "SELECT version FROM attempts WHERE id = '" ID("3") "'");
    /* As deep and as many as the decoder takes. */
    sql_is(db, "1 applied 2",
           OUTCOMES("batch_save_attempts(jsonb_build_array(jsonb_build_object("
                    "'attempt_id', '" ID(
                        "3") "', 'expected_version', 1, 'answers', "
                             "(SELECT jsonb_object_agg(n, n) FROM generate_series(1, 4999) n) || "
                             "jsonb_build_object(repeat('ä', 128), "
                             "(repeat('[', 30) || repeat(']', 30))::jsonb))))"));
}

static void test_what_is_no_array_is_refused_as_a_whole(void **state)
{
    PGconn *db = *state;
    sql_fails(db, "22023", "SELECT batch_save_attempts('{}')");
    sql_fails(db, "22023", "SELECT batch_save_attempts('\"x\"')");
    sql_fails(db, "22023", "SELECT batch_save_attempts(NULL)");
    sql_fails(db, "22023", "SELECT batch_log_attempt_activity('7')");
    sql_fails(db, "22023", "SELECT batch_log_attempt_activity(NULL)");
    sql_is(db, "0", "SELECT count(*) FROM batch_save_attempts('[]')");
    sql_is(db, "0", "SELECT count(*) FROM batch_log_attempt_activity('[]')");
    sql_is(db, "0", "SELECT count(*) FROM batch_submit_attempts('{}')");
    sql_is(db, "0", "SELECT count(*) FROM batch_submit_attempts(NULL)");
    sql_is(db, "0", "SELECT count(*) FROM get_multiple_attempt_states(NULL)");
    sql_is(db, "0", "SELECT count(*) FROM validate_multiple_attempts(NULL)");
}

static void test_ten_thousand_bad_ones_are_ten_thousand_rows(void **state)
{
    PGconn *db = *state;
    make_attempts(db);
    sql_is(
        db, "10001 10000 1 10001",
        "SELECT concat_ws(' ', count(*), count(*) FILTER (WHERE outcome = 'invalid'), "
        "count(*) FILTER (WHERE outcome = 'applied'), max(ordinal)) FROM batch_save_attempts(("
        "SELECT jsonb_agg(CASE WHEN n = 5000 THEN jsonb_build_object('attempt_id', '" ID(
            "1") "', "
                 "'expected_version', 1) WHEN n % 2 = 0 THEN to_jsonb(n) "
                 "ELSE jsonb_build_object('attempt_id', n) END) FROM generate_series(1, 10001) n))");
    sql_is(
        db, "applied:1 invalid:1 repeated:9998 unknown:1",
        "SELECT string_agg(outcome || ':' || n, ' ' ORDER BY outcome) FROM (SELECT outcome, "
        "count(*) n FROM batch_submit_attempts((SELECT array_agg('" ID(
            "2") "'::uuid) "
                 "FROM generate_series(1, 9999)) || NULL::uuid || '" ID("9") "'::uuid) "
                                                                             "GROUP BY outcome) x");
}

/* A constraint of the platform's own, and answers that came around the worker. */
static void test_what_the_database_refuses_stops_no_other(void **state)
{
    PGconn *db = *state;
    make_attempts(db);
    sql_ok(
        db,
        "ALTER TABLE attempt_rows ADD CONSTRAINT no_poison CHECK (NOT attempt_fold(folded_answers, tail) ? 'poison')");
    sql_is(
        db, "1 applied 2, 2 invalid 1, 3 applied 2",
        OUTCOMES("batch_save_attempts('["
                 "{\"attempt_id\":\"" ID("1") "\",\"expected_version\":1},"
                                              "{\"attempt_id\":\"" ID(
                                                  "2") "\",\"expected_version\":1,"
                                                       "\"answers\":{\"poison\":1}},"
                                                       "{\"attempt_id\":\"" ID(
                                                           "3") "\",\"expected_version\":1}]')"));
    sql_ok(db,
           "UPDATE attempts SET answers = jsonb_build_object((SELECT string_agg(md5(n::text), '') "
           "FROM generate_series(1, 200) n), 1) WHERE id = '" ID("2") "'");
    sql_is(db, "1 applied 3, 2 invalid 1, 3 applied 3",
           OUTCOMES("batch_submit_attempts(ARRAY['" ID("1") "', '" ID("2") "', '" ID(
               "3") "']::uuid[])"));
    sql_is(db, "2", "SELECT count(*) FROM submissions");
}

static void test_a_submit_by_sql_is_whole(void **state)
{
    PGconn *db = *state;
    make_attempts(db);
    sql_ok(db, "UPDATE attempts SET deadline_at = now() - interval '1 minute', version = 7 "
               "WHERE id = '" ID("2") "'");
    sql_is(db, "1 applied 2, 2 applied 8, 3 repeated 2, 4 unknown, 5 invalid",
           OUTCOMES("batch_submit_attempts(ARRAY['" ID("1") "', '" ID("2") "', '" ID("1") "', '" ID(
               "9") "', NULL]::uuid[])"));
    sql_is(db, "1 late 2", OUTCOMES("batch_submit_attempts(ARRAY['" ID("1") "']::uuid[])"));
    sql_is(db, "f t",
           "SELECT string_agg(after_deadline::text::char, ' ' ORDER BY attempt_id) "
           "FROM submissions s WHERE event_id IS NULL AND missing = 0 AND answers_digest IS NULL "
           "AND (version, submitted_at) = (SELECT version, submitted_at FROM attempts "
           "WHERE id = attempt_id)");
    sql_is(db, "t", "SELECT bool_and(attempt_document(id) = answers) FROM attempts");
    sql_is(db, "1 late 2",
           OUTCOMES(
               "batch_save_attempts('[{\"attempt_id\":\"" ID("1") "\",\"expected_version\":2}]')"));
}

static void test_states_come_in_the_order_they_were_asked(void **state)
{
    PGconn *db = *state;
    make_attempts(db);
    sql_is(db, "1 t 1, 2 f, 3 t 1, 4 f",
           "SELECT string_agg(concat_ws(' ', ordinal, found, version), ', ' ORDER BY place) FROM "
           "(SELECT *, row_number() OVER () AS place FROM get_multiple_attempt_states(ARRAY['" ID(
               "3") "', '" ID("9") "', '" ID("3") "', NULL]::uuid[])) r");
    sql_is(
        db, "t",
        "SELECT (s.exam_id, s.student_id, s.status, s.answers, s.updated_at) = "
        "(a.exam_id, a.student_id, a.status, a.answers, a.updated_at) AND s.submitted_at IS NULL "
        "FROM get_multiple_attempt_states(ARRAY['" ID(
            "1") "']::uuid[]) s "
                 "JOIN attempts a ON a.id = s.attempt_id");
}

static void test_validation_gives_every_reason_at_once(void **state)
{
    PGconn *db = *state;
    make_attempts(db);
    sql_ok(db,
           "INSERT INTO attempts (id, deadline_at) VALUES ('" ID("6") "', now() - interval '1 s')");
    sql_ok(db, "UPDATE attempts SET answers = jsonb_build_object(repeat('x', 257), 1) || "
               "(SELECT jsonb_object_agg(n, n) FROM generate_series(1, 5000) n) "
               "WHERE id = '" ID("2") "'");
    sql_ok(db, "UPDATE attempts SET status = 'submitted', submitted_at = now(), "
               "deadline_at = '2020-01-01Z' WHERE id = '" ID("3") "'");
    sql_is(db, "t {}",
           "SELECT concat_ws(' ', valid, reasons) FROM validate_attempt_upload('" ID("1") "')");
    sql_is(db,
           "1 t {}, 2 f {too_many_answers,question_id_length}, "
           "3 f {already_submitted,past_deadline}, 4 f {past_deadline,no_start,no_answers}, "
           "5 f {unknown_attempt}, 6 f {unknown_attempt}",
           "SELECT string_agg(concat_ws(' ', ordinal, valid, reasons), ', ' ORDER BY ordinal) "
           "FROM validate_multiple_attempts(ARRAY['" ID("1") "', '" ID("2") "', '" ID(
               "3") "', '" ID("6") "', '" ID("9") "', NULL]::uuid[])");
    sql_is(
        db, "1 f",
        "SELECT count(*) || ' ' || bool_or(valid)::text::char FROM validate_attempt_upload(NULL)");
}

/* ---------------------------------------------------------------------------------- activity */

#define EVENT(id, at)                                                                              \
    "{\"event_id\":\"" ID(id) "\",\"event_type\":\"x\",\"occurred_at\":\"2026-01-01T00:00:" at     \
                              "Z\"}"
#define STORED(call)                                                                               \
    "SELECT string_agg(concat_ws(' ', ordinal, outcome, stored), ', ' ORDER BY place) FROM "       \
    "(SELECT *, row_number() OVER () AS place FROM " call ") AS r"

static void test_activity_is_stored_once(void **state)
{
    PGconn *db = *state;
    const char *call = STORED(
        "batch_log_attempt_activity('["
        "{\"attempt_id\":\"" ID("1") "\",\"events\":[" EVENT("a", "01") "," EVENT("b", "02") "," EVENT(
            "a", "01") "]},"
                       "{\"attempt_id\":\"" ID("2") "\",\"events\":[" EVENT("a", "01") "," EVENT(
                           "a", "03") "]},"
                                      "{\"attempt_id\":\"" ID("3") "\",\"events\":[" EVENT(
                                          "b", "02") "]}]')");
    sql_is(db, "1 applied 2, 2 applied 1, 3 duplicate 0", call);
    sql_is(db, "1 duplicate 0, 2 duplicate 0, 3 duplicate 0", call);
    sql_is(db, "3 2",
           "SELECT concat_ws(' ', count(*), count(*) FILTER (WHERE attempt_id = '" ID(
               "1") "')) "
                    "FROM activity_events");
    sql_is(db, "t", "SELECT bool_or(stale) FROM view_freshness"); /* a view counts activity */
    sql_is(db, "1 1", "SELECT concat_ws(' ', count(*), foreign_position()) FROM foreign_activity");
    sql_is(db, "0", "SELECT count(*) FROM foreign_changes");
}

static void check_bad_activity(PGconn *db, const char *member, const char *error)
{
    char sql[8192];
    (void)snprintf(sql, sizeof sql,
                   "SELECT string_agg(outcome, ' ' ORDER BY ordinal) || ': ' || "
                   "max(error) FILTER (WHERE ordinal = 2) FROM batch_log_attempt_activity(("
                   "SELECT jsonb_build_array(good('%s'), (%s)::jsonb, good('%s'))))",
                   ID("1"), member, ID("2"));
    char expected[256];
    (void)snprintf(expected, sizeof expected, "applied invalid applied: %s", error);
    sql_is(db, expected, sql);
}

#define EVENTS(events)                                                                             \
    "'{\"attempt_id\":\"" ID("3") "\",\"events\":[" EVENT("c", "00") "," events "]}'"
#define WITH(event_id, type, time)                                                                 \
    EVENTS("{\"event_id\":" event_id ",\"event_type\":" type ",\"occurred_at\":" time "}")
#define GOOD_ID   "\"" ID("d") "\""
#define GOOD_TIME "\"2026-01-01T00:00:00Z\""

static void test_bad_activity_stops_no_other(void **state)
{
    PGconn *db = *state;
    sql_ok(db, "CREATE FUNCTION good(p uuid) RETURNS jsonb LANGUAGE sql AS $$ SELECT "
               "jsonb_build_object('attempt_id', p, 'events', jsonb_build_array(jsonb_build_object("
               "'event_id', gen_random_uuid(), 'event_type', 'x', 'payload', NULL, "
               "'occurred_at', '2026-02-28T23:59:59.1234567+23:59'))) $$");
    static const char needs_id[] = "events[1].event_id: a UUID in lower case is needed";
    static const char needs_type[] = "events[1].event_type: a text of 1 to 256 bytes is needed";
    static const char needs_time[] =
        "events[1].occurred_at: a time as RFC 3339 has it is needed, from 2000 to 2099";
    static const struct {
        const char *member, *error;
    } cases[] = {
        { "'7'", "the member is not an object but: number" },
        { "'{\"attempt_id\":7,\"events\":[]}'", "attempt_id: a UUID in lower case is needed" },
        { "'{\"attempt_id\":\"" ID("3") "\"}'", "events: an array is needed" },
        { "'{\"attempt_id\":\"" ID("3") "\",\"events\":{}}'", "events: an array is needed" },
        { "'{\"attempt_id\":\"" ID("3") "\",\"events\":[]}'", "events: 1 to 1000 are needed" },
        { "jsonb_build_object('attempt_id', '" ID("3") "', 'events', "
                                                       "to_jsonb(array_fill(1, ARRAY[1001])))",
          "events: 1 to 1000 are needed" },
        { EVENTS("7"), "events[1]: an object is needed" },
        { EVENTS("null"), "events[1]: an object is needed" },
        { WITH("\"\"", "\"x\"", GOOD_TIME), needs_id },
        { WITH("null", "\"x\"", GOOD_TIME), needs_id },
        { WITH(GOOD_ID, "\"\"", GOOD_TIME), needs_type },
        { WITH(GOOD_ID, "7", GOOD_TIME), needs_type },
        { "jsonb_set(" WITH(GOOD_ID, "\"x\"", GOOD_TIME) "::jsonb, '{events,1,event_type}', "
                                                         "to_jsonb(repeat('ä', 128) || 'x'))",
          needs_type },
        { "jsonb_set(" WITH(GOOD_ID, "\"x\"", GOOD_TIME) "::jsonb, '{events,1,payload}', "
                                                         "to_jsonb(repeat('x', 1048576)))",
          "events: more than 1 MiB" },
        { WITH(GOOD_ID, "null", GOOD_TIME), needs_type },
        { WITH(GOOD_ID, "\"x\"", "\"now\""), needs_time },
        { WITH(GOOD_ID, "\"x\"", "\"infinity\""), needs_time },
        { WITH(GOOD_ID, "\"x\"", "7"), needs_time },
        { WITH(GOOD_ID, "\"x\"", "\"2026-02-30T00:00:00Z\""), needs_time },
        { WITH(GOOD_ID, "\"x\"", "\"1999-12-31T23:59:59Z\""), needs_time },
        { "jsonb_set('{\"attempt_id\":\"" ID(
              "3") "\"}', '{events}', jsonb_build_array("
                   "jsonb_build_object('event_id', '" ID(
                       "d") "', 'event_type', 'x', 'occurred_at', "
                            "'2026-01-01T00:00:00Z', 'payload', (repeat('[', 30) || repeat(']', 30))::jsonb)))",
          "events[0].payload: too_deep" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_bad_activity(db, cases[i].member, cases[i].error);
    /* Nothing of a bad member was stored. */
    sql_is(db, "0", "SELECT count(*) FROM activity_events WHERE attempt_id = '" ID("3") "'");
    sql_is(db, "2026-02-28 00:00:59.123456",
           "SELECT DISTINCT occurred_at AT TIME ZONE 'UTC' FROM activity_events");
    /* As many, as long and as deep as the decoder takes. */
    sql_is(
        db, "1 applied 1000",
        STORED("batch_log_attempt_activity((SELECT jsonb_build_array(jsonb_build_object("
               "'attempt_id', '" ID(
                   "3") "', 'events', jsonb_agg(jsonb_build_object("
                        "'event_id', gen_random_uuid(), 'event_type', repeat('ä', 128), 'payload', "
                        "(repeat('[', 29) || repeat(']', 29))::jsonb, 'occurred_at', "
                        "'2026-01-01T00:00:00Z')))) FROM generate_series(1, 1000)))"));
}

/* attempt_time() and the decoder's own reading of times agree on whatever is thrown at them. */
static void test_times_are_read_as_the_decoder_reads_them(void **state)
{
    PGconn *db = *state;
    static const char alphabet[] = "0123456789012345-+:.TZtz /";
    static const char *const seeds[] = {
        "2026-11-21T12:34:56.123456789Z", "2024-02-29T23:59:59+23:59",
        "2099-12-31T00:00:00.5-00:00",    "2000-01-01T00:00:00Z",
        "2025-02-28T24:00:00-15:30",      "2026-06-30T23:59:60Z"
    };
    struct rng rng = { 4 };
    char *sql = malloc(1 << 20);
    size_t at =
        (size_t)sprintf(sql, "SELECT count(*) FILTER (WHERE (extract(epoch FROM attempt_time(t)) "
                             "* 1000000)::bigint IS DISTINCT FROM us) || ' ' || "
                             "(count(us) > 300)::text FROM (VALUES ('x', NULL::bigint)");
    for (int i = 0; i < 3000; i++) {
        char text[48];
        (void)snprintf(text, sizeof text, "%s", seeds[rng_below(&rng, 6)]);
        for (uint64_t n = rng_below(&rng, 3); n > 0; n--)
            text[rng_below(&rng, strlen(text))] = alphabet[rng_below(&rng, sizeof alphabet - 1)];
        if (rng_below(&rng, 8) == 0)
            text[rng_below(&rng, strlen(text))] = '\0';
        int64_t us = 0;
        at += rfc3339_parse(bytes_of(text), &us)
                  ? (size_t)sprintf(sql + at, ", ('%s', %" PRId64 ")", text, us)
                  : (size_t)sprintf(sql + at, ", ('%s', NULL)", text);
    }
    (void)sprintf(sql + at, ") AS v (t, us)");
    sql_is(db, "0 true", sql);
    free(sql);
}

/* -------------------------------------------------------------------------------- statistics */

static void test_statistics_are_those_of_the_views(void **state)
{
    PGconn *db = *state;
    sql_ok(db, "INSERT INTO exams (id) SELECT md5('e' || n)::uuid FROM generate_series(1, 4) n");
    sql_ok(db, "INSERT INTO attempts (id, exam_id, student_id, started_at, deadline_at, answers) "
               "SELECT md5('a' || n)::uuid, md5('e' || 1 + n % 3)::uuid, md5('s' || n % 20)::uuid, "
               "now() - n * interval '1 h', now() - n * interval '59 min', "
               "(SELECT jsonb_object_agg('q' || k, k) FROM generate_series(0, n % 4) k) "
               "FROM generate_series(1, 100) n");
    sql_ok(db,
           "UPDATE attempts SET status = 'submitted', submitted_at = started_at + "
           "interval '1 min' * (abs(hashtext(id::text)) % 90) WHERE hashtext(id::text) % 2 = 0");
    sql_ok(db, "UPDATE attempts SET status = 'submitted', submitted_at = deadline_at WHERE id = "
               "(SELECT id FROM attempts WHERE status = 'in_progress' ORDER BY id LIMIT 1)");
    sql_ok(db,
           "INSERT INTO activity_events SELECT gen_random_uuid(), md5('a' || 1 + n % 100)::uuid, "
           "'x', NULL, now() - n * interval '20 min' FROM generate_series(1, 500) n");
    sql_ok(db, "REFRESH MATERIALIZED VIEW exam_attempt_stats");
    sql_is(db, "3 3",
           "SELECT count(*) || ' ' || count(*) FILTER (WHERE s.* IS NOT DISTINCT FROM "
           "(v.exam_id, v.attempts, v.in_progress, v.submitted, v.after_deadline, v.answered_avg, "
           "v.first_started_at, v.last_submitted_at, v.duration_p50, v.duration_p90)) "
           "FROM exam_attempt_stats v, get_attempt_statistics(v.exam_id) s");
    sql_is(db, "0 0",
           "SELECT concat_ws(' ', attempts, submitted, answered_avg) "
           "FROM get_attempt_statistics(md5('e4')::uuid)");
    sql_is(db, "1", "SELECT count(*) FROM get_attempt_statistics(NULL)");
    sql_is(db, "t",
           "SELECT count(*) = (SELECT count(*) FROM attempts WHERE status = 'in_progress' AND "
           "exam_id = md5('e1')::uuid) AND bool_and(idle >= interval '0' AND answered = "
           "(SELECT count(*) FROM jsonb_object_keys((SELECT answers FROM attempts a "
           "WHERE a.id = attempt_id)))) FROM get_active_attempts(md5('e1')::uuid)");
    sql_is(db, "0", "SELECT count(*) FROM get_active_attempts(NULL)");
}

static void test_a_student_is_summed_up_by_days(void **state)
{
    PGconn *db = *state;
    make_attempts(db);
    sql_ok(db,
           "UPDATE attempts SET started_at = date_trunc('day', now() AT TIME ZONE 'UTC') "
           "AT TIME ZONE 'UTC' - interval '1 microsecond', version = 5 WHERE id = '" ID("1") "'");
    sql_ok(db, "UPDATE attempts SET started_at = now() WHERE id <> '" ID("1") "'");
    /* at the very beginning of the first day */
    sql_ok(db, "UPDATE attempts SET started_at = date_trunc('day', now() AT TIME ZONE 'UTC') "
               "AT TIME ZONE 'UTC' - interval '1 day' WHERE id = '" ID("2") "'");
    sql_ok(db, "UPDATE attempts SET student_id = '" ID("f") "' WHERE id = '" ID("5") "'");
    sql_ok(
        db,
        "INSERT INTO activity_events SELECT gen_random_uuid(), '" ID(
            "1") "', 'x', NULL, "
                 "date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - n * interval '1 day' "
                 "FROM generate_series(0, 9) n");
    sql_ok(db, "INSERT INTO activity_events VALUES "
               "(gen_random_uuid(), '" ID("5") "', 'x', NULL, now())");
    sql_is(db, "-1 2 4 1, 0 2 0 1",
           "SELECT string_agg(concat_ws(' ', day - (now() AT TIME ZONE 'UTC')::date, attempts, "
           "saves_seen, activity_events), ', ' ORDER BY day) FROM get_user_activity_summary(" S
           ", 2)");
    sql_is(db, "10", "SELECT count(*) FROM get_user_activity_summary(" S ", 2147483647)");
    sql_is(db, "1 t",
           "SELECT concat_ws(' ', count(*), bool_and(first_at = last_at)) "
           "FROM get_user_activity_summary(" S ", 1)");
    sql_is(db, "0", "SELECT count(*) FROM get_user_activity_summary(" S ", 0)");
    sql_is(db, "0", "SELECT count(*) FROM get_user_activity_summary(" S ", -2147483648)");
    sql_is(db, "0", "SELECT count(*) FROM get_user_activity_summary(" S ", NULL)");
    sql_is(db, "0", "SELECT count(*) FROM get_user_activity_summary(NULL, 7)");
}

/* ---------------------------------------------------------------------------------- security */

#define NAMES                                                                                      \
    "'batch_save_attempts', 'get_multiple_attempt_states', 'batch_log_attempt_activity', "         \
    "'get_attempt_statistics', 'get_active_attempts', 'validate_attempt_upload', "                 \
    "'validate_multiple_attempts', 'batch_submit_attempts', 'get_user_activity_summary'"

static void test_no_search_path_bends_them(void **state)
{
    PGconn *db = *state;
    make_attempts(db);
    sql_is(db, "9 9 9",
           "SELECT concat_ws(' ', count(*), count(*) FILTER (WHERE 'search_path=public, pg_temp' = "
           "ANY (proconfig)), count(obj_description(oid, 'pg_proc'))) FROM pg_proc "
           "WHERE NOT prosecdef AND proname IN (" NAMES ")");
    sql_ok(db, "CREATE SCHEMA evil");
    sql_ok(db, "CREATE TABLE evil.attempt_rows (LIKE attempt_rows)");
    sql_ok(db, "CREATE TEMP TABLE attempt_rows (LIKE public.attempt_rows)");
    sql_ok(db,
           "CREATE FUNCTION evil.attempt_uuid(text) RETURNS uuid LANGUAGE sql RETURN NULL::uuid");
    sql_ok(db, "SET search_path = evil, pg_temp");
    sql_is(db, "applied",
           "SELECT outcome FROM public.batch_save_attempts('[{\"attempt_id\":\"" ID(
               "1") "\",\"expected_version\":1}]')");
    sql_is(db, "applied",
           "SELECT outcome FROM public.batch_submit_attempts(ARRAY['" ID("1") "']::uuid[])");
    sql_is(db, "5", "SELECT attempts FROM public.get_attempt_statistics(" E ")");
}

/* Their caller's rights are what counts. */
static void test_they_lend_no_rights(void **state)
{
    PGconn *db = *state;
    make_attempts(db);
    sql_ok(db, "RESET ROLE");
    sql_ok(db, "CREATE ROLE reader");
    sql_ok(db, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader");
    sql_ok(db, "SET ROLE reader");
    sql_is(db, "t", "SELECT valid FROM validate_attempt_upload('" ID("1") "')");
    sql_is(db, "5", "SELECT count(*) FROM get_active_attempts(" E ")");
    sql_fails(db, "42501", "SELECT batch_submit_attempts(ARRAY['" ID("1") "']::uuid[])");
    sql_fails(
        db, "42501",
        "SELECT batch_save_attempts('[{\"attempt_id\":\"" ID("1") "\",\"expected_version\":1}]')");
    sql_ok(db, "RESET ROLE");
    sql_ok(db, "DROP OWNED BY reader");
    sql_ok(db, "DROP ROLE reader");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, pg_test_open, pg_test_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_save_has_its_outcome_in_order),
        TEST(test_sixteen_events_are_remembered),
        TEST(test_auto_save_data_is_replaced_whole),
        TEST(test_a_bad_save_stops_no_other),
        TEST(test_what_is_no_array_is_refused_as_a_whole),
        TEST(test_ten_thousand_bad_ones_are_ten_thousand_rows),
        TEST(test_what_the_database_refuses_stops_no_other),
        TEST(test_a_submit_by_sql_is_whole),
        TEST(test_states_come_in_the_order_they_were_asked),
        TEST(test_validation_gives_every_reason_at_once),
        TEST(test_activity_is_stored_once),
        TEST(test_bad_activity_stops_no_other),
        TEST(test_times_are_read_as_the_decoder_reads_them),
        TEST(test_statistics_are_those_of_the_views),
        TEST(test_a_student_is_summed_up_by_days),
        TEST(test_no_search_path_bends_them),
        TEST(test_they_lend_no_rights),
    };
    return cmocka_run_group_tests_name("functions", tests, pg_group_start, pg_group_stop);
}
