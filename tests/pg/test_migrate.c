/* Migrations: up, down and up again, refusals, and several deployers at once. */
#include "common/hash.h"
#include "tests/pg/private_pg.h"
#include "tests/pg/sql.h"
#include "worker/postgres/migrate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define EXAM "eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee"

/* Each test: an empty database; its URL and a client for schema `exam`. */
struct fixture {
    char url[PRIVATE_PG_URL_BYTES];
    struct pg_client *client;
    PGconn *db;
};

static struct pg_client *client_of(const char *url)
{
    struct pg_client_options options = { .url = url, .schema = "exam" };
    struct err err = { 0 };
    struct pg_client *client = NULL;
    if (!pg_client_connect(&options, &client, &err))
        print_error("%s\n", err.text);
    return client;
}

static int open_database(void **state)
{
    static struct fixture fixture;
    struct err err = { 0 };
    if (!private_pg_database(pg_group_server(), false, false, fixture.url, &err)) {
        print_error("%s\n", err.text);
        return -1;
    }
    fixture.client = client_of(fixture.url);
    fixture.db = sql_connect(fixture.url);
    if (!fixture.client || !fixture.db)
        return -1;
    sql_ok(fixture.db, "SET search_path = exam");
    *state = &fixture;
    return 0;
}

static int close_database(void **state)
{
    struct fixture *f = *state;
    pg_client_free(f->client);
    PQfinish(f->db);
    return 0;
}

static size_t up(struct fixture *f, const struct embedded_file *files)
{
    struct migrate_options options = { .files = files };
    struct err err = { 0 };
    size_t count = 99;
    if (!migrate_up(f->client, &options, &count, &err))
        fail_msg("%s", err.text);
    return count;
}

static size_t down(struct fixture *f, const struct embedded_file *files, int64_t to)
{
    struct migrate_options options = { .files = files };
    struct err err = { 0 };
    size_t count = 99;
    if (!migrate_down(f->client, &options, to, &count, &err))
        fail_msg("%s", err.text);
    return count;
}

static void up_fails(struct fixture *f, const struct embedded_file *files, const char *code,
                     const char *says)
{
    struct migrate_options options = { .files = files, .lock_wait_ms = 300 };
    struct err err = { 0 };
    assert_false(migrate_up(f->client, &options, NULL, &err));
    assert_string_equal(err.code, code);
    if (!strstr(err.text, says))
        fail_msg("'%s' says nothing of '%s'", err.text, says);
}

static void test_up_down_and_up_again_with_data(void **state)
{
    struct fixture *f = *state;
    size_t all = 0;
    size_t repeatable = 0;
    for (; migrations_embedded[all].name; all++)
        repeatable += migrations_embedded[all].name[0] == 'R';
    assert_int_equal(up(f, NULL), all);
    assert_int_equal(up(f, NULL), 0);
    sql_ok(f->db, "INSERT INTO exams (id) VALUES (gen_random_uuid())");
    sql_ok(f->db, "INSERT INTO attempts (id, exam_id, student_id, answers) "
                  "SELECT gen_random_uuid(), id, id, '{\"q\": 1}' FROM exams");
    sql_ok(f->db, "UPDATE attempts SET status = 'submitted', submitted_at = now()");
    sql_ok(f->db, "INSERT INTO activity_events "
                  "SELECT gen_random_uuid(), id, 'x', NULL, now() FROM attempts");
    static const char moves[] = "SELECT concat_ws(' ', count(*) FILTER (WHERE d = 'up'), "
                                "count(*) FILTER (WHERE d = 'down')) FROM (SELECT detail ->> "
                                "'direction' AS d FROM audit_log WHERE action = 'migrate') AS m";
    sql_ok(f->db, "DELETE FROM audit_log");
    assert_int_equal(down(f, NULL, -1), repeatable + 1);
    char expected[32];
    (void)snprintf(expected, sizeof expected, "0 %zu", repeatable + 1);
    sql_is(f->db, expected, moves);
    assert_int_equal(up(f, NULL), repeatable + 1);
    (void)snprintf(expected, sizeof expected, "%zu %zu", repeatable + 1, repeatable + 1);
    sql_is(f->db, expected, moves);
    sql_is(f->db, "1", "SELECT count(*) FROM attempts");
    assert_int_equal(down(f, NULL, 0), all);
    sql_is(
        f->db, "schema_migrations,schema_repeatables",
        "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relnamespace = 'exam'::regnamespace "
        "AND relkind IN ('r', 'p', 'v', 'm', 'S')");
    sql_is(f->db, "0", "SELECT count(*) FROM pg_proc WHERE pronamespace = 'exam'::regnamespace");
    assert_int_equal(up(f, NULL), all);
    /* Nothing landed outside the schema. */
    sql_is(f->db, "0", "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace");
}

