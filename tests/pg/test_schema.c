/* What the schema itself promises: guard, maintenance, merge, documents, foreign changes. */
#include "common/rng.h"
#include "tests/pg/private_pg.h"
#include "tests/pg/sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define A "'11111111-1111-4111-8111-111111111111'"
#define B "'22222222-2222-4222-8222-222222222222'"
#define E "'eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee'"

/* A started and submitted attempt A with two answers. */
static void submit_one(PGconn *db)
{
    sql_ok(db, "INSERT INTO exams (id) VALUES (" E ")");
    sql_ok(db, "INSERT INTO attempts (id, exam_id, student_id, started_at, answers) "
               "VALUES (" A ", " E ", " B ", now(), '{\"q1\": 1, \"q2\": {\"x\": [null]}}')");
    sql_ok(db, "UPDATE attempts SET status = 'submitted', submitted_at = now()");
}

/* With triggers set to replica a view's do nothing, and so does an UPDATE through it. */
static void refuses_all_changes(PGconn *db, bool replica)
{
    static const char *const changes[] = {
        "UPDATE attempts SET answers = '{}'",
        "UPDATE attempt_rows SET folded_answers = '{\"q1\": 1.0, \"q2\": {\"x\": [null]}}'",
        "UPDATE attempt_rows SET folded_answers = '{}', tail = ''",
        "UPDATE attempt_rows SET tail = ',\"q1\":7', status = 'in_progress', submitted_at = NULL",
        "UPDATE attempts SET auto_save_data = '{}'",
        "UPDATE attempts SET version = version + 1",
        "UPDATE attempts SET version = version + 1, revision = revision + 1",
        "UPDATE attempts SET status = 'in_progress', submitted_at = NULL",
        "UPDATE attempts SET submitted_at = submitted_at + interval '1 s'",
        "UPDATE attempts SET started_at = NULL",
        "UPDATE attempts SET deadline_at = now()",
        "UPDATE attempts SET exam_id = NULL, student_id = NULL",
        "DELETE FROM attempts",
        "DELETE FROM attempt_rows",
        "TRUNCATE attempt_rows CASCADE",
        "TRUNCATE exams CASCADE",
        "TRUNCATE attempt_answers",
        "UPDATE attempt_answers SET answer = '7'",
        "DELETE FROM attempt_answers",
        ("INSERT INTO attempt_rows (id) VALUES (" A ") ON CONFLICT (id) DO UPDATE SET version = 9"),
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        if (replica && strncmp(changes[i], "UPDATE attempts ", 16) == 0)
            sql_ok(db, changes[i]);
        else
            sql_fails(db, "23001", changes[i]);
    sql_is(db, "{\"q1\": 1, \"q2\": {\"x\": [null]}}", "SELECT attempt_document(" A ")");
    sql_is(db, "1 submitted", "SELECT concat_ws(' ', version, status) FROM attempts");
}

static void test_nobody_changes_a_submitted_attempt(void **state)
{
    PGconn *db = *state;
    submit_one(db);
    refuses_all_changes(db, false);
    sql_fails(db, "23503", "UPDATE attempts SET id = " B); /* its answers come first */
    /* The setting opens nothing by itself to anybody but the owner. */
    sql_ok(db, "RESET ROLE");
    sql_ok(db, "CREATE ROLE clerk");
    sql_ok(db, "GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk");
    sql_ok(db, "SET attemptd.maintained_attempt = " A);
    refuses_all_changes(db, false); /* the superuser */
    sql_ok(db, "SET session_replication_role = replica");
    refuses_all_changes(db, true);
    sql_fails(db, "23001", "UPDATE attempt_rows SET id = " B);
    sql_ok(db, "SET ROLE clerk");
    refuses_all_changes(db, true);
    sql_ok(db, "RESET ROLE");
    sql_ok(db, "RESET session_replication_role");
    sql_ok(db, "SET ROLE clerk");
    refuses_all_changes(db, false); /* through the view it is the owner who writes */
    /* An operator of his own, which finds everything equal. */
    sql_ok(db, "RESET ROLE");
    sql_ok(db, "CREATE SCHEMA clerk AUTHORIZATION clerk");
    sql_ok(db, "SET ROLE clerk");
    sql_ok(db,
           "CREATE FUNCTION clerk.same(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'");
    sql_ok(db, "CREATE OPERATOR clerk.= (LEFTARG = text, RIGHTARG = text, FUNCTION = clerk.same)");
    sql_ok(db, "SET search_path = clerk, public, pg_catalog");
    sql_fails(db, "23001", "UPDATE attempts SET answers = '{}'");
    sql_ok(db, "RESET search_path");
    sql_fails(db, "42501", "SELECT maintain_attempt(" A ", 'reopen', 'because')");
    sql_ok(db, "RESET ROLE");
    sql_ok(db, "DROP OWNED BY clerk");
    sql_ok(db, "DROP ROLE clerk");
}

static void test_an_attempt_in_progress_is_free(void **state)
{
    PGconn *db = *state;
    sql_ok(db, "INSERT INTO attempts (id) VALUES (" A "), (" B ")");
    sql_ok(db, "UPDATE attempts SET answers = '{\"q\": 1}', version = version + 1");
    sql_ok(db, "DELETE FROM attempts WHERE id = " B);
    sql_is(db, "1", "SELECT count(*) FROM attempts");
    sql_is(db, "insert update delete",
           "SELECT string_agg(action, ' ' ORDER BY id) FROM audit_log "
           "WHERE attempt_id = " B);
    sql_is(db, "{\"q\": 1}", "SELECT attempt_document(" A ")");
    sql_is(db, NULL, "SELECT attempt_document(" B ")");
}

static void test_a_start_may_come_after_the_submit(void **state)
{
    PGconn *db = *state;
    sql_ok(db, "INSERT INTO exams (id) VALUES (" E ")");
    sql_ok(db, "INSERT INTO attempts (id) VALUES (" A ")");
    sql_ok(db, "UPDATE attempts SET status = 'submitted', submitted_at = now()");
    sql_ok(db, "UPDATE attempt_rows SET exam_id = " E ", student_id = " B ", started_at = now(), "
               "deadline_at = now(), revision = revision + 1, updated_at = now()");
    sql_fails(db, "23001", "UPDATE attempt_rows SET deadline_at = NULL");
    sql_ok(db, "UPDATE attempt_rows SET prior_version = 7, recent_event_ids = ARRAY[" A "::uuid], "
               "revision = revision + 1");
}

static void test_amend_and_reopen_are_the_doors(void **state)
{
    PGconn *db = *state;
    submit_one(db);
    sql_fails(db, "22023", "SELECT maintain_attempt(" A ", 'amend', ' ', '{}')");
    sql_fails(db, "22023", "SELECT maintain_attempt(" A ", 'amend', 'x')");
    sql_fails(db, "22023", "SELECT maintain_attempt(" A ", 'amend', 'x', '[]')");
    sql_fails(db, "22023", "SELECT maintain_attempt(" A ", 'reopen', 'x', '{}')");
    sql_fails(db, "22023", "SELECT maintain_attempt(" A ", 'polish', 'x')");
    sql_fails(db, "P0002", "SELECT maintain_attempt(" B ", 'reopen', 'x')");
    sql_ok(db, "DELETE FROM foreign_changes");
    sql_is(db, "1 f t",
           "SELECT concat_ws(' ', version, after_deadline, answers_digest IS NULL) "
           "FROM submissions");

    sql_ok(db, "SELECT maintain_attempt(" A ", 'amend', 'key was wrong', "
               "'{\"q1\": null, \"q3\": 3}')");
    sql_is(db, "t",
           "SELECT answers = '{\"q2\": {\"x\": [null]}, \"q3\": 3}' AND "
           "answers = attempt_document(id) FROM attempts");
    sql_is(db, "t", "SELECT amended_at IS NOT NULL FROM submissions");
    sql_is(
        db, "1 3",
        "SELECT concat_ws(' ', f.version, f.revision) FROM foreign_changes f "
        "JOIN attempts a ON (a.id, a.revision, a.exam_id) = (attempt_id, f.revision, f.exam_id)");
    sql_fails(db, "23001", "UPDATE attempts SET answers = '{}'"); /* it is closed again */

    sql_ok(db, "SELECT maintain_attempt(" A ", 'reopen', 'fire alarm')");
    sql_is(db, "in_progress 1", "SELECT concat_ws(' ', status, version) FROM attempts");
    sql_is(db, "0", "SELECT count(*) FROM submissions, attempt_answers");
    sql_fails(db, "55000", "SELECT maintain_attempt(" A ", 'reopen', 'again')");
    sql_ok(db, "UPDATE attempts SET status = 'submitted', submitted_at = now()");
    sql_is(db, "t", "SELECT answers = attempt_document(id) FROM attempts");
    sql_is(db, "amend: key was wrong, reopen: fire alarm",
           "SELECT string_agg(action || ': ' || reason, ', ' ORDER BY id) FROM audit_log");
}

static void test_erase_leaves_nothing_but_the_count(void **state)
{
    PGconn *db = *state;
    submit_one(db);
    sql_ok(db,
           "INSERT INTO rejected_writes (attempt_id, event_id, outcome, event, topic, partition, "
           "record_offset) VALUES (" A ", " E ", 'late', '{\"answers\": 1}', 't', 0, 1), "
           "(" B ", " E ", 'late', '{\"answers\": 2}', 't', 0, 2)");
    sql_ok(db,
           "INSERT INTO dead_letters (topic, partition, record_offset, record_key, record_value, "
           "reason) VALUES ('t', 0, 3, convert_to(" A ", 'UTF8'), '{', 'json'), "
           "('t', 0, 4, 'other', convert_to('{\"attempt_id\":\"' || " A " || '\"}', 'UTF8'), "
           "'key'), ('t', 0, 5, 'another', '{}', 'json')");
    /* Its attempt may be known though its bytes do not say so. */
    sql_ok(db,
           "INSERT INTO dead_letters (topic, partition, record_offset, attempt_id, event_id, "
           "record_key, record_value, headers, reason, detail) VALUES ('t', 0, 6, " A ", " E ", "
           "'k', 'v', '[[\"h\", \"dg==\"]]', 'constraint', 'what it says')");
    sql_ok(db, "INSERT INTO activity_events VALUES (gen_random_uuid(), " A ", 'x', NULL, now()), "
               "(gen_random_uuid(), " B ", 'x', NULL, now())");
    sql_ok(db, "SELECT maintain_attempt(" A ", 'amend', 'x', '{\"q1\": \"secret\"}')");
    sql_ok(db, "SELECT maintain_attempt(" A ", 'erase', 'asked for')");
    sql_is(db, "0 0 0",
           "SELECT concat_ws(' ', (SELECT count(*) FROM attempts), "
           "(SELECT count(*) FROM attempt_answers), "
           "(SELECT count(*) FROM submissions))");
    sql_is(db, "1", "SELECT count(*) FROM activity_events");
    sql_is(db, "2 1", "SELECT concat_ws(' ', count(*), count(event)) FROM rejected_writes");
    sql_is(db, "4 1", "SELECT concat_ws(' ', count(*), count(record_value)) FROM dead_letters");
    sql_is(db, "3 0 t",
           "SELECT concat_ws(' ', count(*), sum(num_nonnulls(attempt_id, event_id, record_key, "
           "record_value, detail)), bool_and(headers = '[]')) FROM dead_letters "
           "WHERE erased_at IS NOT NULL");
    sql_is(db, "1 0",
           "SELECT concat_ws(' ', count(*), sum(num_nonnulls(attempt_id, event_id, event))) "
           "FROM rejected_writes WHERE erased_at IS NOT NULL");
    sql_is(db, "0", "SELECT count(*) FROM audit_log WHERE detail::text LIKE '%secret%'");
    sql_is(db, "t", "SELECT max(revision) = 4 FROM foreign_changes WHERE attempt_id = " A);
}

/* Direct changes are kept as old and new values, and nobody but the owner can take that back. */
static void test_the_audit_log_keeps_what_was_changed(void **state)
{
    PGconn *db = *state;
    submit_one(db);
    sql_ok(db, "SET timezone = 'UTC'");
    sql_ok(db, "INSERT INTO attempts (id, answers) VALUES (" B ", '{\"q1\": 1, \"q2\": null}')");
    sql_ok(db, "UPDATE attempts SET answers = '{\"q1\": 2, \"q2\": null, \"q3\": []}', "
               "deadline_at = '2026-01-01Z' WHERE id = " B);
    sql_is(db,
           "{\"new\": {\"deadline_at\": \"2026-01-01T00:00:00+00:00\"}, "
           "\"new_answers\": {\"q1\": 2, \"q3\": []}, \"old_answers\": {\"q1\": 1}}",
           "SELECT detail FROM audit_log WHERE action = 'update' AND attempt_id = " B);
    sql_ok(db, "UPDATE attempts SET version = version WHERE id = " B); /* nothing changed */
    sql_is(db, "1", "SELECT count(*) FROM audit_log WHERE action = 'update' AND attempt_id = " B);
    sql_ok(db, "UPDATE attempt_rows SET version = version + 1, revision = revision + 1 "
               "WHERE id = " B); /* the worker's */
    sql_is(db, "1", "SELECT count(*) FROM audit_log WHERE action = 'update' AND attempt_id = " B);
    sql_ok(db, "DELETE FROM attempts WHERE id = " B);
    sql_is(db, "2", "SELECT detail #>> '{old_answers,q1}' FROM audit_log WHERE action = 'delete'");
    sql_is(db, "attemptd", "SELECT DISTINCT current_user FROM audit_log");
    /* Dead letters. */
    sql_ok(db, "INSERT INTO dead_letters (topic, partition, record_offset, reason) "
               "VALUES ('t', 0, 7, 'json')");
    sql_ok(db, "UPDATE dead_letters SET discarded_at = now()");
    sql_is(db, "letter discarded t 7",
           "SELECT concat_ws(' ', action, topic, detail ->> 'record_offset') FROM audit_log "
           "ORDER BY id DESC LIMIT 1");
    /* Append-only: for a role with all rights, and for the superuser. */
    sql_ok(db, "RESET ROLE");
    sql_fails(db, "23001", "UPDATE audit_log SET detail = NULL");
    sql_fails(db, "23001", "TRUNCATE audit_log");
    sql_ok(db, "SET session_replication_role = replica");
    sql_fails(db, "23001", "DELETE FROM audit_log");
    sql_ok(db, "CREATE ROLE clerk");
    sql_ok(db, "GRANT ALL ON audit_log TO clerk");
    sql_ok(db, "SET ROLE clerk");
    sql_fails(db, "23001", "DELETE FROM audit_log");
    sql_ok(db, "INSERT INTO audit_log (action) VALUES ('note')");
    sql_ok(db, "RESET ROLE");
    sql_ok(db, "DROP OWNED BY clerk");
    sql_ok(db, "DROP ROLE clerk");
    sql_ok(db, "SET ROLE attemptd");
    sql_ok(db, "DELETE FROM audit_log");
}

static void test_the_workers_own_writes_are_not_foreign(void **state)
{
    PGconn *db = *state;
    sql_ok(db, "INSERT INTO attempt_rows (id, revision) VALUES (" A ", 1)");
    sql_ok(db,
           "UPDATE attempt_rows SET folded_answers = attempt_merge(folded_answers, '{\"q\": 1}'), "
           "version = version + 1, revision = revision + 1, updated_at = now()");
    sql_is(db, "0", "SELECT count(*) FROM foreign_changes");
    sql_is(db, "t", "SELECT foreign_revision IS NULL FROM attempt_rows");
    sql_ok(db, "UPDATE attempt_rows SET updated_at = '2000-01-01Z', revision = revision + 1");
    /* Somebody else's: seen, counted, dated. */
    sql_ok(db, "UPDATE attempts SET answers = '{}', version = version + 1");
    sql_is(db, "4 4 3 t",
           "SELECT concat_ws(' ', revision, foreign_revision, version, "
           "updated_at > now() - interval '1 minute') FROM attempt_rows");
    sql_is(db, "3 4", "SELECT concat_ws(' ', version, revision) FROM foreign_changes");
    /* With triggers set to replica too, and by somebody who may not write foreign_changes. */
    sql_ok(db, "RESET ROLE");
    sql_ok(db, "CREATE ROLE clerk");
    sql_ok(db, "GRANT SELECT, UPDATE ON attempts TO clerk");
    sql_ok(db, "SET ROLE clerk");
    sql_ok(db, "SET search_path = pg_catalog");
    sql_ok(db, "UPDATE public.attempts SET answers = '{\"x\": 1}'");
    sql_ok(db, "RESET ROLE");
    sql_is(db, "5", "SELECT max(revision) FROM public.foreign_changes");
    sql_ok(db, "SET session_replication_role = replica");
    sql_ok(db, "UPDATE public.attempt_rows SET started_at = now()");
    sql_is(db, "6", "SELECT max(revision) FROM public.foreign_changes");
    sql_ok(db, "DROP OWNED BY clerk");
    sql_ok(db, "DROP ROLE clerk");
}

/* ------------------------------------------------------------------- merge, against a C model */

#define KEYS   6
#define ROUNDS 400

/* A document over keys k0…k5: -1 for a key that is not there, -2 for a null (patches only). */
static void write_document(char *text, size_t size, const int values[KEYS])
{
    size_t at = 0;
    for (int k = 0; k < KEYS; k++) {
        const char *comma = at == 0 ? "" : ", ";
        if (values[k] == -2)
            at += (size_t)snprintf(text + at, size - at, "%s\"k%d\": null", comma, k);
        else if (values[k] >= 0 && values[k] % 3 == 0)
            at += (size_t)snprintf(text + at, size - at, "%s\"k%d\": [null, %d]", comma, k,
                                   values[k]);
        else if (values[k] >= 0)
            at += (size_t)snprintf(text + at, size - at, "%s\"k%d\": %d", comma, k, values[k]);
    }
    text[at] = '\0';
}

static void test_attempt_merge_is_the_models_merge(void **state)
{
    PGconn *db = *state;
    struct rng rng = { 20261121 };
    int document[KEYS] = { -1, -1, -1, -1, -1, -1 };
    for (int round = 0; round < ROUNDS; round++) {
        int patch[KEYS];
        char before[256], change[256], after[256], sql[1024];
        write_document(before, sizeof before, document);
        for (int k = 0; k < KEYS; k++) {
            patch[k] = (int)rng_below(&rng, 12) - 2;
            if (patch[k] != -1)
                document[k] = patch[k] == -2 ? -1 : patch[k];
        }
        write_document(change, sizeof change, patch);
        write_document(after, sizeof after, document);
        (void)snprintf(sql, sizeof sql, "SELECT attempt_merge('{%s}', '{%s}') = '{%s}'::jsonb",
                       before, change, after);
        sql_is(db, "t", sql);
    }
    sql_is(db, NULL, "SELECT attempt_merge(NULL, '{}')");
    sql_is(db, "{\"a\": [null]}", "SELECT attempt_merge('{}', '{\"a\": [null], \"b\": null}')");
    /* It must vanish into the statement: a function call per row would be dear. */
    sql_is(db, "0",
           "SELECT count(*) FROM pg_proc WHERE proname = 'attempt_merge' AND "
           "(provolatile <> 'i' OR proconfig IS NOT NULL OR proisstrict)");
}

/* --------------------------------------------------------------------------------- statistics */

static void test_views_agree_with_a_recount(void **state)
{
    PGconn *db = *state;
    sql_ok(db, "INSERT INTO exams (id) SELECT md5('e' || n)::uuid FROM generate_series(1, 3) n");
    sql_ok(db, "INSERT INTO attempts (id, exam_id, student_id, started_at, deadline_at, answers) "
               "SELECT md5('a' || n)::uuid, md5('e' || 1 + n % 3)::uuid, md5('s' || n % 20)::uuid, "
               "'2026-01-01Z'::timestamptz + n * interval '1 s', '2026-01-01 00:01:30Z', "
               "(SELECT jsonb_object_agg('q' || k, k) FROM generate_series(0, n % 4) k) "
               "FROM generate_series(1, 100) n");
    sql_ok(db, "INSERT INTO attempts (id) VALUES (" A ")"); /* without a start: left out */
    sql_ok(db, "UPDATE attempts SET status = 'submitted', submitted_at = started_at + "
               "interval '1 s' * (abs(hashtext(id::text)) % 60) "
               "WHERE hashtext(id::text) % 2 = 0 AND exam_id IS NOT NULL");
    /* At the deadline is not after it, here as in the view. */
    sql_ok(db, "UPDATE attempts SET status = 'submitted', submitted_at = deadline_at WHERE id = "
               "(SELECT id FROM attempts WHERE status = 'in_progress' AND exam_id IS NOT NULL "
               "ORDER BY id LIMIT 1)");
    sql_is(db, "false",
           "SELECT string_agg(DISTINCT after_deadline::text, ' ') FROM submissions s "
           "JOIN attempts a ON a.id = attempt_id AND a.submitted_at = deadline_at");
    sql_ok(db, "INSERT INTO activity_events SELECT gen_random_uuid(), md5('a' || n % 50)::uuid, "
               "'x', NULL, '2026-01-01Z'::timestamptz + n * interval '1 m' "
               "FROM generate_series(1, 500) n");
    sql_ok(db, "REFRESH MATERIALIZED VIEW CONCURRENTLY exam_attempt_stats");
    sql_ok(db, "REFRESH MATERIALIZED VIEW CONCURRENTLY question_stats");
    sql_ok(db, "REFRESH MATERIALIZED VIEW CONCURRENTLY student_activity_stats");
    sql_is(db, "3", "SELECT count(*) FROM exam_attempt_stats");
    sql_is(
        db, "0",
        "SELECT count(*) FROM exam_attempt_stats v WHERE (attempts, in_progress, submitted, "
        "after_deadline, round(answered_avg, 6), first_started_at) IS DISTINCT FROM ("
        "(SELECT count(*) FROM attempts a WHERE a.exam_id = v.exam_id), "
        "(SELECT count(*) FROM attempts a WHERE a.exam_id = v.exam_id AND status <> 'submitted'), "
        "(SELECT count(*) FROM attempts a WHERE a.exam_id = v.exam_id AND status = 'submitted'), "
        "(SELECT count(*) FROM attempts a WHERE a.exam_id = v.exam_id "
        "AND submitted_at > deadline_at), "
        "(SELECT round(count(k) / count(DISTINCT a.id)::numeric, 6) FROM attempts a "
        "LEFT JOIN jsonb_object_keys(answers) k ON true WHERE a.exam_id = v.exam_id), "
        "(SELECT min(started_at) FROM attempts a WHERE a.exam_id = v.exam_id))");
    sql_is(
        db, "0",
        "SELECT count(*) FROM exam_attempt_stats v JOIN LATERAL (SELECT "
        "array_agg(submitted_at - started_at ORDER BY submitted_at - started_at) d FROM attempts a "
        "WHERE a.exam_id = v.exam_id AND status = 'submitted') x ON true "
        "WHERE duration_p50 IS DISTINCT FROM (d[(cardinality(d) + 1) / 2] + "
        "d[cardinality(d) / 2 + 1]) / 2");
    sql_is(db, "0",
           "SELECT count(*) FROM question_stats v WHERE (answered, submitted_answered) <> ("
           "(SELECT count(*) FROM attempts a WHERE a.exam_id = v.exam_id AND "
           "answers ? question_id), (SELECT count(*) FROM attempts a JOIN attempt_answers q "
           "ON q.attempt_id = a.id WHERE a.exam_id = v.exam_id AND "
           "q.question_id = v.question_id))");
    sql_is(db, "100 490",
           "SELECT concat_ws(' ', sum(attempts), sum(activity_events)) "
           "FROM student_activity_stats");
}

static void test_a_schedule_is_read_as_cron_reads_it(void **state)
{
    PGconn *db = *state;
    static const char *const cases[][4] = {
        { "* * * * *", "2026-11-20 10:00:00Z", "2026-11-20 10:00:59Z", "f" },
        { "* * * * *", "2026-11-20 10:00:59Z", "2026-11-20 10:01:00Z", "t" },
        { "*/15 3 * * 1-5", "2026-11-20 02:59Z", "2026-11-20 03:00Z", "t" },
        { "*/15 3 * * 1-5", "2026-11-21 02:59Z", "2026-11-21 03:50Z", "f" }, /* Saturday */
        { "0 0 1 * *", "2026-11-20 00:00Z", "2026-11-30 23:59Z", "f" },
        { "0 0 1 * *", "2026-11-20 00:00Z", "2026-12-01 00:00Z", "t" },
        { "0 0 * * 7", "2026-11-21 00:00Z", "2026-11-22 00:00Z", "t" },
        { "0 0 * * 0", "2026-11-21 00:00Z", "2026-11-22 00:00Z", "t" },
        { "0 0 13 * 5", "2026-11-19 12:00Z", "2026-11-20 00:00Z", "t" }, /* Friday or the 13th */
        { "5,10-12 * * * *", "2026-11-20 10:05Z", "2026-11-20 10:09Z", "f" },
        { "5,10-12 * * * *", "2026-11-20 10:10Z", "2026-11-20 10:11Z", "t" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[256];
        (void)snprintf(sql, sizeof sql, "SELECT cron_due('%s', '%s', '%s')", cases[i][0],
                       cases[i][1], cases[i][2]);
        sql_is(db, cases[i][3], sql);
    }
    static const char *const wrong[] = { "* * * *",     "60 * * * *", "* * 0 * *",  "*/0 * * * *",
                                         "5-3 * * * *", "x * * * *",  "*-3 * * * *" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char sql[256];
        (void)snprintf(sql, sizeof sql, "UPDATE view_schedules SET every = NULL, cron = '%s'",
                       wrong[i]);
        sql_fails(db, "22023", sql);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, pg_test_open, pg_test_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nobody_changes_a_submitted_attempt),
        TEST(test_an_attempt_in_progress_is_free),
        TEST(test_a_start_may_come_after_the_submit),
        TEST(test_amend_and_reopen_are_the_doors),
        TEST(test_erase_leaves_nothing_but_the_count),
        TEST(test_the_audit_log_keeps_what_was_changed),
        TEST(test_the_workers_own_writes_are_not_foreign),
        TEST(test_attempt_merge_is_the_models_merge),
        TEST(test_views_agree_with_a_recount),
        TEST(test_a_schedule_is_read_as_cron_reads_it),
    };
    return cmocka_run_group_tests_name("schema", tests, pg_group_start, pg_group_stop);
}
