/* Connection strings that libpq could not read are not given to it. */
#include "worker/postgres/conninfo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_readable(void **state)
{
    (void)state;
    static const char *const good[] = {
        NULL,
        "",
        "exams",
        "postgresql://user:p%25%40ss@host:5432/exams?sslmode=require",
        "postgres://a,b:5432,5433/exams",
        "postgresql:///exams?host=/run/postgresql",
        "host=a port=5432 password='it is \\' it'",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(conninfo_valid(good[i]));
}

static void test_unreadable(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "http://user:secret@host/x",
        "postgresql://user:secret%zz@host/x",
        "postgresql://user:sec/ret@host",
        "postgresql://[::",
        "host=a secret",
        "host=a nothing=secret",
        "password='secret",
        "postgresql://user:secret@host:port/x",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (conninfo_valid(bad[i]))
            fail_msg("'%s' is readable", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readable),
        cmocka_unit_test(test_unreadable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
