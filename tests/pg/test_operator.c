/*
 * What operators ask of the database and tell it: dead letters, rejected writes, the word about
 * refusals and about a gap. Where a command needs Kafka too, its statements are run by themselves.
 */
#include "common/embedded.h"
#include "tests/pg/private_pg.h"
#include "tests/pg/program.h"
#include "tests/pg/sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define A            "'11111111-1111-4111-8111-111111111111'"
#define B            "'22222222-2222-4222-8222-222222222222'"
#define E            "'eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee'"
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *statement(const char *name)
{
    const struct embedded_file *file = statements_embedded;
    while (file->name != NULL && strcmp(file->name, name) != 0)
        file++;
    assert_non_null(file->name);
    return file->text;
}

/* The statement of that name gives this: its rows with a bar between the columns, '; ' between the
 * rows, null as a dash. */
static void gives(PGconn *db, const char *name, const char *const *params, int count,
                  const char *expected)
{
    char text[2048] = "";
    size_t at = 0;
    PGresult *result = PQexecParams(db, statement(name), count, NULL, params, NULL, NULL, 0);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", name, PQresultErrorMessage(result));
    for (int row = 0; row < PQntuples(result); row++)
        for (int i = 0; i < PQnfields(result) && at < sizeof text; i++)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%s",
                                   i > 0     ? "|"
                                   : row > 0 ? "; "
                                             : "",
                                   PQgetisnull(result, row, i) ? "-" : PQgetvalue(result, row, i));
    PQclear(result);
    if (strcmp(text, expected) != 0)
        fail_msg("%s gives '%s', not '%s'", name, text, expected);
}

/* ------------------------------------------------------------------------------ dead letters */

/* 1 to 3 are open, 4 was sent again, 5 discarded, of 6 the attempt was erased. */
static void make_letters(PGconn *db)
{
    sql_ok(db, "INSERT INTO dead_letters (topic, partition, record_offset, reason, record_key) "
               "VALUES ('t', 0, 11, 'json', 'k'), ('t', 1, 12, 'json', 'k'), "
               "('u', 1, 13, 'key', 'k'), ('t', 0, 14, 'json', 'k'), ('u', 0, 15, 'json', 'k'), "
               "('t', 1, 16, 'key', NULL)");
    sql_ok(db, "UPDATE dead_letters SET replayed_at = '2026-01-01Z' WHERE id = 4");
    sql_ok(db, "UPDATE dead_letters SET discarded_at = '2026-01-01Z' WHERE id = 5");
    sql_ok(db, "UPDATE dead_letters SET erased_at = '2026-01-01Z' WHERE id = 6");
}

static void test_letters_are_listed_as_asked(void **state)
{
    struct program_fixture *f = *state;
    make_letters(f->db);
    static const struct {
        const char *params[5], *ids;
    } cases[] = {
        { { NULL, NULL, NULL, "f", "50" }, "3 2 1 of 3" },
        { { NULL, NULL, NULL, "t", "50" }, "6 5 4 3 2 1 of 6" },
        { { "t", NULL, NULL, "f", "50" }, "2 1 of 2" },
        { { NULL, "1", NULL, "f", "50" }, "3 2 of 2" },
        { { NULL, NULL, "json", "t", "50" }, "5 4 2 1 of 4" },
        { { NULL, NULL, NULL, "f", "2" }, "3 2 of 3" },
    };
    sql_ok(f->db, "CREATE FUNCTION ids(jsonb) RETURNS text LANGUAGE sql RETURN "
                  "(SELECT string_agg(l ->> 'id', ' ' ORDER BY n) || ' of ' || ($1 ->> 'total') "
                  "FROM jsonb_array_elements($1 -> 'letters') WITH ORDINALITY AS u (l, n))");
    for (size_t i = 0; i < COUNT(cases); i++) {
        PGresult *list =
            PQexecParams(f->db, statement("dlq_list.sql"), 5, NULL, cases[i].params, NULL, NULL, 0);
        const char *document[] = { PQgetvalue(list, 0, 0) };
        PGresult *ids = PQexecParams(f->db, "SELECT ids($1)", 1, NULL, document, NULL, NULL, 0);
        assert_string_equal(PQgetvalue(ids, 0, 0), cases[i].ids);
        PQclear(ids);
        PQclear(list);
    }
    program_says(f->url, "dlq list --partition 1 --json", 0, "\"total\": 2");
    const char *all[] = { NULL }, *json[] = { "json" };
    gives(f->db, "dlq_count.sql", all, 1, "3");
    gives(f->db, "dlq_count.sql", json, 1, "2");
    gives(f->db, "dlq_last.sql", NULL, 0, "6");
    const char *ids[] = { "{6,99,4,1,5,4}" };
    gives(f->db, "dlq_states.sql", ids, 1, "6|erased; 99|unknown; 4|replayed; 1|open; 5|discarded");
}

