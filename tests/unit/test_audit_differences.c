/* What the audit found: counted without end, kept up to a limit, taken back when explained. */
#include "worker/commands/audit_differences.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void test_equal_numbers_are_no_difference(void **state)
{
    (void)state;
    struct differences differences = { 0 };
    differences_compare(&differences, "t", "k", 7, 7);
    assert_int_equal(differences.count, 0);
    differences_compare(&differences, "t", "k", 7, -1);
    assert_int_equal(differences.count, 1);
    assert_string_equal(differences.items[0].table, "t");
    assert_string_equal(differences.items[0].expected, "7");
    assert_string_equal(differences.items[0].found, "-1");
    differences_release(&differences);
}

static void test_all_are_counted_and_few_kept(void **state)
{
    (void)state;
    struct differences differences = { 0 };
    for (int i = 0; i < 2 * DIFFERENCES_KEPT_MAX; i++)
        (void)differences_put(&differences, "t", "k", "a", "b");
    assert_int_equal(differences.count, 2 * DIFFERENCES_KEPT_MAX);
    assert_int_equal(differences.kept, DIFFERENCES_KEPT_MAX);
    assert_null(differences_add(&differences, "t"));
    differences_release(&differences);
}

static bool is_odd(void *self, const struct difference *difference)
{
    (void)self;
    return difference->has_attempt && difference->attempt_id.bytes[0] % 2 == 1;
}

static void test_explained_ones_are_taken_back(void **state)
{
    (void)state;
    struct differences differences = { 0 };
    for (uint8_t i = 0; i < 10; i++) {
        struct difference *difference = differences_put(&differences, "t", "k", "a", "b");
        difference->has_attempt = i < 8;
        difference->attempt_id.bytes[0] = i;
    }
    differences_excuse(&differences, is_odd, NULL);
    assert_int_equal(differences.count, 6);
    assert_int_equal(differences.kept, 6);
    assert_int_equal(differences.items[1].attempt_id.bytes[0], 2);
    differences_release(&differences);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_numbers_are_no_difference),
        cmocka_unit_test(test_all_are_counted_and_few_kept),
        cmocka_unit_test(test_explained_ones_are_taken_back),
    };
    return cmocka_run_group_tests_name("audit_differences", tests, NULL, NULL);
}