static const struct embedded_file two_files[] = {
    { "0001_a.sql", "-- migrate:up\nCREATE TABLE a (x int);\n-- migrate:down\nDROP TABLE a;\n" },
    { "0002_b.sql", "-- migrate:up\n\nCREATE TABLE b (x int);\n\nCREATE TABLE c (\n    x int,\n"
                    "    y nonsense\n);\n-- migrate:down\nDROP TABLE b;\n" },
    { 0 },
};

static void test_an_error_names_file_and_line_and_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    up_fails(f, two_files, "42704", "0002_b.sql line 7: type \"nonsense\" does not exist");
    sql_is(f->db, NULL, "SELECT to_regclass('b')");
    sql_is(f->db, "0001", "SELECT string_agg(version, ',') FROM schema_migrations");
}

static void test_a_changed_file_is_refused_by_name(void **state)
{
    struct fixture *f = *state;
    const struct embedded_file one[] = { two_files[0], { 0 } };
    assert_int_equal(up(f, one), 1);
    const struct embedded_file changed[] = {
        { "0001_a.sql",
          "-- migrate:up\nCREATE TABLE a (x bigint);\n-- migrate:down\nDROP TABLE a;" },
        { 0 },
    };
    up_fails(f, changed, "CHECKSUM", "0001_a.sql was changed after it was applied");
    struct migration_list list = { 0 };
    assert_true(migrate_list(f->client, changed, &list, NULL));
    assert_int_equal(list.items[0].state, MIGRATION_CHANGED);
    migration_list_free(&list);
    /* What a newer program applied is no reason to fail. */
    const struct embedded_file none[] = { { 0 } };
    assert_int_equal(up(f, none), 0);
    assert_true(migrate_list(f->client, none, &list, NULL));
    assert_int_equal(list.items[0].state, MIGRATION_UNKNOWN);
    migration_list_free(&list);
}

/* Functions and views: applied again when their text changes, gone with a step down, and a program
 * that is older than the schema leaves them alone. */
static void test_repeatable_files_follow_their_text(void **state)
{
    struct fixture *f = *state;
    static const char first[] =
        "-- migrate:up\nCREATE OR REPLACE FUNCTION n() RETURNS int LANGUAGE "
        "sql AS 'SELECT 1';\n-- migrate:down\nDROP FUNCTION n();\n";
    static const char second[] =
        "-- migrate:up\nCREATE OR REPLACE FUNCTION n() RETURNS int LANGUAGE "
        "sql AS 'SELECT 2';\n-- migrate:down\nDROP FUNCTION n();\n";
    struct embedded_file files[] = { { "R__n.sql", first }, two_files[0], { 0 } };
    assert_int_equal(up(f, files), 2);
    assert_int_equal(up(f, files), 0);
    sql_is(f->db, "1", "SELECT n()");
    files[0].text = second;
    struct migration_list list = { 0 };
    assert_true(migrate_list(f->client, files, &list, NULL));
    assert_string_equal(list.items[1].name, "R__n.sql");
    assert_string_equal(migration_state_name(list.items[1].state), "outdated");
    migration_list_free(&list);
    assert_int_equal(up(f, files), 1);
    sql_is(f->db, "2", "SELECT n()");
    /* Somebody's rights on it outlive that. */
    sql_ok(f->db, "REVOKE EXECUTE ON FUNCTION n() FROM PUBLIC");
    files[0].text = first;
    assert_int_equal(up(f, files), 1);
    sql_is(f->db, "1",
           "SELECT n() WHERE (SELECT proacl FROM pg_proc WHERE proname = 'n') IS NOT NULL");
    /* An older program. */
    sql_ok(f->db, "INSERT INTO schema_migrations (version) VALUES ('0099')");
    files[0].text = second;
    assert_int_equal(up(f, files), 0);
    sql_is(f->db, "1", "SELECT n()");
    sql_ok(f->db, "DELETE FROM schema_migrations WHERE version = '0099'");
    assert_int_equal(down(f, files, -1), 2);
    sql_is(f->db, "0", "SELECT count(*) FROM pg_proc WHERE proname = 'n'");
    sql_is(f->db, "0", "SELECT count(*) FROM schema_repeatables");
}

