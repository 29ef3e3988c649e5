#include "common/metric.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct metric lag = { "attemptd_lag_records", METRIC_GAUGE, "Behind.\nHow \\ far." };
static const struct metric seen = { "attemptd_seen_total", METRIC_COUNTER, "Seen." };
static const struct metric took = { "attemptd_took_seconds", METRIC_HISTOGRAM, "How long." };

static void put_page(struct buf *page)
{
    metric_begin(page, &lag);
    metric_sample(page, &lag, LABELS({ "topic", "a\"b\\c\nd" }, { "none", NULL }, { "p", "0" }), 3);
    metric_begin(page, &seen);
    metric_sample(page, &seen, NULL, 9007199254740991.0);
    metric_begin(page, &took);
    metric_histogram(page, &took, LABELS({ "worker", "0" }),
                     &(struct metric_histogram){ .bounds = (const double[]){ 0.5, 1 },
                                                 .counts = (const uint64_t[]){ 2, 0, 1 },
                                                 .count = 3,
                                                 .sum = 7.25 });
}

static void test_metric_text(void **state)
{
    (void)state;
    struct buf page;
    buf_init(&page, 4096);
    put_page(&page);
    buf_put_char(&page, '\0');
    assert_false(page.failed);
    assert_string_equal(page.ptr, "# HELP attemptd_lag_records Behind.\\nHow \\\\ far.\n"
                                  "# TYPE attemptd_lag_records gauge\n"
                                  "attemptd_lag_records{topic=\"a\\\"b\\\\c\\nd\",p=\"0\"} 3\n"
                                  "# HELP attemptd_seen_total Seen.\n"
                                  "# TYPE attemptd_seen_total counter\n"
                                  "attemptd_seen_total 9007199254740991\n"
                                  "# HELP attemptd_took_seconds How long.\n"
                                  "# TYPE attemptd_took_seconds histogram\n"
                                  "attemptd_took_seconds_bucket{worker=\"0\",le=\"0.5\"} 2\n"
                                  "attemptd_took_seconds_bucket{worker=\"0\",le=\"1\"} 2\n"
                                  "attemptd_took_seconds_bucket{worker=\"0\",le=\"+Inf\"} 3\n"
                                  "attemptd_took_seconds_sum{worker=\"0\"} 7.25\n"
                                  "attemptd_took_seconds_count{worker=\"0\"} 3\n");
    buf_release(&page);
}

static void test_metric_odd_values(void **state)
{
    (void)state;
    struct buf page;
    buf_init(&page, 4096);
    metric_sample(&page, &lag, NULL, (double)NAN);
    metric_sample(&page, &lag, NULL, (double)-INFINITY);
    buf_put_char(&page, '\0');
    assert_string_equal(page.ptr, "attemptd_lag_records NaN\nattemptd_lag_records -Inf\n");
    buf_release(&page);
}

static void test_metric_promtool_agrees(void **state)
{
    (void)state;
    if (system("command -v promtool >/dev/null") != 0)
        skip();
    struct buf page;
    buf_init(&page, 4096);
    put_page(&page);
    FILE *pipe = popen("promtool check metrics", "w");
    assert_non_null(pipe);
    assert_int_equal(fwrite(page.ptr, 1, page.len, pipe), page.len);
    assert_int_equal(pclose(pipe), 0);
    buf_release(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metric_text),
        cmocka_unit_test(test_metric_odd_values),
        cmocka_unit_test(test_metric_promtool_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
