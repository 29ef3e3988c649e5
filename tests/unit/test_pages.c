/*
 * The pages that are made from the status document: what makes a process not ready, and metrics
 * that Prometheus' own tool accepts.
 */
#include "worker/commands/report.h"
#include "worker/http/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct settings settings = { .topics = { "attempt.writes", "attempt.activity",
                                                "view.refresh" },
                                    .invalidations_topic = "cache.invalidations",
                                    .outcomes_topic = "attempt.outcomes" };

static enum breaker_state breaker;

static json_t *make_status(const char *halt, bool connected)
{
    struct partition_status partitions[] = {
        { .tp = { TOPIC_WRITES, 0 },
          .state = halt == NULL ? PARTITION_RUNNING : PARTITION_HALTED,
          .halt = halt,
          .next_offset = 90,
          .published_offset = 83,
          .log_end = 100 },
        { .tp = { TOPIC_REFRESH, 0 }, .state = PARTITION_RUNNING, .position = 5, .log_end = 7 },
    };
    struct engine_status engine = { .partitions = partitions,
                                    .partition_count = 2,
                                    .outcomes = { 5, 4, 3, 2, 1 },
                                    .flushes = 3,
                                    .flush_ms_buckets = { 1, 0, 2 },
                                    .flush_ms_sum = 500,
                                    .last_flush_ms_ago = -1,
                                    .connected = connected,
                                    .breaker = breaker };
    json_t *views = json_pack("[{s:s, s:i, s:i}]", "view", "exam_attempt_stats", "refreshes", 2,
                              "last_duration_ms", 1500);
    json_t *balances =
        json_pack("[{s:s, s:i, s:i}]", "topic", "attempt.writes", "partition", 3, "difference", 2);
    json_t *worker = report_worker(&(struct report_facts){ .settings = &settings,
                                                           .index = 0,
                                                           .state = "running",
                                                           .uptime_ms = 5000,
                                                           .engine = &engine,
                                                           .views = views,
                                                           .balances = balances });
    json_decref(balances);
    json_decref(views);
    assert_non_null(worker);
    return report_document(worker, 5000);
}

/* The source knows more than the engine of one log, nothing of the other. */
static int64_t source_knows(const void *source, struct tp tp)
{
    assert_string_equal(source, "source");
    return tp.topic == TOPIC_WRITES ? 140 : -1;
}

static void test_pages_lag_is_behind_all_that_is_known_of_the_log(void **state)
{
    (void)state;
    struct partition_status partitions[] = {
        { .tp = { TOPIC_WRITES, 0 }, .next_offset = 90, .published_offset = 90, .log_end = 100 },
        { .tp = { TOPIC_ACTIVITY, 0 }, .next_offset = 90, .published_offset = 90, .log_end = 97 },
    };
    struct engine_status engine = { .partitions = partitions, .partition_count = 2 };
    json_t *worker = report_worker(&(struct report_facts){ .settings = &settings,
                                                           .state = "running",
                                                           .engine = &engine,
                                                           .log_end = source_knows,
                                                           .source = "source" });
    assert_non_null(worker);
    const char *first, *second;
    int first_end, first_lag, second_end, second_lag;
    assert_int_equal(json_unpack(worker, "{s:[{s:s, s:i, s:i}, {s:s, s:i, s:i}]}", "partitions",
                                 "topic", &first, "log_end", &first_end, "lag", &first_lag, "topic",
                                 &second, "log_end", &second_end, "lag", &second_lag),
                     0);
    assert_string_equal(first, "attempt.writes");
    assert_int_equal(first_end, 140);
    assert_int_equal(first_lag, 50);
    assert_string_equal(second, "attempt.activity");
    assert_int_equal(second_end, 97);
    assert_int_equal(second_lag, 7);
    json_decref(worker);
}

