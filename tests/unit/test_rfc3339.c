#include "common/rfc3339.h"
#include "common/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

static int64_t parsed(const char *text)
{
    int64_t us = -1;
    assert_true(rfc3339_parse(bytes_of(text), &us));
    return us;
}

static void test_rfc3339_parse_forms(void **state)
{
    (void)state;
    const int64_t noon = INT64_C(1795262400) * 1000000;
    assert_int_equal(parsed("2026-11-21T12:00:00Z"), noon);
    assert_int_equal(parsed("2026-11-21T12:00:00-00:00"), noon);
    assert_int_equal(parsed("2026-11-21T13:30:00+01:30"), noon);
    assert_int_equal(parsed("2026-11-20T12:01:00-23:59"), noon);
    assert_int_equal(parsed("2026-11-21T12:00:00.5Z"), noon + 500000);
    assert_int_equal(parsed("2026-11-21T12:00:00.000001Z"), noon + 1);
    assert_int_equal(parsed("2026-11-21T12:00:00.999999999Z"), noon + 999999);
    assert_int_equal(parsed("2026-11-21T12:00:00.0000009+00:00"), noon);
    assert_int_equal(parsed("2000-01-01T00:00:00Z"), INT64_C(946684800) * 1000000);
}

static void test_rfc3339_parse_keeps_result_on_failure(void **state)
{
    (void)state;
    int64_t us = 42;
    assert_false(rfc3339_parse(bytes_of("2026-02-29T00:00:00Z"), &us));
    assert_false(rfc3339_parse(BYTES_NONE, &us));
    assert_int_equal(us, 42);
}

/* Every cut of a sound text, and every text with one byte exchanged, is judged without reading
 * beyond its end (the sanitizer watches). */
static void test_rfc3339_parse_any_bytes(void **state)
{
    (void)state;
    const char text[] = "2026-11-21T12:00:00.123456789+01:00";
    for (size_t len = 0; len < sizeof text - 1; len++) {
        char exact[64];
        int64_t us;
        memcpy(exact, text, len);
        bool sound = rfc3339_parse((struct bytes){ exact, len }, &us);
        assert_false(sound);
    }
    for (size_t at = 0; at < sizeof text - 1; at++) {
        for (int c = 0; c < 256; c++) {
            char changed[sizeof text];
            int64_t us;
            memcpy(changed, text, sizeof text);
            changed[at] = (char)c;
            if (rfc3339_parse(bytes_of(changed), &us))
                assert_true((c >= '0' && c <= '9') || c == text[at] || c == '-' || c == '+');
        }
    }
}

static void test_rfc3339_round_trip_agrees_with_libc(void **state)
{
    (void)state;
    struct rng rng = { 7 };
    for (unsigned i = 0; i < 20000; i++) {
        /* 2000-01-01 to 2099-12-31. */
        time_t second = (time_t)(946684800 + rng_below(&rng, UINT64_C(3155760000)));
        int64_t us = (int64_t)second * 1000000 + (int64_t)rng_below(&rng, 1000000);
        struct tm tm;
        assert_non_null(gmtime_r(&second, &tm));
        char expected[64];
        char text[RFC3339_TEXT_LEN + 1];
        size_t len = strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S", &tm);
        (void)snprintf(expected + len, sizeof expected - len, ".%06dZ", (int)(us % 1000000));
        assert_string_equal(rfc3339_format(us, text), expected);
        assert_int_equal(parsed(text), us);
    }
}

static void test_rfc3339_format_extremes(void **state)
{
    (void)state;
    char text[RFC3339_TEXT_LEN + 1];
    assert_string_equal(rfc3339_format(0, text), "1970-01-01T00:00:00.000000Z");
    assert_string_equal(rfc3339_format(-1, text), "1969-12-31T23:59:59.999999Z");
    assert_string_equal(rfc3339_format(INT64_MAX, text), "9999-12-31T23:59:59.999999Z");
    assert_string_equal(rfc3339_format(INT64_MIN, text), "0000-01-01T00:00:00.000000Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc3339_parse_forms),
        cmocka_unit_test(test_rfc3339_parse_keeps_result_on_failure),
        cmocka_unit_test(test_rfc3339_parse_any_bytes),
        cmocka_unit_test(test_rfc3339_round_trip_agrees_with_libc),
        cmocka_unit_test(test_rfc3339_format_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
