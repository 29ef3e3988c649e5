/* The commands that only read the database: stats, show, status; and their words when it refuses.
 */
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

#define EXAM  "eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee"
#define OTHER "dddddddd-dddd-4ddd-8ddd-dddddddddddd"
#define A     "11111111-1111-4111-8111-111111111111"

static int set_up(void **state)
{
    if (program_set_up(state) != 0)
        return -1;
    PGconn *db = ((struct program_fixture *)*state)->db;
    sql_ok(db, "INSERT INTO exams (id, title) VALUES ('" EXAM "', 'Algebra'), ('" OTHER "', NULL)");
    sql_ok(db,
           "INSERT INTO attempts (id, exam_id, student_id, started_at, deadline_at, answers) "
           "SELECT ('11111111-1111-4111-8111-1111111111' || lpad((10 + n)::text, 2, '0'))::uuid, "
           "'" EXAM "', gen_random_uuid(), now() - interval '1 hour', now() + interval '1 hour', "
           "'{\"q\": 1.50}' FROM generate_series(1, 4) n");
    sql_ok(db, "SELECT batch_submit_attempts(ARRAY['" A "'::uuid])");
    return 0;
}

static void test_stats_say_where_they_come_from(void **state)
{
    struct program_fixture *f = *state;
    program_says(f->url, "stats " EXAM, 0, "the view does not have this exam");
    program_says(f->url, "stats --view " EXAM, 0, "the view does not have this exam");
    program_says(f->url, "refresh", 0, "exam_attempt_stats refreshed");
    program_says(f->url, "stats " EXAM, 0, "from        the view exam_attempt_stats, as of ");
    program_says(f->url, "stats " EXAM, 0, "nothing is new since");
    program_says(f->url, "stats " EXAM, 0,
                 "attempts    4: 3 in progress, 1 submitted (0 after the deadline)");
    program_says(f->url, "stats --live " EXAM, 0,
                 "from        the attempts themselves, as of now\n");
    program_says(f->url, "stats " EXAM " --json", 0, "\"source\": \"view\"");
    sql_ok(f->db, "INSERT INTO attempts (id, exam_id, student_id, started_at) VALUES "
                  "(gen_random_uuid(), '" EXAM "', gen_random_uuid(), now())");
    program_says(f->url, "stats " EXAM, 0, "as of now: the view is ");
    program_says(f->url, "stats " EXAM, 0, "attempts    5: 4 in progress");
    program_says(f->url, "stats --view " EXAM, 0, "attempts    4: 3 in progress");
    program_says(f->url, "stats --view " EXAM, 0, " and 1 records behind\n");
    program_says(f->url, "stats " EXAM " --json", 0, "\"why_live\": \"stale\"");
    program_says(f->url, "stats " OTHER, 0, "attempts    0: 0 in progress");
}

static void test_stats_refuse_what_they_do_not_know(void **state)
{
    struct program_fixture *f = *state;
    program_says(f->url, "stats " A, 65, "there is no exam " A);
    program_says(f->url, "stats " A " --json", 65, "there is no exam " A);
    program_says(f->url, "stats", 64, "say which exam");
    program_says(f->url, "stats EEEEEEEE-eeee-4eee-8eee-eeeeeeeeeeee", 64, "UUID in lower case");
    program_says(f->url, "stats x';drop", 64, "UUID in lower case");
    program_says(f->url, "stats --live --view " EXAM, 64, "exclude each other");
    program_says(f->url, "stats --schema elsewhere " EXAM, 78, "migrate up");
}

static void test_show_has_all_of_an_attempt(void **state)
{
    struct program_fixture *f = *state;
    sql_ok(f->db, "SELECT maintain_attempt('" A "', 'amend', 'fire alarm', '{\"r\": null}')");
    sql_ok(f->db,
           "INSERT INTO rejected_writes (attempt_id, event_id, outcome, reason, event, topic, "
           "partition, record_offset) VALUES ('" A "', gen_random_uuid(), 'late', "
           "'after_submit', '{}', 't', 0, 7)");
    sql_ok(f->db, "INSERT INTO dead_letters (topic, partition, record_offset, attempt_id, reason) "
                  "VALUES ('t', 0, 8, '" A "', 'version_jump'), ('t', 0, 9, '" OTHER "', 'json')");
    static const char *const parts[] = { ("attempt       " A ", submitted, version 2, revision 3"),
                                         ("exam          " EXAM),
                                         "submission    version 2, 0 missing, in time",
                                         "made by SQL",
                                         "rejected      late after_submit",
                                         "dead letter   version_jump",
                                         "audit         amend by attemptd",
                                         ": fire alarm\n",
                                         "\"q\": 1.50" };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        program_says(f->url, "show " A, 0, parts[i]);
    program_says(f->url, "show --json " A, 0, "\"reason\": \"after_submit\"");
    program_says(f->url, "show --json " A, 0, "\"q\": 1.50");
    program_says(f->url, "show " OTHER, 0, "not in attempts");
    program_says(f->url, "show " EXAM, 65, "nothing is known of an attempt");
    program_says(f->url, "show", 64, "say which attempt");
    sql_ok(f->db, "SELECT maintain_attempt('" A "', 'erase', 'asked for')");
    program_says(f->url, "show " A, 0, "audit         erase by attemptd");
}