static const char *ready(const char *halt, bool connected, bool expected)
{
    static char text[1024];
    struct buf page;
    buf_init(&page, sizeof text);
    json_t *status = make_status(halt, connected);
    assert_int_equal(page_ready(&page, status), expected);
    assert_int_equal(status_halted(status), halt != NULL);
    (void)snprintf(text, sizeof text, "%.*s", BYTES_FMT(buf_bytes(&page)));
    json_decref(status);
    buf_release(&page);
    return text;
}

static void test_pages_ready(void **state)
{
    (void)state;
    assert_string_equal(ready(NULL, true, true), "ok\n");
    assert_string_equal(ready("anchor", true, false),
                        "halt topic=attempt.writes partition=0 reason=anchor\n");
    assert_non_null(strstr(ready(NULL, false, false), "no connection to the database"));
}

/* A full disk answers, and takes nothing. */
static void test_pages_who_cannot_write_is_not_ready(void **state)
{
    (void)state;
    breaker = BREAKER_OPEN;
    assert_non_null(
        strstr(ready(NULL, true, false), "cannot write to the database (breaker open)"));
    breaker = BREAKER_PROBING;
    assert_non_null(strstr(ready(NULL, true, false), "breaker probing"));
    breaker = BREAKER_CLOSED;
    assert_string_equal(ready(NULL, true, true), "ok\n");
}

static void test_pages_a_worker_that_never_reported_is_not_ready(void **state)
{
    (void)state;
    struct buf page;
    buf_init(&page, 4096);
    json_t *status = json_pack("{s:[{s:i, s:s}]}", "workers", "worker", 3, "state", "starting");
    assert_false(page_ready(&page, status));
    assert_true(bytes_equal(buf_bytes(&page), BYTES("worker 3 is starting\n")));
    buf_clear(&page);
    page_metrics(&page, status);
    assert_false(page.failed);
    json_decref(status);
    buf_release(&page);
}

static void test_pages_metrics(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "attemptd_records_total{outcome=\"applied\",worker=\"0\"} 5\n",
        "attemptd_lag_records{topic=\"attempt.writes\",partition=\"0\",worker=\"0\"} 10\n",
        "attemptd_lag_records{topic=\"view.refresh\",partition=\"0\",worker=\"0\"} 2\n",
        "attemptd_unpublished_records{topic=\"attempt.writes\",partition=\"0\",worker=\"0\"} 7\n",
        "attemptd_flush_duration_seconds_bucket{worker=\"0\",le=\"0.002\"} 1\n",
        "attemptd_flush_duration_seconds_bucket{worker=\"0\",le=\"0.005\"} 3\n",
        "attemptd_flush_duration_seconds_sum{worker=\"0\"} 0.5\n",
        "attemptd_flush_duration_seconds_count{worker=\"0\"} 3\n",
        "attemptd_partition_halted{topic=\"attempt.writes\",partition=\"0\",reason=\"corrupt\"",
        "attemptd_conservation_difference{topic=\"attempt.writes\",partition=\"3\",worker=\"0\"} 2\n",
        "attemptd_view_refresh_duration_seconds{view=\"exam_attempt_stats\",worker=\"0\"} 1.5\n",
    };
    struct buf page;
    buf_init(&page, 1 << 20);
    json_t *status = make_status("corrupt", true);
    page_metrics(&page, status);
    json_decref(status);
    buf_put_char(&page, '\0');
    assert_false(page.failed);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (strstr(page.ptr, lines[i]) == NULL)
            fail_msg("%s is not in:\n%s", lines[i], page.ptr);
    }
    if (system("command -v promtool >/dev/null") == 0) {
        FILE *pipe = popen("promtool check metrics", "w");
        assert_non_null(pipe);
        assert_int_equal(fwrite(page.ptr, 1, page.len - 1, pipe), page.len - 1);
        assert_int_equal(pclose(pipe), 0);
    }
    buf_release(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_ready),
        cmocka_unit_test(test_pages_who_cannot_write_is_not_ready),
        cmocka_unit_test(test_pages_a_worker_that_never_reported_is_not_ready),
        cmocka_unit_test(test_pages_metrics),
        cmocka_unit_test(test_pages_lag_is_behind_all_that_is_known_of_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
