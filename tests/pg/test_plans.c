/*
 * Every query by an index, at 100,000 attempts and 1,000,000 activity events: a sequential scan of
 * a table that grows fails the test.
 *
 * The statements of the worker and of the commands are explained with generic plans, as the worker
 * runs them; the functions are called, and PostgreSQL's own counters of sequential scans must stand
 * still. Reports how a batch of 1,000 compares with 1,000 calls. ATTEMPTD_TEST_ATTEMPTS makes it
 * smaller (activity is ten times as many).
 */
#include "common/buf.h"
#include "common/clock.h"
#include "common/embedded.h"
#include "tests/pg/private_pg.h"
#include "tests/pg/sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ATTEMPTS_DEFAULT 100000
#define GROWING                                                                                    \
    "attempt_rows|attempt_answers|activity_events[a-z0-9_]*|submissions|rejected_writes|"          \
    "dead_letters|audit_log|exams"

static PGconn *db;
static int bad_plans;

static long long attempts_wanted(void)
{
    const char *text = getenv("ATTEMPTD_TEST_ATTEMPTS");
    return text ? strtoll(text, NULL, 10) : ATTEMPTS_DEFAULT;
}

static void run(const char *format, long long number)
{
    char sql[2048];
    (void)snprintf(sql, sizeof sql, format, number);
    sql_ok(db, sql);
}

/* 100 exams and a fifth as many students as attempts; every second attempt is submitted. */
static void generate(void)
{
    long long n = attempts_wanted();
    sql_ok(db, "SET session_replication_role = replica"); /* no checks of foreign keys */
    sql_ok(db, "SET maintenance_work_mem = '256MB'");
    sql_ok(db, "ALTER TABLE activity_events DROP CONSTRAINT activity_events_pkey");
    sql_ok(db, "DROP INDEX activity_events_attempt");
    sql_ok(db, "INSERT INTO exams (id, title) SELECT md5('e' || n)::uuid, 'Exam ' || n "
               "FROM generate_series(0, 9999) n");
    run("INSERT INTO attempt_rows (id, exam_id, student_id, status, version, revision, started_at, "
        "submitted_at, folded_answers) SELECT md5('a' || n)::uuid, md5('e' || n %% 100)::uuid, "
        "md5('s' || n %% 20000)::uuid, CASE n %% 2 WHEN 0 THEN 'in_progress' ELSE 'submitted' END, "
        "3, 3, now() - n * interval '10 s', CASE n %% 2 WHEN 1 THEN now() END, "
        "jsonb_build_object('q1', n, 'q2', 'B', 'q3', md5(n::text)) "
        "FROM generate_series(1, %lld) n",
        n);
    sql_ok(db,
           "INSERT INTO submissions (attempt_id, version, submitted_at, answers_digest, topic, "
           "partition, generation, record_offset) SELECT id, version, submitted_at, "
           "decode(repeat('ab', 32), 'hex'), 't', hashtext(id::text) & 15, 1, row_number() OVER () "
           "FROM attempt_rows WHERE status = 'submitted'");
    sql_ok(db, "INSERT INTO attempt_answers SELECT a.id, q.key, q.value FROM attempt_rows a, "
               "jsonb_each(a.folded_answers) q WHERE status = 'submitted'");
    run("INSERT INTO activity_events SELECT md5('v' || n)::uuid, md5('a' || 1 + n / 10)::uuid, 'x', "
        "NULL, now() - n * interval '5 s' FROM generate_series(0, %lld) n",
        n * 10 - 1);
    run("INSERT INTO rejected_writes (attempt_id, event_id, outcome, event, topic, partition, "
        "record_offset) SELECT md5('a' || n)::uuid, md5(n::text)::uuid, 'stale', '{}', 't', n %% 16, n "
        "FROM generate_series(1, %lld) n",
        n / 5);
    run("INSERT INTO dead_letters (topic, partition, record_offset, record_key, reason, discarded_at) "
        "SELECT 't', n %% 16, n, convert_to(n::text, 'UTF8'), 'json', CASE WHEN n %% 100 > 0 THEN now() END "
        "FROM generate_series(1, %lld) n",
        n / 5);
    run("INSERT INTO audit_log (action, attempt_id) SELECT 'amend', md5('a' || n)::uuid "
        "FROM generate_series(1, %lld) n",
        n / 10);
    sql_ok(db, "ALTER TABLE activity_events ADD PRIMARY KEY (event_id, occurred_at)");
    sql_ok(db, "CREATE INDEX activity_events_attempt ON activity_events (attempt_id, occurred_at)");
    sql_ok(db, "RESET session_replication_role");
    sql_ok(db, "VACUUM ANALYZE");
}