/* From each earlier version, with data in it, to this one: the data is there and the functions
 * work. */
static void test_an_upgrade_from_each_version_keeps_the_data(void **state)
{
    struct fixture *f = *state;
    struct migrate_options all = { 0 };
    struct err err = { 0 };
    for (int64_t from = 1; from < 4711; from++) {
        struct migrate_options some = { .up_to = from };
        size_t count = 0;
        if (!migrate_down(f->client, &all, 0, &count, &err) ||
            !migrate_up(f->client, &some, &count, &err))
            fail_msg("%s", err.text);
        char sql[128];
        (void)snprintf(sql, sizeof sql, "SELECT max(version::int) < %d FROM schema_migrations",
                       (int)from);
        PGresult *past = PQexec(f->db, sql);
        bool done = PQgetvalue(past, 0, 0)[0] == 't';
        PQclear(past);
        if (done)
            return;
        sql_ok(f->db, "INSERT INTO exams (id) VALUES ('" EXAM "')");
        sql_ok(f->db, "INSERT INTO attempts (id, exam_id, student_id, started_at, answers) SELECT "
                      "md5(n::text)::uuid, '" EXAM "', '" EXAM "', now(), '{\"q\": [null, 1.50]}' "
                      "FROM generate_series(1, 10) n");
        sql_ok(f->db, "UPDATE attempts SET version = 7 WHERE id = md5('3')::uuid");
        if (from >= 3)
            sql_ok(f->db, "INSERT INTO activity_events VALUES "
                          "('" EXAM "', '" EXAM "', 'x', NULL, now())");
        if (from >= 4)
            sql_ok(f->db, "UPDATE attempts SET status = 'submitted', submitted_at = now() "
                          "WHERE id = md5('4')::uuid");
        sql_ok(f->db, "CREATE TABLE before AS SELECT * FROM attempts");
        if (!migrate_up(f->client, &all, &count, &err))
            fail_msg("from %d: %s", (int)from, err.text);
        sql_is(f->db, "10",
               "SELECT count(*) FROM before b JOIN attempts a ON "
               "(a.id, a.version, a.status, a.answers, a.updated_at) = "
               "(b.id, b.version, b.status, b.answers, b.updated_at)");
        sql_is(f->db, "applied applied",
               "SELECT concat_ws(' ', (SELECT outcome FROM batch_save_attempts('[{\"attempt_id\": "
               "\"eccbc87e-4b5c-e2fe-2830-8fd9f2a7baf3\", \"expected_version\": 7}]')), "
               "(SELECT outcome FROM batch_submit_attempts(ARRAY[md5('5')::uuid])))");
        if (from >= 3)
            sql_is(f->db, "1", "SELECT count(*) FROM activity_events");
        sql_ok(f->db, "DROP TABLE before");
    }
}

/* Between one column for the document and a tail beside it: the newest changes, rights and what
 * others have built on the view go with it; what they hung on the table itself is asked for first.
 */
