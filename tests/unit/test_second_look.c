/* When an operator hears that a worker's two sessions see two ledgers, and how looks grow seldom.
 */
#include "tests/unit/kept_log.h"
#include "worker/commands/second_look.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct night {
    struct kept_log kept;
    struct second_look look;
};

static int setup(void **state)
{
    struct night *night = calloc(1, sizeof *night);
    assert_non_null(night);
    kept_log_begin(&night->kept);
    second_look_init(&night->look, &night->kept.log);
    *state = night;
    return 0;
}

static int teardown(void **state)
{
    struct night *night = *state;
    kept_log_end(&night->kept);
    free(night);
    return 0;
}

static const struct two_servers apart = { "one:5432", "two:5432" };

/* A look every five seconds, each of which shows so many partitions behind: how many count? */
static int looks_with(struct night *night, size_t partitions, int64_t for_ms)
{
    int counted = 0;
    for (int64_t end_ms = night->kept.now_ms + for_ms; night->kept.now_ms < end_ms;
         night->kept.now_ms += 5000) {
        if (!second_look_counts(&night->look, &apart))
            continue;
        counted++;
        second_look_done(&night->look, partitions, &apart);
    }
    return counted;
}

static int looks_that_count(struct night *night, int64_t for_ms)
{
    return looks_with(night, 3, for_ms);
}

/* The database was put back: the claims halt, and the halts are what is told. */
static void test_one_doubt_is_settled_by_the_claims(void **state)
{
    struct night *night = *state;
    assert_int_equal(looks_that_count(night, 5000), 1);
    assert_true(second_look_counts(&night->look, &apart));
    (void)kept_log_lines(&night->kept, 0);
}

static void test_two_ledgers_are_told_of_with_both_places(void **state)
{
    struct night *night = *state;
    assert_int_equal(looks_that_count(night, 10000), 2);
    const char *text = kept_log_lines(&night->kept, 1);
    static const char *const parts[] = { "error",
                                         "see two ledgers",
                                         "partitions=3",
                                         "writes_at=one:5432",
                                         "looks_at=two:5432",
                                         "find out which is the primary" };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strstr(text, parts[i]) == NULL)
            fail_msg("'%s' is not in %s", parts[i], text);
}

/* Nobody shall stop the only server that there is. */
static void test_one_address_is_not_called_two_servers(void **state)
{
    struct night *night = *state;
    const struct two_servers pooled = { "one:5432", "one:5432" };
    for (int i = 0; i < 2; i++)
        second_look_done(&night->look, 1, &pooled);
    const char *text = kept_log_lines(&night->kept, 1);
    assert_non_null(strstr(text, "a pooler leads to two servers"));
    assert_null(strstr(text, "stop the other"));
}

/* Not every five seconds for ever: 720 starts an hour, and as many lines. */
static void test_it_is_looked_at_and_told_once_a_minute_in_the_end(void **state)
{
    struct night *night = *state;
    (void)looks_that_count(night, 120000);
    int counted = looks_that_count(night, 3600000);
    assert_in_range(counted, 50, 60);
    assert_false(second_look_counts(&night->look, &apart));
    night->kept.now_ms += 60000;
    assert_true(second_look_counts(&night->look, &apart));
}

/* Where a session has gone elsewhere, all that was found out before says nothing. */
static void test_a_look_elsewhere_counts_at_once(void **state)
{
    struct night *night = *state;
    const struct two_servers moved[] = { { "one:5432", "three:5432" }, { "two:5432", "two:5432" } };
    int told = 0;
    for (size_t i = 0; i < sizeof moved / sizeof moved[0]; i++) {
        told += looks_that_count(night, 120000) - 1;
        assert_false(second_look_counts(&night->look, &apart));
        assert_true(second_look_counts(&night->look, &moved[i]));
        second_look_done(&night->look, 1, &moved[i]);
        (void)kept_log_lines(&night->kept, told); /* as of the first one, nothing */
    }
}

static void test_the_end_is_told_once(void **state)
{
    struct night *night = *state;
    assert_int_equal(looks_that_count(night, 30000), 3);
    (void)looks_with(night, 0, 140000); /* the partitions may be starting over */
    (void)kept_log_lines(&night->kept, 2);
    (void)looks_with(night, 0, 600000);
    const char *text = kept_log_lines(&night->kept, 3);
    assert_non_null(strstr(text, "see one ledger again"));
    assert_non_null(strstr(text, "looks_at=two:5432"));
}

static void test_what_was_long_ago_is_forgotten(void **state)
{
    struct night *night = *state;
    assert_int_equal(looks_that_count(night, 30000), 3);
    (void)kept_log_lines(&night->kept, 2);
    night->kept.now_ms += 200000;
    assert_int_equal(looks_that_count(night, 5000), 1);
    assert_true(second_look_counts(&night->look, &apart)); /* as after the first one */
    (void)kept_log_lines(&night->kept, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_doubt_is_settled_by_the_claims, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_ledgers_are_told_of_with_both_places, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_one_address_is_not_called_two_servers, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_it_is_looked_at_and_told_once_a_minute_in_the_end,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_was_long_ago_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_look_elsewhere_counts_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_end_is_told_once, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