static int start(void **state)
{
    if (pg_group_start(state) != 0 || pg_test_open((void **)&db) != 0)
        return -1;
    sql_ok(db, "RESET ROLE");
    int64_t begun_ms = clock_now_ms();
    generate();
    print_message("          %lld attempts in %lld ms\n", attempts_wanted(),
                  (long long)(clock_now_ms() - begun_ms));
    return 0;
}

static int stop(void **state)
{
    PQfinish(db);
    return pg_group_stop(state);
}

/* ------------------------------------------------------------------------------- statements */

/* `audit` compares whole tables, `status` counts the first rows of some (see below), lists may show
 * all: that is their work, asked for by hand. The balance counts what was not simply applied, the
 * more seldom the longer it takes. Migrations have tables of their own, of some rows. */
static bool is_checked(const char *name)
{
    return strncmp(name, "audit_", 6) != 0 && strncmp(name, "migrate_", 8) != 0 &&
           strcmp(name, "status.sql") != 0 && strcmp(name, "housekeeper_balance.sql") != 0 &&
           strstr(name, "_list.sql") == NULL;
}

/* SELECT, INSERT, ...: what has a plan. */
static bool has_plan(const char *text)
{
    static const char *const verbs[] = { "SELECT", "INSERT", "UPDATE", "DELETE", "WITH" };
    while (strncmp(text, "--", 2) == 0)
        text += strcspn(text, "\n") + 1;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strncmp(text, verbs[i], strlen(verbs[i])) == 0)
            return true;
    return false;
}

/* Counts the plan when it reads a growing table from end to end. */
static void check_plan(const char *name, const PGresult *plan)
{
    for (int row = 0; row < PQntuples(plan); row++) {
        const char *line = PQgetvalue(plan, row, 0);
        const char *scan = strstr(line, "Seq Scan on ");
        if (!scan || strstr(line, "(cost=0.00..0.00 ")) /* an empty partition */
            continue;
        char sql[256];
        (void)snprintf(sql, sizeof sql, "SELECT '%.60s' ~ '^(" GROWING ")( |$)'",
                       scan + strlen("Seq Scan on "));
        PGresult *grows = PQexec(db, sql);
        bool bad = PQntuples(grows) == 1 && PQgetvalue(grows, 0, 0)[0] == 't';
        PQclear(grows);
        if (bad) {
            print_error("%s: a sequential scan\n", name);
            for (int i = 0; i < PQntuples(plan); i++)
                print_error("%s\n", PQgetvalue(plan, i, 0));
            bad_plans++;
            return;
        }
    }
}

