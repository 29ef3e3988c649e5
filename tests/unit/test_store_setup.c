/* Who a worker says it is. */
#include "worker/commands/store_setup.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Host, process and index may be the same in two containers; the ledger must tell them apart. */
static void test_no_two_owners_are_the_same(void **state)
{
    (void)state;
    static const struct settings settings;
    struct store_setup one, other;
    store_setup_init(&one, &settings, 3);
    store_setup_init(&other, &settings, 3);
    assert_string_not_equal(one.options.owner, other.options.owner);
    assert_non_null(strstr(one.options.owner, ":3:"));
    assert_true(strlen(one.options.owner) + 1 < sizeof one.owner);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_no_two_owners_are_the_same) };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