static void test_the_tail_comes_and_goes(void **state)
{
    struct fixture *f = *state;
    struct migrate_options before = { .up_to = 7 };
    assert_true(migrate_up(f->client, &before, NULL, NULL));
    sql_ok(f->db, "INSERT INTO attempts (id, answers, auto_save_data) SELECT md5(n::text)::uuid, "
                  "'{\"q\": [null, 1.50]}', '{\"p\": 1}' FROM generate_series(1, 3) n");
    sql_ok(f->db, "CREATE VIEW theirs AS SELECT id, answers, version FROM attempts");
    sql_ok(f->db, "GRANT SELECT, UPDATE ON attempts TO pg_monitor");
    sql_ok(f->db, "GRANT SELECT ON exam_attempt_stats TO pg_monitor WITH GRANT OPTION");
    sql_ok(f->db, "GRANT SELECT ON question_stats TO PUBLIC");
    sql_ok(f->db, "GRANT SELECT (id, version), UPDATE (version) ON attempt_rows TO pg_monitor");
    sql_ok(f->db, "ALTER TABLE attempt_rows ADD CONSTRAINT rule CHECK (NOT answers ? 'x')");
    sql_ok(f->db, "CREATE INDEX by_change ON attempt_rows (updated_at)");
    up_fails(f, NULL, "2BP01", "constraint rule");
    sql_ok(f->db, "ALTER TABLE attempt_rows DROP CONSTRAINT rule");
    up_fails(f, NULL, "2BP01", "index by_change");
    sql_ok(f->db, "DROP INDEX by_change");
    static const char rights[] =
        "SELECT has_table_privilege('pg_monitor', 'attempts', 'UPDATE') AND "
        "has_table_privilege('pg_monitor', 'exam_attempt_stats', 'SELECT WITH GRANT OPTION') AND "
        "has_table_privilege('pg_read_all_stats', 'question_stats', 'SELECT') AND "
        "has_column_privilege('pg_monitor', 'attempt_rows', 'id', 'SELECT') AND "
        "has_column_privilege('pg_monitor', 'attempt_rows', 'version', 'UPDATE') AND NOT "
        "has_column_privilege('pg_monitor', 'attempt_rows', 'revision', 'UPDATE')";
    for (int round = 0; round < 2; round++) {
        assert_true(up(f, NULL) > 0);
        sql_is(f->db, "t", rights);
        sql_ok(f->db,
               "UPDATE attempt_rows SET tail = tail || ',\"r\":' || version || ',\"q\":null', "
               "version = version + 1, revision = revision + 1");
        sql_ok(f->db, "SET enable_seqscan = off"); /* the indexes came along */
        sql_is(f->db, round == 0 ? "{\"r\": 1} 2" : "{\"r\": 2} 3",
               "SELECT concat_ws(' ', answers, version) FROM theirs WHERE id = md5('2')::uuid");
        down(f, NULL, 7);
        sql_is(f->db, "t", rights);
        sql_is(f->db, round == 0 ? "{\"r\": 1} 2" : "{\"r\": 2} 3",
               "SELECT concat_ws(' ', answers, version) FROM attempt_rows "
               "WHERE id = md5('2')::uuid AND auto_save_data = '{\"p\": 1}'");
    }
    sql_is(f->db, "A A A A A",
           "SELECT string_agg(tgenabled::text, ' ') FROM pg_trigger WHERE NOT tgisinternal AND "
           "tgrelid = 'attempt_rows'::regclass");
    sql_ok(f->db, "UPDATE attempts SET status = 'submitted', submitted_at = now()");
    sql_fails(f->db, "23001", "UPDATE attempts SET answers = '{}'");
}

static void test_up_goes_as_far_as_it_is_told(void **state)
{
    struct fixture *f = *state;
    struct migrate_options options = { .up_to = 2 };
    size_t count = 0;
    assert_true(migrate_up(f->client, &options, &count, NULL));
    assert_int_equal(count, 2);
    sql_is(f->db, "0002", "SELECT max(version) FROM schema_migrations");
    sql_is(f->db, "0", "SELECT count(*) FROM schema_repeatables");
    assert_true(up(f, NULL) > 0);
}

/* What cannot run in a transaction; and if it fails, what stood before it stays. */
static void test_a_file_may_do_without_a_transaction(void **state)
{
    struct fixture *f = *state;
    const struct embedded_file files[] = {
        two_files[0],
        { "0002_i.sql", "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY i ON a (x);\n"
                        "-- migrate:down transaction:false\nDROP INDEX CONCURRENTLY i;\n" },
        { "0003_b.sql", "-- migrate:up transaction:false\nCREATE TABLE d (x int);\nSELECT 1/0;\n"
                        "-- migrate:down\nDROP TABLE d;\n" },
        { 0 },
    };
    up_fails(f, files, "22012", "What stands above it is done and stays");
    sql_is(f->db, "0002", "SELECT max(version) FROM schema_migrations");
    sql_ok(f->db, "DROP TABLE d");
    assert_int_equal(down(f, files, 1), 1);
}