static void explain(const struct embedded_file *file)
{
    struct buf execute;
    buf_init(&execute, 512);
    buf_put(&execute, BYTES("EXPLAIN EXECUTE checked"));
    PGresult *prepared = PQprepare(db, "checked", file->text, 0, NULL);
    if (PQresultStatus(prepared) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", file->name, PQresultErrorMessage(prepared));
    PQclear(prepared);
    PGresult *described = PQdescribePrepared(db, "checked");
    for (int i = 0; i < PQnparams(described); i++)
        buf_put(&execute, i == 0 ? BYTES(" (NULL") : BYTES(", NULL"));
    if (PQnparams(described) > 0)
        buf_put_char(&execute, ')');
    buf_put_char(&execute, '\0');
    PQclear(described);
    assert_false(execute.failed);
    PGresult *plan = PQexec(db, execute.ptr);
    buf_release(&execute);
    if (PQresultStatus(plan) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", file->name, PQresultErrorMessage(plan));
    check_plan(file->name, plan);
    PQclear(plan);
    sql_ok(db, "DEALLOCATE checked");
}

static void test_every_statement_uses_an_index(void **state)
{
    (void)state;
    int explained = 0;
    sql_ok(db, "SET plan_cache_mode = force_generic_plan");
    sql_ok(db, "CREATE TABLE schema_migrations (version varchar(128), name text, checksum bytea, "
               "applied_at timestamptz, duration_ms bigint)");
    sql_ok(db, "CREATE TABLE schema_repeatables (name text PRIMARY KEY, checksum bytea, "
               "applied_at timestamptz, duration_ms bigint)");
    for (const struct embedded_file *file = statements_embedded; file->name; file++) {
        if (!is_checked(file->name) || !has_plan(file->text))
            continue;
        explain(file);
        explained++;
    }
    sql_ok(db, "RESET plan_cache_mode");
    print_message("          %d statements explained\n", explained);
    assert_true(explained > 40);
    assert_int_equal(bad_plans, 0);
}

/* -------------------------------------------------------------------------------- functions */

/* Scans of whole tables so far, tables with a page or two aside. */
static long long scans(void)
{
    sql_ok(db, "SELECT pg_stat_force_next_flush()");
    sql_ok(db, "SELECT pg_stat_clear_snapshot()");
    return sql_number(db, "SELECT sum(seq_scan) FROM pg_stat_user_tables "
                          "WHERE relname ~ '^(" GROWING ")$' AND n_live_tup > 1000");
}

static void calls(const char *call, const char *expected)
{
    long long before = scans();
    int64_t begun_ms = clock_now_ms();
    sql_is(db, expected, call);
    int64_t took_ms = clock_now_ms() - begun_ms;
    long long after = scans();
    if (after != before)
        fail_msg("%lld sequential scans by %s", after - before, call);
    print_message("          %4lld ms  %.70s\n", (long long)took_ms, call);
}

#define MANY "(SELECT array_agg(md5('a' || 8000 + n)::uuid) FROM generate_series(1, 1000) n)"

static void test_every_function_uses_an_index(void **state)
{
    (void)state;
    calls(
        "SELECT count(*) FROM batch_save_attempts((SELECT jsonb_agg(jsonb_build_object("
        "'attempt_id', id, 'expected_version', 3, 'answers', '{\"q\": 1}'::jsonb)) FROM unnest(" MANY
        ") id)) WHERE outcome = 'applied'",
        "500");
    calls("SELECT count(*) FROM batch_save_attempts((SELECT jsonb_agg(jsonb_build_object("
          "'attempt_id', md5('a' || n)::uuid, 'expected_version', 1)) "
          "FROM generate_series(1, 10000) n)) WHERE outcome IN ('conflict', 'late')",
          "10000");
    calls("SELECT count(*) FROM get_multiple_attempt_states(" MANY ") WHERE found", "1000");
    calls("SELECT count(*) FROM validate_multiple_attempts(" MANY ") WHERE valid", "500");
    calls("SELECT valid FROM validate_attempt_upload(md5('a2')::uuid)", "t");
    calls("SELECT count(*) FROM batch_submit_attempts(" MANY ") WHERE outcome = 'applied'", "500");
    calls("SELECT sum(stored) FROM batch_log_attempt_activity((SELECT jsonb_agg(jsonb_build_object("
          "'attempt_id', id, 'events', jsonb_build_array(jsonb_build_object('event_id', "
          "gen_random_uuid(), 'event_type', 'x', 'occurred_at', '2026-11-21T12:00:00Z')))) FROM "
          "unnest(" MANY ") id))",
          "1000");
    calls("SELECT attempts > 0 FROM get_attempt_statistics(md5('e7')::uuid)", "t");
    calls("SELECT count(*) > 0 FROM get_active_attempts(md5('e8')::uuid)", "t");
    calls("SELECT count(*) > 0 FROM get_user_activity_summary(md5('s7')::uuid, 30)", "t");
    calls("SELECT attempt_document(md5('a3')::uuid) = answers FROM attempts "
          "WHERE id = md5('a3')::uuid",
          "t");
    calls("SELECT maintain_attempt(md5('a5')::uuid, 'amend', 'test', '{\"q\": 2}') IS NOT NULL",
          "t");
    calls("SELECT maintain_attempt(md5('a5')::uuid, 'reopen', 'test') IS NOT NULL", "t");
    calls("SELECT title FROM exams WHERE to_tsvector('simple', coalesce(title, '')) @@ "
          "websearch_to_tsquery('simple', '4711')",
          "Exam 4711");
}

/* However large the tables are: it reads some ten thousand rows, not all. */
static void test_status_reads_little(void **state)
{
    (void)state;
    static const char read[] =
        "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables "
        "WHERE relname ~ '^(" GROWING ")$'";
    const struct embedded_file *file = statements_embedded;
    while (strcmp(file->name, "status.sql") != 0)
        file++;
    sql_ok(db, "SELECT pg_stat_force_next_flush()");
    sql_ok(db, "SELECT pg_stat_clear_snapshot()");
    long long before = sql_number(db, read);
    int64_t begun_ms = clock_now_ms();
    sql_ok(db, file->text);
    int64_t took_ms = clock_now_ms() - begun_ms;
    sql_ok(db, "SELECT pg_stat_force_next_flush()");
    sql_ok(db, "SELECT pg_stat_clear_snapshot()");
    long long rows = sql_number(db, read) - before;
    print_message("          status: %lld ms, %lld rows\n", (long long)took_ms, rows);
    assert_true(rows > 0 && rows < 60000);
}

/* A batch of 1,000 against 1,000 calls, of each function that takes many. `of` makes the argument
 * from the attempts n of a FROM clause, which is put behind it. */
static void compare(const char *name, const char *call, const char *of, int first)
{
    char sql[1024];
    int64_t times_ms[2];
    int64_t begun_ms = clock_now_ms();
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM %s((SELECT %s FROM generate_series(%d, %d, 2) n)) x %s",
                   name, of, first, first + 1998, call);
    sql_is(db, "1000", sql);
    times_ms[0] = clock_now_ms() - begun_ms;
    begun_ms = clock_now_ms();
    for (int n = 0; n < 1000; n++) {
        int at = first + 2000 + n * 2;
        (void)snprintf(sql, sizeof sql,
                       "SELECT count(*) FROM %s((SELECT %s FROM generate_series(%d, %d) n)) x %s",
                       name, of, at, at, call);
        sql_is(db, "1", sql);
    }
    times_ms[1] = clock_now_ms() - begun_ms;
    print_message("          %s: %lld ms as one batch, %lld ms as single calls: %.1f times\n", name,
                  (long long)times_ms[0], (long long)times_ms[1],
                  (double)times_ms[1] / (double)(times_ms[0] > 0 ? times_ms[0] : 1));
    assert_true(times_ms[1] > times_ms[0]);
}

static void test_a_batch_against_single_calls(void **state)
{
    (void)state;
    compare(
        "batch_save_attempts", "WHERE outcome = 'applied'",
        "jsonb_agg(jsonb_build_object('attempt_id', md5('a' || n)::uuid, 'expected_version', 3, "
        "'answers', '{\"q9\": 1}'::jsonb))",
        10000);
    compare("batch_submit_attempts", "WHERE outcome = 'applied'", "array_agg(md5('a' || n)::uuid)",
            10000);
    compare("get_multiple_attempt_states", "WHERE found", "array_agg(md5('a' || n)::uuid)", 10000);
    compare("validate_multiple_attempts", "WHERE NOT valid", "array_agg(md5('a' || n)::uuid)",
            10000);
    compare(
        "batch_log_attempt_activity", "WHERE outcome = 'applied'",
        "jsonb_agg(jsonb_build_object('attempt_id', md5('a' || n)::uuid, 'events', "
        "jsonb_build_array(jsonb_build_object('event_id', gen_random_uuid(), 'event_type', 'x', "
        "'occurred_at', '2026-11-21T12:00:00Z'))))",
        10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_statement_uses_an_index),
        cmocka_unit_test(test_every_function_uses_an_index),
        cmocka_unit_test(test_status_reads_little),
        cmocka_unit_test(test_a_batch_against_single_calls),
    };
    return cmocka_run_group_tests_name("plans", tests, start, stop);
}
