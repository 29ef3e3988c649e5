/* What the schema itself promises: guard, merge, documents, foreign changes, statistics. */
#include "tests/pg/private_pg.h"
#include "tests/pg/sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct private_pg server;

static int start_server(void **state)
{
    (void)state;
    struct err err = { 0 };
    if (private_pg_start(&server, &err))
        return 0;
    print_error("%s\n", err.text);
    return -1;
}

static int stop_server(void **state)
{
    (void)state;
    private_pg_stop(&server);
    return 0;
}

/* Every test has a database of its own and its owner's connection. */
static int open_database(void **state)
{
    char url[PRIVATE_PG_URL_BYTES];
    struct err err = { 0 };
    if (!private_pg_database(&server, true, false, url, &err)) {
        print_error("%s\n", err.text);
        return -1;
    }
    *state = sql_connect(url);
    return *state ? 0 : -1;
}

static int close_database(void **state)
{
    PQfinish(*state);
    return 0;
}

#define A "'11111111-1111-4111-8111-111111111111'"

static void test_a_submitted_attempt_is_frozen(void **state)
{
    PGconn *db = *state;
    sql_ok(db, "INSERT INTO attempts (id, answers) VALUES (" A ", '{\"q1\": 1}')");
    sql_ok(db, "UPDATE attempts SET status = 'submitted', submitted_at = now()");
    sql_fails(db, "23001", "UPDATE attempts SET answers = '{}'");
    sql_fails(db, "23001", "UPDATE attempt_rows SET answers = '{\"q1\": 1.0}'");
    sql_fails(db, "23001", "UPDATE attempts SET version = version + 1");
    sql_fails(db, "23001", "UPDATE attempts SET status = 'in_progress', submitted_at = NULL");
    sql_fails(db, "23001", "UPDATE attempts SET submitted_at = submitted_at + interval '1 s'");
    sql_fails(db, "23001", "DELETE FROM attempts");
    sql_fails(db, "23001", "TRUNCATE attempt_rows CASCADE");
    sql_fails(db, "23001", "TRUNCATE exams CASCADE");
    sql_fails(db, "23001", "DELETE FROM attempt_answers");
    /* The setting alone opens nothing for others, and the owner's hand needs it too. */
    sql_is(db, "1", "SELECT answers->>'q1' FROM attempts");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_submitted_attempt_is_frozen, open_database,
                                        close_database),
    };
    return cmocka_run_group_tests_name("schema", tests, start_server, stop_server);
}