static void test_it_goes_on_where_dbmate_stopped(void **state)
{
    struct fixture *f = *state;
    sql_ok(f->db, "CREATE SCHEMA exam");
    sql_ok(f->db, "CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY)");
    sql_ok(f->db, "INSERT INTO schema_migrations VALUES ('0001')");
    struct migration_list list = { 0 };
    assert_true(migrate_list(f->client, two_files, &list, NULL));
    assert_int_equal(list.items[0].state, MIGRATION_APPLIED);
    migration_list_free(&list);
    const struct embedded_file one[] = { two_files[0], { 0 } };
    assert_int_equal(up(f, one), 0);
    sql_is(f->db, "32", "SELECT octet_length(checksum) FROM schema_migrations");
}

static void test_a_dry_run_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct migrate_options options = { .dry_run = true };
    size_t count = 0;
    assert_true(migrate_up(f->client, &options, &count, NULL));
    assert_true(count > 0);
    sql_is(f->db, NULL, "SELECT to_regnamespace('exam')");
}

static void test_a_deployer_that_never_ends_is_named(void **state)
{
    struct fixture *f = *state;
    sql_ok(f->db, "SELECT pg_advisory_lock(hashtextextended('attemptd migrate exam', 0))");
    up_fails(f, NULL, "55P03", "another deployer");
    sql_ok(f->db, "SELECT pg_advisory_unlock_all()");
    assert_true(up(f, NULL) > 0);
}

#define DEPLOYERS 4

static void test_of_many_deployers_one_works(void **state)
{
    struct fixture *f = *state;
    pid_t pids[DEPLOYERS];
    for (int i = 0; i < DEPLOYERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            struct pg_client *client = client_of(f->url);
            size_t count = 0;
            bool ok = client && migrate_up(client, &(struct migrate_options){ 0 }, &count, NULL);
            pg_client_free(client);
            _exit(!ok ? 2 : count > 0);
        }
    }
    int worked = 0;
    for (int i = 0; i < DEPLOYERS; i++) {
        int status = 0;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        worked += WEXITSTATUS(status);
    }
    assert_int_equal(worked, 1);
}

static void test_the_files_are_in_order(void **state)
{
    (void)state;
    struct err err = { 0 };
    if (!migrate_validate(NULL, &err))
        fail_msg("%s", err.text);
    const struct embedded_file bad_name[] = { { "1_a.sql", two_files[0].text }, { 0 } };
    const struct embedded_file twice[] = { two_files[0],
                                           { "0001_b.sql", two_files[0].text },
                                           { 0 } };
    const struct embedded_file no_down[] = {
        { "0001_a.sql", "-- migrate:up\nSELECT 1;\n-- migrate:down\n-- nothing;\n" }, { 0 }
    };
    const struct embedded_file long_number[] = { { "1234567890123456789_a.sql", two_files[0].text },
                                                 { 0 } };
    const struct embedded_file long_name[] = {
        { "R__a_name_of_more_than_sixty_three_characters_that_would_be_cut_off.sql",
          two_files[0].text },
        { 0 }
    };
    assert_false(migrate_validate(bad_name, &err));
    assert_false(migrate_validate(long_number, &err));
    assert_false(migrate_validate(long_name, &err));
    assert_false(migrate_validate(twice, &err));
    assert_non_null(strstr(err.text, "0001_a.sql and 0001_b.sql"));
    assert_false(migrate_validate(no_down, &err));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_database, close_database)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_up_down_and_up_again_with_data),
        TEST(test_an_error_names_file_and_line_and_leaves_nothing),
        TEST(test_a_changed_file_is_refused_by_name),
        TEST(test_repeatable_files_follow_their_text),
        TEST(test_an_upgrade_from_each_version_keeps_the_data),
        TEST(test_the_tail_comes_and_goes),
        TEST(test_up_goes_as_far_as_it_is_told),
        TEST(test_a_file_may_do_without_a_transaction),
        TEST(test_it_goes_on_where_dbmate_stopped),
        TEST(test_a_dry_run_changes_nothing),
        TEST(test_a_deployer_that_never_ends_is_named),
        TEST(test_of_many_deployers_one_works),
        cmocka_unit_test(test_the_files_are_in_order),
    };
    return cmocka_run_group_tests_name("migrate", tests, pg_group_start, pg_group_stop);
}
