/* The table of worker/postgres/sqlstate.c, every row and its neighbours. */
#include "worker/postgres/sqlstate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct expectation {
    const char *sqlstate;
    enum err_action action;
};

static const struct expectation expectations[] = {
    { "08000", ERR_LOST },
    { "08001", ERR_LOST },
    { "08003", ERR_LOST },
    { "08004", ERR_LOST },
    { "08006", ERR_LOST },
    { "08P01", ERR_LOST },
    { "57P01", ERR_LOST },
    { "57P02", ERR_LOST },
    { "57P03", ERR_LOST },
    { "57P05", ERR_LOST },
    { "53300", ERR_LOST },
    { "25006", ERR_LOST },
    { "25P03", ERR_LOST },
    { "26000", ERR_LOST },
    { "40003", ERR_LOST },
    { "40001", ERR_RETRY },
    { "40P01", ERR_RETRY },
    { "55P03", ERR_RETRY },
    { "57014", ERR_RETRY },
    { "55006", ERR_RETRY },
    { "53000", ERR_RESOURCE },
    { "53100", ERR_RESOURCE },
    { "53200", ERR_RESOURCE },
    { "53400", ERR_RESOURCE },
    { "58030", ERR_RESOURCE },
    { "54023", ERR_RESOURCE },
    { "22000", ERR_REJECT },
    { "22001", ERR_REJECT },
    { "22003", ERR_REJECT },
    { "22008", ERR_REJECT },
    { "22021", ERR_REJECT },
    { "22P02", ERR_REJECT },
    { "22P05", ERR_REJECT },
    { "23001", ERR_REJECT },
    { "23502", ERR_REJECT },
    { "23503", ERR_REJECT },
    { "23505", ERR_REJECT },
    { "23514", ERR_REJECT },
    { "44000", ERR_REJECT },
    { "54000", ERR_REJECT },
    { "54001", ERR_REJECT },
    { "P0001", ERR_REJECT },
    { "28000", ERR_HALT },
    { "28P01", ERR_HALT },
    { "3D000", ERR_HALT },
    { "3F000", ERR_HALT },
    { "42501", ERR_HALT },
    { "42601", ERR_HALT },
    { "42703", ERR_HALT },
    { "42883", ERR_HALT },
    { "42P01", ERR_HALT },
    { "0A000", ERR_HALT },
    { "XX001", ERR_HALT },
    { "XX002", ERR_HALT },
    { "57P04", ERR_HALT },
    { "F0000", ERR_HALT },
    { "21000", ERR_BUG },
    { "25P01", ERR_BUG },
    { "25P02", ERR_BUG },
    /* not in the table */
    { "XX000", ERR_BUG },
    { "25001", ERR_BUG },
    { "55000", ERR_BUG },
    { "P0002", ERR_BUG },
    { "00000", ERR_BUG },
    { "58000", ERR_BUG },
};

static void test_sqlstate_every_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof expectations / sizeof expectations[0]; i++) {
        const struct expectation *e = &expectations[i];
        if (sqlstate_action(e->sqlstate, true) != e->action)
            fail_msg("%s is %s, expected %s", e->sqlstate,
                     err_action_name(sqlstate_action(e->sqlstate, true)),
                     err_action_name(e->action));
        assert_int_equal(sqlstate_action(e->sqlstate, false), e->action);
    }
}

static void test_sqlstate_every_rule_is_expected_somewhere(void **state)
{
    (void)state;
    for (size_t r = 0; r < sqlstate_rule_count; r++) {
        const char *prefix = sqlstate_rules[r].prefix;
        bool covered = false;
        for (size_t i = 0; i < sizeof expectations / sizeof expectations[0]; i++)
            covered |= strncmp(expectations[i].sqlstate, prefix, strlen(prefix)) == 0 &&
                       expectations[i].action == sqlstate_rules[r].action;
        if (!covered)
            fail_msg("rule %s has no expectation", prefix);
    }
}

static void test_sqlstate_absent(void **state)
{
    (void)state;
    assert_int_equal(sqlstate_action(NULL, false), ERR_LOST);
    assert_int_equal(sqlstate_action("", false), ERR_LOST);
    assert_int_equal(sqlstate_action(NULL, true), ERR_BUG);
}

static void test_sqlstate_in_a_connect_message(void **state)
{
    (void)state;
    char found[SQLSTATE_LEN + 1] = "";
    assert_true(sqlstate_find("connection to server on socket \"/tmp/.s.PGSQL.5432\" failed: "
                              "FATAL:  53300: sorry, too many clients already\n"
                              "LOCATION:  InitProcess, proc.c:331\n",
                              found));
    assert_string_equal(found, "53300");
    assert_true(
        sqlstate_find("host a failed: FATAL:  28P01: no\nhost b failed: FATAL:  57P03: no", found));
    assert_string_equal(found, "57P03");
    strcpy(found, "same");
    assert_false(sqlstate_find("could not connect to server: Connection refused", found));
    assert_false(sqlstate_find("odd:  1234", found));
    assert_false(sqlstate_find("odd:  abcde: x", found));
    assert_string_equal(found, "same");
}

static void test_advice_names_the_setting_or_the_command(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        { "28P01", "password in DATABASE_URL" }, { "3D000", "name of the database" },
        { "42501", "'attemptd doctor'" },        { "42703", "'attemptd migrate status'" },
        { "53300", "max_connections" },          { "53100", "disk" },
        { "55P03", "pg_blocking_pids" },         { "57014", "pg_stat_activity" },
        { SQLSTATE_READ_ONLY, "is a standby" },  { "XX001", "damaged" },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        const char *advice = sqlstate_advice(pairs[i][0]);
        assert_non_null(advice);
        assert_non_null(strstr(advice, pairs[i][1]));
    }
    static const char *const none[] = { "", "connect", "23514", "57P01", "_TRANSPORT" };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_null(sqlstate_advice(none[i]));
    assert_true(sqlstate_is_read_only("connection to server failed: session is read-only"));
    assert_false(sqlstate_is_read_only("Connection refused"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sqlstate_every_row),
        cmocka_unit_test(test_sqlstate_every_rule_is_expected_somewhere),
        cmocka_unit_test(test_sqlstate_absent),
        cmocka_unit_test(test_sqlstate_in_a_connect_message),
        cmocka_unit_test(test_advice_names_the_setting_or_the_command),
    };
    return cmocka_run_group_tests_name("sqlstate", tests, NULL, NULL);
}
