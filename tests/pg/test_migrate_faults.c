/*
 * A migration that fails, is killed, or loses its server leaves the database as it was, and says
 * where it failed and what to do next. Played with the program itself, as an operator would.
 */
#include "tests/pg/private_pg.h"
#include "tests/pg/program.h"
#include "tests/pg/sql.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_TURNS 600 /* of 50 ms */

/* An empty database and a folder of migrations, of which the first is applied. */
struct fixture {
    char url[PRIVATE_PG_URL_BYTES];
    char folder[64];
    char up[128], output[96];
    PGconn *db;
    char before[64]; /* the fingerprint */
};

static void write_file(const struct fixture *f, const char *name, const char *text)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", f->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

/* Of all that migrations make: tables, columns, constraints, functions, triggers, their record, and
 * the rows of table a. */
static void fingerprint(PGconn *db, char ret_text[64])
{
    PGresult *result = PQexec(
        db,
        "SELECT md5(concat_ws('|', "
        "(SELECT string_agg(concat_ws(' ', relname, relkind, relhastriggers), ',' ORDER BY relname, relkind) "
        " FROM pg_class WHERE relnamespace = 'public'::regnamespace), "
        "(SELECT string_agg(concat_ws(' ', c.relname, attname, atttypid::regtype, attnotnull), ',' "
        " ORDER BY c.relname, attname) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid "
        " WHERE relnamespace = 'public'::regnamespace AND attnum > 0), "
        "(SELECT string_agg(conname || pg_get_constraintdef(oid), ',' ORDER BY conname) "
        " FROM pg_constraint WHERE connamespace = 'public'::regnamespace), "
        "(SELECT string_agg(md5(pg_get_functiondef(oid)), ',' ORDER BY oid::regprocedure::text) "
        " FROM pg_proc WHERE pronamespace = 'public'::regnamespace), "
        "(SELECT string_agg(viewname || definition, ',' ORDER BY viewname) FROM pg_views "
        " WHERE schemaname = 'public')))");
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s", PQresultErrorMessage(result));
    (void)snprintf(ret_text, 64, "%s", PQgetvalue(result, 0, 0));
    PQclear(result);
}

static int set_up(void **state)
{
    static struct fixture f;
    struct err err = { 0 };
    f = (struct fixture){ .folder = "/tmp/attemptd-test-migrations-XXXXXX" };
    if (!private_pg_database(pg_group_server(), false, false, f.url, &err) || !mkdtemp(f.folder))
        return -1;
    (void)snprintf(f.up, sizeof f.up, "migrate up --dir %s", f.folder);
    (void)snprintf(f.output, sizeof f.output, "%s/output", f.folder);
    f.db = sql_connect(f.url);
    *state = &f;
    write_file(&f, "0001_a.sql",
               "-- migrate:up\nCREATE TABLE a (x int);\nINSERT INTO a VALUES (1);\n"
               "-- migrate:down\nDROP TABLE a;\n");
    program_says(f.url, f.up, 0, "applied 0001_a.sql");
    fingerprint(f.db, f.before);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[96];
    PQfinish(f->db);
    (void)snprintf(command, sizeof command, "rm -rf %s", f->folder);
    return system(command);
}

/* Nothing of the second file is there, and nobody holds a lock. */
static void is_as_before(struct fixture *f)
{
    char now[64];
    for (int turn = 0; turn < PATIENCE_TURNS; turn++) {
        if (sql_number(f->db, "SELECT count(*) FROM pg_stat_activity WHERE application_name = "
                              "'attemptd migrate' AND datname = current_database()") == 0)
            break;
        (void)usleep(50000);
    }
    sql_is(f->db, "0",
           "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'attemptd migrate' "
           "AND datname = current_database()");
    fingerprint(f->db, now);
    assert_string_equal(now, f->before);
    sql_is(f->db, "1 1", "SELECT concat_ws(' ', count(*), sum(x)) FROM a");
    sql_is(f->db, "0001", "SELECT string_agg(version, ' ') FROM schema_migrations");
}

/* The second file with this statement in its middle, on line 6. */
static void write_second(struct fixture *f, const char *statement)
{
    char text[512];
    (void)snprintf(
        text, sizeof text,
        "-- The second.\n-- migrate:up\nCREATE TABLE b (x int);\nINSERT INTO a VALUES (2);\n"
        "ALTER TABLE a ADD y int;\n%s;\nCREATE INDEX b_x ON b (x);\n"
        "-- migrate:down\nDROP TABLE b;\nALTER TABLE a DROP y;\n",
        statement);
    write_file(f, "0002_b.sql", text);
}