/* What waiting cannot mend ends with 78, what it can with 69. */
static void test_a_server_that_refuses_is_told_from_one_that_is_away(void **state)
{
    struct program_fixture *f = *state;
    char url[PRIVATE_PG_URL_BYTES + 32];
    const char *host = strstr(f->url, "@127");
    (void)snprintf(url, sizeof url, "postgresql://attemptd:wrong%s", host);
    static const char *const commands[] = { "stats " EXAM, "show " A, "status", "refresh",
                                            "migrate status" };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        program_says(url, commands[i], 78, "password authentication failed");
    (void)snprintf(url, sizeof url, "%.*s/nowhere", (int)(strrchr(f->url, '/') - f->url), f->url);
    program_says(url, "stats " EXAM, 78, "does not exist");
    program_says("postgresql://attemptd@127.0.0.1:1/x", "stats " EXAM, 69, "is DATABASE_URL right");
}

/* A role with nothing is told each right it needs as a statement, and with them it has all. */
static void test_doctor_gives_the_grants(void **state)
{
    struct program_fixture *f = *state;
    static char text[PROGRAM_TEXT_BYTES];
    char url[PRIVATE_PG_URL_BYTES];
    PGconn *super = sql_connect(pg_group_server()->superuser_url);
    sql_ok(super, "DROP ROLE IF EXISTS \"Worker\"");
    sql_ok(super, "CREATE ROLE \"Worker\" LOGIN PASSWORD 'w'");
    (void)snprintf(url, sizeof url, "postgresql://Worker:w%s", strstr(f->url, "@127"));
    sql_ok(f->db, "CREATE TABLE IF NOT EXISTS schema_migrations (version varchar(128))");
    program_says(url, "doctor", 78, "GRANT EXECUTE ON FUNCTION make_activity_partition(");
    sql_ok(f->db, "REVOKE EXECUTE ON FUNCTION ledger_position() FROM public");
    program_says(url, "doctor", 78, "GRANT EXECUTE ON FUNCTION ledger_position() TO");
    (void)program_run(url, "doctor", text);
    int granted = 0;
    static const char mark[] = "as the owner of the tables: ";
    for (char *at = text; (at = strstr(at, mark)) != NULL;) {
        char sql[256];
        at += strlen(mark);
        (void)snprintf(sql, sizeof sql, "%.*s", (int)strcspn(at, "\n"), at);
        sql_ok(f->db, sql);
        granted++;
    }
    assert_true(granted > 30);
    (void)program_run(url, "doctor", text);
    assert_null(strstr(text, "a right is missing"));
    PQfinish(super);
}

/* Whatever is asked of a database without our tables, or by a role without rights: one sentence. */
static void test_all_say_the_same_of_what_is_missing(void **state)
{
    struct program_fixture *f = *state;
    static const char *const commands[] = { ("stats " EXAM),
                                            ("show " A),
                                            "dlq list",
                                            "dlq show 1",
                                            "dlq replay 1",
                                            "dlq discard 1 --reason x",
                                            "rejected list",
                                            "rejected show 1",
                                            "dlq accept t 0 1 --reason x",
                                            "refresh",
                                            "refresh --if-stale question_stats" };
    char url[PRIVATE_PG_URL_BYTES];
    PGconn *super = sql_connect(pg_group_server()->superuser_url);
    sql_ok(super, "DROP ROLE IF EXISTS nobody");
    sql_ok(super, "CREATE ROLE nobody LOGIN PASSWORD 'n'");
    (void)snprintf(url, sizeof url, "postgresql://nobody:n%s", strstr(f->url, "@127"));
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        char elsewhere[128];
        (void)snprintf(elsewhere, sizeof elsewhere, "--schema elsewhere %s", commands[i]);
        program_says(f->url, elsewhere, 78,
                     "the tables in schema 'elsewhere' are missing or older than this program: run "
                     "'attemptd migrate up'");
        if (strncmp(commands[i], "refresh", 7) != 0)
            program_says(url, commands[i], 78, "'attemptd doctor' prints the GRANT");
    }
    sql_ok(super, "DROP ROLE nobody");
    PQfinish(super);
}

/* The committed diagram is that of the migrations; if not: `make diagram`. */
static void test_the_diagram_is_that_of_the_schema(void **state)
{
    (void)state;
    char url[PRIVATE_PG_URL_BYTES];
    char command[PRIVATE_PG_URL_BYTES + 256];
    struct err err = { 0 };
    assert_true(private_pg_database(pg_group_server(), false, false, url, &err));
    program_says(url, "migrate up", 0, "applied");
    (void)snprintf(command, sizeof command,
                   "DATABASE_URL='%s' migrations/diagram | diff -u migrations/schema.dot - >&2",
                   url);
    if (system(command) != 0)
        fail_msg("migrations/schema.dot is not what the migrations give: run 'make diagram'");
    if (system("grep -q \"md5 $(md5sum <migrations/schema.dot | cut -c 1-32) \" "
               "migrations/schema.svg") != 0)
        fail_msg("migrations/schema.svg is not of schema.dot: run 'make diagram'");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, program_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_stats_say_where_they_come_from),
        TEST(test_stats_refuse_what_they_do_not_know),
        TEST(test_show_has_all_of_an_attempt),
        TEST(test_a_server_that_refuses_is_told_from_one_that_is_away),
        TEST(test_doctor_gives_the_grants),
        TEST(test_all_say_the_same_of_what_is_missing),
        cmocka_unit_test(test_the_diagram_is_that_of_the_schema),
    };
    return cmocka_run_group_tests_name("commands", tests, pg_group_start, pg_group_stop);
}
