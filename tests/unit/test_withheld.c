/* When an operator hears of records that a transaction holds back, and what. */
#include "worker/commands/withheld.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static const struct tp writes_4 = { TOPIC_WRITES, 4 };

struct night {
    struct log log;
    struct log_sink sink;
    struct settings *settings;
    struct withheld withheld;
    int file;
    int64_t now_ms;
    char lines[2 * WITHHELD_MAX * 1024];
};

static int64_t monotonic_ms(void *self)
{
    return ((struct night *)self)->now_ms;
}

static int64_t wall_us(void *self)
{
    (void)self;
    return 0;
}

static int setup(void **state)
{
    struct night *night = calloc(1, sizeof *night);
    assert_non_null(night);
    night->settings = calloc(1, sizeof *night->settings);
    assert_non_null(night->settings);
    (void)snprintf(night->settings->topics[TOPIC_WRITES], sizeof night->settings->topics[0],
                   "dev.attempt.writes");
    night->file = memfd_create("log", 0);
    log_sink_init(&night->sink, night->file);
    log_init(&night->log, &night->sink, "human", "info");
    night->log.clock =
        (struct clock){ .self = night, .monotonic_ms = monotonic_ms, .wall_us = wall_us };
    withheld_init(&night->withheld, &night->log, night->settings);
    *state = night;
    return night->file < 0;
}

static int teardown(void **state)
{
    struct night *night = *state;
    log_sink_release(&night->sink);
    (void)close(night->file);
    free(night->settings);
    free(night);
    return 0;
}

/* All lines so far, of which there have to be so many. */
static const char *lines(struct night *night, int count)
{
    ssize_t len = pread(night->file, night->lines, sizeof night->lines - 1, 0);
    assert_true(len >= 0);
    night->lines[len] = '\0';
    int found = 0;
    for (const char *c = night->lines; *c != '\0'; c++)
        found += *c == '\n';
    if (found != count)
        fail_msg("%d lines instead of %d: %s", found, count, night->lines);
    return night->lines;
}

/* A second at a time, as the worker looks. */
static void see(struct night *night, int seconds, bool held, int64_t position)
{
    struct kafka_log_view view = { .high = 50, .withheld = held, .position = position };
    for (int i = 0; i < seconds; i++, night->now_ms += 1000)
        withheld_note(&night->withheld, writes_4, &view);
}

static void test_what_stands_for_a_minute_is_told_once(void **state)
{
    struct night *night = *state;
    see(night, 60, true, 37);
    (void)lines(night, 0);
    see(night, 600, true, 37);
    const char *text = lines(night, 1);
    static const char *const parts[] = {
        "warn",
        "topic=dev.attempt.writes",
        "partition=4",
        "offset=37",
        "records=13",
        "describe-producers --topic dev.attempt.writes --partition 4'",
        "abort --topic dev.attempt.writes --partition 4 --start-offset 37'",
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strstr(text, parts[i]) == NULL)
            fail_msg("'%s' is not in %s", parts[i], text);
    see(night, 5, false, 50);
    assert_non_null(strstr(lines(night, 2), "has ended"));
    see(night, 61, true, 50); /* the next one */
    (void)lines(night, 3);
}

static void test_what_moves_is_not_told(void **state)
{
    struct night *night = *state;
    for (int i = 0; i < 10; i++) {
        see(night, 59, true, 37 + i); /* transactions that end, one after the other */
        see(night, 59, true, 38 + i);
        see(night, 1, false, 39 + i);
    }
    (void)lines(night, 0);
}

/* Halted, or in a rebalance: that it is not read says nothing about the transaction. */
static void test_who_does_not_read_knows_nothing(void **state)
{
    struct night *night = *state;
    struct kafka_log_view nothing = { .high = -1 };
    see(night, 61, true, 37);
    withheld_note(&night->withheld, writes_4, &nothing);
    see(night, 61, true, 37);
    (void)lines(night, 1);
}

/* The high watermark is an old one then, and what was read is read again. */
static void test_a_start_over_is_no_end(void **state)
{
    struct night *night = *state;
    see(night, 61, true, 37);
    see(night, 5, false, 30); /* assigned, and reading */
    see(night, 5, false, 37); /* there again, the end not seen yet */
    see(night, 61, true, 37);
    (void)lines(night, 1);
    see(night, 1, false, 38);
    assert_non_null(strstr(lines(night, 2), "has ended"));
}

static void test_a_minute_goes_on_across_a_start_over(void **state)
{
    struct night *night = *state;
    see(night, 40, true, 37);
    see(night, 5, false, 30);
    see(night, 16, true, 37);
    (void)lines(night, 1);
}

/* A log that was cut off before the place never gets past it. */
static void test_an_end_with_nothing_behind_it_is_one(void **state)
{
    struct night *night = *state;
    struct kafka_log_view cut = { .high = 20, .at_end = true, .position = 20 };
    see(night, 61, true, 37);
    withheld_note(&night->withheld, writes_4, &cut);
    assert_non_null(strstr(lines(night, 2), "has ended"));
    assert_int_equal(night->withheld.count, 0);
}

static void test_what_went_to_others_is_forgotten(void **state)
{
    struct night *night = *state;
    struct kafka_log_view view = { .high = 50, .at_end = true, .withheld = true, .position = 37 };
    struct partition_status kept[] = { { .tp = { TOPIC_WRITES, 2 } },
                                       { .tp = { TOPIC_ACTIVITY, 5 } },
                                       { .tp = { TOPIC_WRITES, WITHHELD_MAX - 1 } } };
    for (int i = 0; i < 2; i++, night->now_ms += WITHHELD_TOLD_AFTER_MS)
        for (int32_t p = 0; p < WITHHELD_MAX; p++)
            withheld_note(&night->withheld, (struct tp){ TOPIC_WRITES, p }, &view);
    withheld_keep(&night->withheld, kept, sizeof kept / sizeof *kept);
    (void)lines(night, WITHHELD_MAX);
    assert_int_equal(night->withheld.count, 2);

    struct tp next = { TOPIC_ACTIVITY, 5 };
    withheld_note(&night->withheld, next, &view);
    night->now_ms += WITHHELD_TOLD_AFTER_MS;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        withheld_note(&night->withheld, kept[i].tp, &view); /* two of them told before */
    (void)lines(night, WITHHELD_MAX + 1);
}

static void test_more_partitions_than_there_is_room_for(void **state)
{
    struct night *night = *state;
    struct kafka_log_view view = { .high = 50, .withheld = true, .position = 37 };
    for (int i = 0; i < 2; i++, night->now_ms += WITHHELD_TOLD_AFTER_MS)
        for (int32_t p = 0; p < 2 * WITHHELD_MAX; p++)
            withheld_note(&night->withheld, (struct tp){ TOPIC_WRITES, p }, &view);
    (void)lines(night, WITHHELD_MAX);
    view = (struct kafka_log_view){ .high = 50, .at_end = true, .position = 50 };
    for (int32_t p = 0; p < 2 * WITHHELD_MAX; p++)
        withheld_note(&night->withheld, (struct tp){ TOPIC_WRITES, p }, &view);
    (void)lines(night, 2 * WITHHELD_MAX);
    assert_int_equal(night->withheld.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_stands_for_a_minute_is_told_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_moves_is_not_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_does_not_read_knows_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_start_over_is_no_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_minute_goes_on_across_a_start_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_end_with_nothing_behind_it_is_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_went_to_others_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_partitions_than_there_is_room_for, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