/* What was settled before stays as it was, and each is kept in the audit log once. */
static void test_only_open_letters_are_discarded(void **state)
{
    struct program_fixture *f = *state;
    make_letters(f->db);
    const char *params[] = { "{6,5,4,2,1,99}", "a test" }; /* whoever was faster than the sifting */
    gives(f->db, "dlq_discard.sql", params, 2, "1; 2");
    sql_is(f->db, "1 2 5",
           "SELECT string_agg(id::text, ' ' ORDER BY id) FROM dead_letters "
           "WHERE discarded_at IS NOT NULL");
    sql_is(f->db, "2026-01-01",
           "SELECT (discarded_at AT TIME ZONE 'UTC')::date FROM dead_letters "
           "WHERE id = 5");
    sql_is(f->db, "t 0 1 11 json, t 1 2 12 json",
           "SELECT string_agg(concat_ws(' ', topic, partition, detail ->> 'letter', "
           "detail ->> 'record_offset', detail ->> 'code'), ', ' ORDER BY id) FROM audit_log "
           "WHERE action = 'dlq-discard' AND reason = 'a test'");
    program_says(f->url, "dlq discard 1 3 --reason x", 0, "1 discarded, 1 passed over");
}

static void takes(PGconn *db, const char *const params[6], const char *ids)
{
    char text[64] = "";
    PGresult *result = PQexecParams(db, statement("dlq_take.sql"), 6, NULL, params, NULL, NULL, 0);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s", PQresultErrorMessage(result));
    for (int i = 0; i < PQntuples(result); i++) {
        const char *id = strstr(PQgetvalue(result, i, 0), "\"id\": ");
        assert_non_null(id);
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%.1s", i ? " " : "",
                       id + strlen("\"id\": "));
    }
    PQclear(result);
    assert_string_equal(text, ids);
}

static void test_letters_are_taken_once(void **state)
{
    struct program_fixture *f = *state;
    make_letters(f->db);
    PGconn *other = sql_connect(f->url);
    static const struct {
        const char *params[6], *ids;
    } cases[] = {
        { { NULL, NULL, "0", "f", "6", "10" }, "1 2 3" },
        { { NULL, NULL, "1", "f", "6", "10" }, "2 3" }, /* after the page before */
        { { NULL, NULL, "0", "f", "2", "10" }, "1 2" }, /* what died meanwhile is not taken */
        { { NULL, NULL, "0", "f", "6", "2" }, "1 2" },
        { { NULL, "key", "0", "f", "6", "10" }, "3" },
        { { "{3,4,5,6}", NULL, "0", "f", "6", "10" }, "3" },
        { { "{3,4,5,6}", NULL, "0", "t", "6", "10" }, "3 4 5" }, /* erased: nothing is left */
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        takes(f->db, cases[i].params, cases[i].ids);
    sql_ok(f->db, "BEGIN");
    takes(f->db, cases[2].params, "1 2");
    sql_fails(other, "55P03", "SELECT FROM dead_letters WHERE id = 2 FOR UPDATE NOWAIT");
    sql_ok(other, "SELECT FROM dead_letters WHERE id = 3 FOR UPDATE NOWAIT");
    sql_ok(f->db, "COMMIT");
    PQfinish(other);
}

/* --------------------------------------------------------------------------- rejected writes */

static void test_rejected_writes_are_listed_as_asked(void **state)
{
    struct program_fixture *f = *state;
    sql_ok(f->db,
           "INSERT INTO rejected_writes (attempt_id, event_id, outcome, reason, expected_version, "
           "row_version, event, topic, partition, generation, record_offset) VALUES "
           "(" A ", " E ", 'stale', NULL, 3, 7, '{}', 't', 0, 1, 11), "
           "(" A ", " E ", 'late', 'overtaken', 3, 7, '{}', 't', 1, 1, 12), "
           "(" B ", " E ", 'late', 'after_submit', 3, 7, '{\"n\": 1.50}', 'u', 1, 2, 13)");
    static const struct {
        const char *options;
        int total;
    } cases[] = { { "", 3 },
                  { "--topic t", 2 },
                  { "--partition 1", 2 },
                  { "--outcome late", 2 },
                  { "--reason overtaken", 1 },
                  { "--attempt 22222222-2222-4222-8222-222222222222", 1 },
                  { "--topic u --partition 0", 0 },
                  { "--limit 1", 3 } };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char command[128], total[32];
        (void)snprintf(command, sizeof command, "rejected list --json %s", cases[i].options);
        (void)snprintf(total, sizeof total, "\"total\": %d", cases[i].total);
        program_says(f->url, command, 0, total);
    }
    program_says(f->url, "rejected list --limit 1", 0, "u[1]@13"); /* the newest */
    program_says(f->url, "rejected show 3", 0, "u[1] at offset 13, generation 2");
    program_says(f->url, "rejected show 3", 0, "\"n\": 1.50");
    program_says(f->url, "rejected show 2", 0, "overtaken");
}