static void goes_on_afterwards(struct fixture *f)
{
    is_as_before(f);
    write_second(f, "SELECT 1");
    program_says(f->url, f->up, 0, "applied 0002_b.sql");
    sql_is(f->db, "2 3", "SELECT concat_ws(' ', count(*), sum(x)) FROM a");
}

static void test_a_statement_that_fails(void **state)
{
    struct fixture *f = *state;
    write_second(f, "INSERT INTO nowhere VALUES (1)");
    program_says(
        f->url, f->up, 78,
        "0002_b.sql line 6: relation \"nowhere\" does not exist (SQLSTATE 42P01), in 'INSERT "
        "INTO nowhere VALUES (1)'. The file was rolled back. Mend the cause, migrate again");
    goes_on_afterwards(f);
}

/* What only COMMIT finds out. */
static void test_a_commit_that_fails(void **state)
{
    struct fixture *f = *state;
    write_second(f, "ALTER TABLE b ADD z int REFERENCES b (x)");
    program_says(f->url, f->up, 78, "0002_b.sql line 6:");
    write_second(f, "CREATE TABLE c (x int PRIMARY KEY, y int REFERENCES c DEFERRABLE INITIALLY "
                    "DEFERRED); INSERT INTO c VALUES (1, 2)");
    program_says(f->url, f->up, 65, "0002_b.sql, COMMIT: ");
    goes_on_afterwards(f);
}

/* Until the program is at the sleep in its second file. */
static void wait_for_sleep(PGconn *db)
{
    for (int turn = 0; turn < PATIENCE_TURNS; turn++) {
        if (sql_number(db, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND "
                           "wait_event = 'PgSleep' AND datname = current_database()") > 0)
            return;
        (void)usleep(50000);
    }
    fail_msg("the migration never came to its middle");
}

static void ends_with(pid_t pid, int code, const char *output, const char *says)
{
    static char text[4096];
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    FILE *file = fopen(output, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != code || !strstr(text, says))
        fail_msg("ended with %x: %s", (unsigned)status, text);
}

static void test_a_backend_that_is_killed(void **state)
{
    struct fixture *f = *state;
    write_second(f, "SELECT pg_sleep(60)");
    pid_t pid = program_start(f->url, f->up, f->output);
    wait_for_sleep(f->db);
    sql_ok(f->db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
                  "'attemptd migrate' AND datname = current_database()");
    ends_with(
        pid, 69, f->output,
        "0002_b.sql line 6: FATAL:  terminating connection due to administrator command "
        "(SQLSTATE 08006), in 'SELECT pg_sleep(60)'. The server rolls the file back. When it answers, "
        "migrate again");
    goes_on_afterwards(f);
}

/* The server is told by the system that its client is gone, and looks within two seconds. */
static void test_a_program_that_is_killed(void **state)
{
    struct fixture *f = *state;
    write_second(f, "SELECT pg_sleep(60)");
    pid_t pid = program_start(f->url, f->up, f->output);
    wait_for_sleep(f->db);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    goes_on_afterwards(f);
}

static void test_a_server_that_is_killed(void **state)
{
    struct fixture *f = *state;
    static const char *const modes[] = { "immediate", "kill" };
    for (size_t i = 0; i < 2; i++) {
        struct err err = { 0 };
        write_second(f, "SELECT pg_sleep(60)");
        pid_t pid = program_start(f->url, f->up, f->output);
        wait_for_sleep(f->db);
        assert_true(private_pg_restart(pg_group_server(), modes[i], &err));
        ends_with(pid, 69, f->output, "in 'SELECT pg_sleep(60)'. The server rolls the file back");
        PQfinish(f->db);
        f->db = sql_connect(f->url);
        assert_non_null(f->db);
        is_as_before(f);
    }
    goes_on_afterwards(f);
}

/* A limit of the server's, and a full file system, if this user may mount one. */
static void test_a_limit_that_is_reached(void **state)
{
    struct fixture *f = *state;
    PGconn *super = sql_connect(pg_group_server()->superuser_url);
    char sql[128];
    (void)snprintf(sql, sizeof sql, "ALTER ROLE attemptd IN DATABASE %s SET temp_file_limit = 1024",
                   PQdb(f->db));
    sql_ok(super, sql);
    PQfinish(super);
    write_second(f,
                 "INSERT INTO b SELECT n FROM generate_series(1, 1000000) n ORDER BY md5(n::text)");
    program_says(f->url, f->up, 69, "(SQLSTATE 53400), in 'INSERT INTO b SELECT n FROM");
    goes_on_afterwards(f);
}

