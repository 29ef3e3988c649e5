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

/* A look every five seconds, each of which shows the ledger behind: how many count? */
static int looks_that_count(struct night *night, int64_t for_ms)
{
    int counted = 0;
    for (int64_t end_ms = night->kept.now_ms + for_ms; night->kept.now_ms < end_ms;
         night->kept.now_ms += 5000) {
        if (!second_look_counts(&night->look))
            continue;
        counted++;
        second_look_doubts(&night->look, 3, "one:5432", "two:5432");
    }
    return counted;
}

/* The database was put back: the claims halt, and the halts are what is told. */
static void test_one_doubt_is_settled_by_the_claims(void **state)
{
    struct night *night = *state;
    assert_int_equal(looks_that_count(night, 5000), 1);
    assert_true(second_look_counts(&night->look));
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
    for (int i = 0; i < 2; i++)
        second_look_doubts(&night->look, 1, "one:5432", "one:5432");
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
    assert_false(second_look_counts(&night->look));
    night->kept.now_ms += 60000;
    assert_true(second_look_counts(&night->look));
}

static void test_what_was_long_ago_is_forgotten(void **state)
{
    struct night *night = *state;
    assert_int_equal(looks_that_count(night, 30000), 3);
    (void)kept_log_lines(&night->kept, 2);
    night->kept.now_ms += 200000;
    assert_int_equal(looks_that_count(night, 5000), 1);
    assert_true(second_look_counts(&night->look)); /* as after the first one */
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