/* --------------------------------------------------------------------- words about the ledger */

static void make_ledger(PGconn *db)
{
    sql_ok(db, "INSERT INTO ingest_progress (topic, partition, generation, first_offset, "
               "next_offset, published_offset, epoch, owner, records, applied, duplicate, stale, "
               "late, dead, gaps, anchor_offset, anchor_timestamp_ms, anchor_hash) VALUES "
               "('t', 0, 3, 10, 20, 18, 5, 'w', 10, 4, 1, 2, 1, 2, 6, 19, 7, "
               "decode(repeat('ab', 16), 'hex')), ('t', 1, 3, 0, 20, 20, 1, 'w', 0, 0, 0, 0, 0, 0, "
               "0, NULL, NULL, NULL)");
}

static void test_a_word_about_refusals_stays(void **state)
{
    struct program_fixture *f = *state;
    static const char word[] = "SELECT concat_ws(' ', refusals_generation, refusals_until) "
                               "FROM ingest_progress WHERE (topic, partition) = ('t', 0)";
    make_ledger(f->db);
    program_says(f->url, "dlq accept t 0 19 --reason x", 65, "its next record is 20");
    sql_is(f->db, "", word);
    program_says(f->url, "dlq accept t 0 20 --reason x", 0, "offsets 20 to 20");
    sql_is(f->db, "3 21", word);
    program_says(f->url, "dlq accept t 0 30 --reason x", 0, "offsets 20 to 30");
    program_says(f->url, "dlq accept t 0 25 --reason x", 0, "offsets 20 to 25");
    sql_is(f->db, "3 31", word); /* what was accepted before stays */
    sql_is(f->db, "3 20 25",
           "SELECT concat_ws(' ', detail ->> 'generation', detail ->> 'from_offset', "
           "detail ->> 'to_offset') FROM audit_log ORDER BY id DESC LIMIT 1");
    sql_ok(f->db, "UPDATE ingest_progress SET generation = 4");
    program_says(f->url, "dlq accept t 0 22 --reason x", 0, "offsets 20 to 22");
    sql_is(f->db, "4 23", word); /* but not of another log */
    sql_is(f->db, NULL, "SELECT refusals_until FROM ingest_progress WHERE partition = 1");
    program_says(f->url, "dlq accept t 2 22 --reason x", 65, "no row");
}

#define LEDGER                                                                                     \
    "SELECT concat_ws(' ', generation, first_offset, next_offset, published_offset, epoch, "       \
    "coalesce(owner, '-'), records, applied, duplicate, stale, late, dead, gaps, "                 \
    "num_nonnulls(anchor_offset, anchor_timestamp_ms, anchor_hash)) FROM ingest_progress "         \
    "WHERE (topic, partition) = "