static void test_a_full_disk(void **state)
{
    struct fixture *f = *state;
    char folder[128];
    char sql[256];
    (void)snprintf(folder, sizeof folder, "%s/disk", pg_group_server()->dir);
    assert_int_equal(mkdir(folder, 0777), 0);
    if (mount("tmpfs", folder, "tmpfs", 0, "size=2m,mode=777") != 0) {
        print_message("          NOT RUN: this user may not mount a small file system\n");
        skip();
    }
    (void)snprintf(sql, sizeof sql, "chown --reference=%s/home %s", pg_group_server()->dir, folder);
    assert_int_equal(system(sql), 0);
    PGconn *super = sql_connect(pg_group_server()->superuser_url);
    (void)snprintf(sql, sizeof sql, "CREATE TABLESPACE small OWNER attemptd LOCATION '%s'", folder);
    sql_ok(super, sql);
    write_second(f, "CREATE TABLE big TABLESPACE small AS SELECT n, md5(n::text) FROM "
                    "generate_series(1, 200000) n");
    static char text[PROGRAM_TEXT_BYTES];
    int code = program_run(f->url, f->up, text);
    (void)umount2(folder, MNT_DETACH); /* the server keeps what it has open */
    if (code == 69 && strstr(text, "(SQLSTATE 53100), in 'CREATE TABLE big TABLESPACE") != NULL)
        goes_on_afterwards(f);
    else
        fail_msg("ended with %d: %s", code, text);
    PQfinish(super);
}

/* Without a transaction: what it has done stays, and that is said. */
static void test_a_file_without_a_transaction(void **state)
{
    struct fixture *f = *state;
    write_file(f, "0002_b.sql",
               "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY a_x ON a (x);\n"
               "SELECT pg_sleep(60);\n-- migrate:down\nDROP INDEX a_x;\n");
    pid_t pid = program_start(f->url, f->up, f->output);
    wait_for_sleep(f->db);
    sql_ok(f->db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
                  "'attemptd migrate' AND datname = current_database()");
    ends_with(pid, 69, f->output, "What stands above it is done and stays: undo that");
    sql_is(f->db, "t", "SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_x'::regclass");
    sql_is(f->db, "0001", "SELECT string_agg(version, ' ') FROM schema_migrations");
    /* As it says: the file begins at its top again, which is in the way of itself. */
    program_says(f->url, f->up, 78, "0002_b.sql line 2: relation \"a_x\" already exists");
    sql_ok(f->db, "DROP INDEX a_x");
    goes_on_afterwards(f);
}

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Whenever it is killed, the next one brings the schema to where an undisturbed one does. */
static void test_killed_at_any_moment(void **state)
{
    struct fixture *f = *state;
    char whole[64] = "", now[64], url[PRIVATE_PG_URL_BYTES];
    struct err err = { 0 };
    unsigned seed = 4711;
    int in_between = 0;
    int64_t took_us = 0;
    for (int round = 0; round < 13; round++) {
        assert_true(private_pg_database(pg_group_server(), false, false, url, &err));
        PGconn *db = sql_connect(url);
        if (round > 0) {
            pid_t pid = program_start(url, "migrate up", NULL);
            (void)usleep((useconds_t)((int64_t)rand_r(&seed) % took_us));
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, NULL, 0);
            if (sql_number(db, "SELECT (to_regclass('schema_migrations') IS NOT NULL)::int") > 0)
                in_between += sql_number(db, "SELECT (count(*) BETWEEN 1 AND 6)::int FROM "
                                             "schema_migrations") > 0;
        }
        int64_t begun_us = now_us();
        program_says(url, "migrate up", 0, "");
        if (round == 0)
            took_us = now_us() - begun_us;
        program_says(url, "migrate status", 0, "applied");
        fingerprint(db, now);
        if (round == 0)
            (void)snprintf(whole, sizeof whole, "%s", now);
        assert_string_equal(now, whole);
        PQfinish(db);
    }
    print_message("          %d of 12 were killed between two files\n", in_between);
    (void)f;
}

