/*
 * How large batches become: by what flushes take, and by who waits for them.
 */
#include "worker/engine/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* So many full batches at a database that takes `fixed` ms and `us` for each record. */
static void flood(struct pace *pace, int flushes, double fixed_ms, double us, int64_t aim_ms)
{
    for (int i = 0; i < flushes; i++) {
        double took = fixed_ms + us * (double)pace->events_max / 1000;
        pace_add(pace, pace->events_max, (int64_t)took, aim_ms);
    }
}

static void test_a_flush_takes_what_it_may(void **state)
{
    (void)state;
    static const double costs_us[] = { 2, 10, 50, 200, 900 };
    for (size_t i = 0; i < sizeof costs_us / sizeof *costs_us; i++) {
        struct pace pace;
        pace_init(&pace);
        flood(&pace, 60, 5, costs_us[i], PACE_BULK_MS);
        double takes_ms = 5 + costs_us[i] * (double)pace.events_max / 1000;
        assert_in_range((int)takes_ms, 1200, 2100);
        flood(&pace, 10, 5, costs_us[i], PACE_LIVE_MS); /* submits come: soon it is short */
        takes_ms = 5 + costs_us[i] * (double)pace.events_max / 1000;
        assert_in_range((int)takes_ms, 150, 320);
        flood(&pace, 60, 5, costs_us[i], PACE_LIVE_MS); /* and stays so */
        takes_ms = 5 + costs_us[i] * (double)pace.events_max / 1000;
        assert_in_range((int)takes_ms, 150, 320);
    }
}

/* 100 ms a statement: what is slow are not the records, so there may be more of them. */
static void test_slow_statements_make_batches_larger(void **state)
{
    (void)state;
    struct pace pace;
    pace_init(&pace);
    for (int i = 0; i < 20; i++) /* small batches first: these show what is slow */
        pace_add(&pace, 100 + 50 * (size_t)(i % 3), 600, PACE_LIVE_MS);
    flood(&pace, 40, 600, 20, PACE_LIVE_MS);
    assert_true(pace.events_max > 50000);
}

/* Batches that were never full say nothing about the limit. */
static void test_quiet_times_change_nothing(void **state)
{
    (void)state;
    struct pace pace;
    pace_init(&pace);
    for (int i = 0; i < 1000; i++)
        pace_add(&pace, 1 + (size_t)(i % 7), 4 + i % 2, PACE_LIVE_MS);
    assert_int_equal(pace.events_max, PACE_START);
    pace_add(&pace, 0, 100000, PACE_LIVE_MS);
    pace_add(&pace, 3, 0, PACE_LIVE_MS);
    assert_int_equal(pace.events_max, PACE_START);
    for (int i = 0; i < 100; i++)
        pace_add(&pace, 1, 100000, PACE_LIVE_MS);
    assert_in_range(pace.events_max, PACE_EVENTS_MIN, PACE_START);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_a_flush_takes_what_it_may),
                                        cmocka_unit_test(test_slow_statements_make_batches_larger),
                                        cmocka_unit_test(test_quiet_times_change_nothing) };
    return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