/* Only the row that the operator was shown; what it said is kept; views are due. */
static void test_a_gap_is_accepted_as_it_was_shown(void **state)
{
    struct program_fixture *f = *state;
    make_ledger(f->db);
    sql_ok(f->db, "UPDATE view_schedules SET position = 40");
    const char *moved[] = { "t", "0", "3", "19", "25", "24", "why", "{}", "0" };
    gives(f->db, "accept_gap_raise.sql", moved, 9, "");
    const char *older[] = { "t", "0", "2", "20", "25", "24", "why", "{}", "0" };
    gives(f->db, "accept_gap_raise.sql", older, 9, "");
    sql_is(f->db, "3 10 20 18 5 w 10 4 1 2 1 2 6 3", LEDGER "('t', 0)");
    sql_is(f->db, "0", "SELECT count(*) FROM audit_log");
    sql_is(f->db, "0", "SELECT count(*) FROM view_schedules WHERE position IS NULL");

    const char *shown[] = { "t", "0", "3", "20", "25", "24", "why", "{\"state\": \"x\"}", "0" };
    gives(f->db, "accept_gap_raise.sql", shown, 9, "4");
    sql_is(f->db, "4 25 25 24 6 - 0 0 0 0 0 0 0 0", LEDGER "('t', 0)");
    sql_is(f->db, "3 0 20 20 1 w 0 0 0 0 0 0 0 0", LEDGER "('t', 1)");
    sql_is(f->db, "accept-gap t 0 why x 4 3 10 20 18 5 10 4 1 2 1 2",
           "SELECT concat_ws(' ', action, topic, partition, reason, detail ->> 'state', "
           "detail ->> 'generation', b ->> 'generation', b ->> 'first_offset', "
           "b ->> 'next_offset', b ->> 'published_offset', b ->> 'epoch', b ->> 'records', "
           "b ->> 'applied', b ->> 'duplicate', b ->> 'stale', b ->> 'late', b ->> 'dead') "
           "FROM audit_log, LATERAL (SELECT detail -> 'before' AS b) AS before");
    sql_is(f->db, "0", "SELECT count(*) FROM view_schedules WHERE position IS NOT NULL");
    const char *seen[] = { "t", "1", "3", "20", "0", "0", "why", "{}", "8" };
    gives(f->db, "accept_gap_raise.sql", seen, 9, "9"); /* above what the group has seen */

    /* The audit compares what was kept with the tables of outcomes. */
    sql_ok(f->db,
           "INSERT INTO rejected_writes (attempt_id, event_id, outcome, event, topic, "
           "partition, generation, record_offset) SELECT " A ", " E ", o, '{}', 't', 0, g, n "
           "FROM (VALUES ('stale', 3, 11), ('stale', 3, 12), ('late', 3, 13), "
           "('late', 4, 25)) AS r (o, g, n)");
    sql_ok(f->db,
           "INSERT INTO dead_letters (topic, partition, generation, record_offset, reason) "
           "VALUES ('t', 0, 3, 14, 'json'), ('t', 0, 3, 15, 'json'), ('t', 0, 4, 26, 'json'), "
           "('t', 1, 3, 14, 'json')");
    gives(f->db, "audit_earlier.sql", NULL, 0,
          "t|0|3|10|4|1|2|1|2|2|1|2|0; t|1|3|0|0|0|0|0|0|0|0|1|0");
}