static void test_a_folder_and_its_faults(void **state)
{
    struct fixture *f = *state;
    char arguments[160];
    (void)snprintf(arguments, sizeof arguments, "migrate status --dir %s --json", f->folder);
    program_says(f->url, arguments, 0, "\"name\": \"0001_a.sql\"");
    program_says(f->url, "migrate up --dir /nonexistent", 65, "/nonexistent");
    write_second(f, "SELECT 1");
    (void)snprintf(arguments, sizeof arguments, "migrate up --dir %s --dry-run", f->folder);
    program_says(f->url, arguments, 0, "ALTER TABLE a ADD y int;");
    is_as_before(f);
    write_file(f, "0001_a.sql",
               "-- migrate:up\nCREATE TABLE a (x bigint);\n-- migrate:down\nDROP TABLE a;\n");
    program_says(f->url, f->up, 78, "0001_a.sql was changed after it was applied");
    (void)snprintf(arguments, sizeof arguments, "migrate validate --dir %s", f->folder);
    program_says(f->url, arguments, 78, "0001_a.sql was changed after it was applied");
    is_as_before(f);
    write_file(f, "2_x.sql", "-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 1;\n");
    program_says(f->url, f->up, 78, "2_x.sql: the name is neither");
}

static void test_a_reset_asks_twice_where_somebody_worked(void **state)
{
    struct fixture *f = *state;
    char url[PRIVATE_PG_URL_BYTES];
    struct err err = { 0 };
    assert_true(private_pg_database(pg_group_server(), false, false, url, &err));
    program_says(url, "migrate up", 0, "applied 0001_");
    PGconn *db = sql_connect(url);
    sql_ok(db, "INSERT INTO exams (id) VALUES (gen_random_uuid())");
    program_says(url, "migrate reset", 64, "say --force");
    program_says(url, "migrate reset --dry-run", 0, "DROP TABLE exams;");
    sql_is(db, "1", "SELECT count(*) FROM exams");
    program_says(url, "migrate reset --force", 0, "this deletes the rows of");
    sql_is(db, "0", "SELECT count(*) FROM exams");
    sql_ok(db, "INSERT INTO attempts (id) VALUES (gen_random_uuid())");
    program_says(url, "migrate reset --force", 78, "say --force twice");
    sql_is(db, "1", "SELECT count(*) FROM attempts");
    program_says(url, "migrate reset --force --force", 0, "applied 0001_");
    sql_is(db, "0", "SELECT count(*) FROM attempts");
    PQfinish(db);
    (void)f;
}

static void test_a_newer_schema_is_named(void **state)
{
    struct fixture *f = *state;
    write_second(f, "SELECT 1");
    write_file(f, "R__v.sql",
               "-- migrate:up\nCREATE OR REPLACE VIEW v AS SELECT 2 AS n;\n"
               "-- migrate:down\nDROP VIEW IF EXISTS v;\n");
    program_says(f->url, f->up, 0, "applied R__v.sql");
    char path[128];
    (void)snprintf(path, sizeof path, "%s/0002_b.sql", f->folder);
    assert_int_equal(unlink(path), 0);
    write_file(f, "R__v.sql",
               "-- migrate:up\nCREATE OR REPLACE VIEW v AS SELECT 1 AS n;\n"
               "-- migrate:down\nDROP VIEW IF EXISTS v;\n");
    static char text[PROGRAM_TEXT_BYTES];
    assert_int_equal(program_run(f->url, f->up, text), 0);
    assert_non_null(strstr(text, "newer than this program, which does not know 0002_b.sql"));
    assert_null(strstr(text, "nothing to do"));
    sql_is(f->db, "2", "SELECT n FROM v");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_statement_that_fails),
        TEST(test_a_commit_that_fails),
        TEST(test_a_backend_that_is_killed),
        TEST(test_a_program_that_is_killed),
        TEST(test_a_limit_that_is_reached),
        TEST(test_a_file_without_a_transaction),
        TEST(test_killed_at_any_moment),
        TEST(test_a_folder_and_its_faults),
        TEST(test_a_reset_asks_twice_where_somebody_worked),
        TEST(test_a_newer_schema_is_named),
        TEST(test_a_server_that_is_killed),
        TEST(test_a_full_disk), /* the last: its tablespace is gone afterwards */
    };
    return cmocka_run_group_tests_name("migrate_faults", tests, pg_group_start, pg_group_stop);
}