/* Without a row: above every generation that any table knows of this partition. */
static void test_a_missing_ledger_is_made_above_all_that_is_known(void **state)
{
    struct program_fixture *f = *state;
    static const char *const known[] = {
        "INSERT INTO rejected_writes (attempt_id, event_id, outcome, event, topic, partition, "
        "generation, record_offset) VALUES (" A ", " E ", 'late', '{}', 't', 0, 3, 1), "
        "(" A ", " E ", 'late', '{}', 't', 1, 90, 1)",
        "INSERT INTO dead_letters (topic, partition, generation, record_offset, reason) "
        "VALUES ('t', 0, 4, 3, 'json'), ('t', 0, 5, 2, 'json'), ('u', 0, 90, 2, 'json')",
        "INSERT INTO attempt_rows (id, revision, status, submitted_at) "
        "VALUES (" A ", 1, 'submitted', now()); INSERT INTO submissions (attempt_id, version, "
        "submitted_at, topic, partition, generation, record_offset) "
        "VALUES (" A ", 1, now(), 't', 0, 7, 3)",
        "INSERT INTO audit_log (action, topic, partition, detail) VALUES "
        "('accept-gap', 't', 0, '{\"generation\": 9}'), ('accept-gap', 't', 1, "
        "'{\"generation\": 90}')",
    };
    static const char *const generations[] = { "4", "6", "8", "10" };
    const char *make[] = { "t", "0", "25", "24", "why", "{\"state\": \"x\"}", "2" };
    for (size_t i = 0; i < COUNT(known); i++) {
        sql_ok(f->db, known[i]);
        sql_ok(f->db, "BEGIN");
        gives(f->db, "accept_gap_make.sql", make, 7, generations[i]);
        sql_ok(f->db, "ROLLBACK");
    }
    sql_ok(f->db, "UPDATE view_schedules SET position = 40");
    make[6] = "11";
    gives(f->db, "accept_gap_make.sql", make, 7, "12");
    sql_is(f->db, "12 25 25 24 0 - 0 0 0 0 0 0 0 0", LEDGER "('t', 0)");
    sql_is(f->db, "why x 12 9 null",
           "SELECT concat_ws(' ', reason, detail ->> 'state', detail ->> 'generation', "
           "detail ->> 'known', detail -> 'before') FROM audit_log ORDER BY id DESC LIMIT 1");
    sql_is(f->db, "0", "SELECT count(*) FROM view_schedules WHERE position IS NOT NULL");
    gives(f->db, "accept_gap_make.sql", make, 7, ""); /* there is one by now */
    sql_is(f->db, "3", "SELECT count(*) FROM audit_log WHERE action = 'accept-gap'");
}

/* ------------------------------------------------------------------------- a replica, doctor */

/* What only reads may read there; what changes anything goes to the database itself. */
static void test_only_reads_go_to_the_replica(void **state)
{
    struct program_fixture *f = *state;
    char replica[PRIVATE_PG_URL_BYTES], command[PRIVATE_PG_URL_BYTES + 64];
    struct err err = { 0 };
    static const struct {
        const char *command;
        int code;
        const char *says;
    } cases[] = { { "dlq list --all", 0, "no dead letters" },
                  { "dlq show 1", 65, "there is no dead letter" },
                  { "rejected list", 0, "no rejected writes" },
                  { "show 11111111-1111-4111-8111-111111111111", 65, "nothing is known" },
                  { "stats eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee", 65, "there is no exam" },
                  { "dlq discard 1 --reason x", 0, "1 discarded" },
                  { "dlq accept t 0 20 --reason x", 0, "Accepted" } };
    assert_true(private_pg_database(pg_group_server(), true, false, replica, &err));
    make_letters(f->db);
    make_ledger(f->db);
    sql_ok(f->db, "INSERT INTO exams (id) VALUES (" E ")");
    sql_ok(f->db, "INSERT INTO attempts (id) VALUES (" A ")");
    for (size_t i = 0; i < COUNT(cases); i++) {
        (void)snprintf(command, sizeof command, "--database-replica-url %s %s", replica,
                       cases[i].command);
        program_says(f->url, command, cases[i].code, cases[i].says);
    }
}

static void test_doctor_counts_what_is_open(void **state)
{
    struct program_fixture *f = *state;
    make_letters(f->db);
    sql_ok(f->db, "INSERT INTO exams (id) VALUES (" E ")");
    sql_ok(f->db, "INSERT INTO attempts (id, exam_id, student_id) VALUES (" A ", NULL, NULL), "
                  "(" B ", " E ", " B ")");
    sql_ok(f->db, "UPDATE view_schedules SET last_error = 'no room' "
                  "WHERE view_name = 'question_stats'");
    gives(f->db, "doctor_ledger.sql", NULL, 0,
          "{\"partitions\": [], \"open_letters\": 3, \"failing_views\": [{\"view\": "
          "\"question_stats\", \"error\": \"no room\"}], \"without_start\": 1, "
          "\"outcome_settings\": {}}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, program_set_up, program_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_letters_are_listed_as_asked),
        TEST(test_only_open_letters_are_discarded),
        TEST(test_letters_are_taken_once),
        TEST(test_rejected_writes_are_listed_as_asked),
        TEST(test_a_word_about_refusals_stays),
        TEST(test_a_gap_is_accepted_as_it_was_shown),
        TEST(test_a_missing_ledger_is_made_above_all_that_is_known),
        TEST(test_only_reads_go_to_the_replica),
        TEST(test_doctor_counts_what_is_open),
    };
    return cmocka_run_group_tests_name("operator", tests, pg_group_start, pg_group_stop);
}
