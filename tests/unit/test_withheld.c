/* When an operator hears of records that a transaction holds back, and what. */
#include "tests/unit/kept_log.h"
#include "worker/commands/withheld.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct tp writes_4 = { TOPIC_WRITES, 4 };

struct night {
    struct kept_log kept;
    struct settings *settings;
    struct withheld withheld;
};

static int setup(void **state)
{
    struct night *night = calloc(1, sizeof *night);
    assert_non_null(night);
    night->settings = calloc(1, sizeof *night->settings);
    assert_non_null(night->settings);
    (void)snprintf(night->settings->topics[TOPIC_WRITES], sizeof night->settings->topics[0],
                   "dev.attempt.writes");
    kept_log_begin(&night->kept);
    withheld_init(&night->withheld, &night->kept.log, night->settings);
    *state = night;
    return 0;
}

static int teardown(void **state)
{
    struct night *night = *state;
    kept_log_end(&night->kept);
    free(night->settings);
    free(night);
    return 0;
}

/* A second at a time, as the worker looks. */
static void see(struct night *night, int seconds, bool held, int64_t position)
{
    struct kafka_log_view view = { .high = 50, .withheld = held, .position = position };
    for (int i = 0; i < seconds; i++, night->kept.now_ms += 1000)
        withheld_note(&night->withheld, writes_4, &view);
}

static void test_what_stands_for_a_minute_is_told_once(void **state)
{
    struct night *night = *state;
    see(night, 60, true, 37);
    (void)kept_log_lines(&night->kept, 0);
    see(night, 600, true, 37);
    const char *text = kept_log_lines(&night->kept, 1);
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
    assert_non_null(strstr(kept_log_lines(&night->kept, 2), "has ended"));
    see(night, 61, true, 50); /* the next one */
    (void)kept_log_lines(&night->kept, 3);
}

static void test_what_moves_is_not_told(void **state)
{
    struct night *night = *state;
    for (int i = 0; i < 10; i++) {
        see(night, 59, true, 37 + i); /* transactions that end, one after the other */
        see(night, 59, true, 38 + i);
        see(night, 1, false, 39 + i);
    }
    (void)kept_log_lines(&night->kept, 0);
}

/* Halted, or in a rebalance: that it is not read says nothing about the transaction. */
static void test_who_does_not_read_knows_nothing(void **state)
{
    struct night *night = *state;
    struct kafka_log_view nothing = { .high = -1 };
    see(night, 61, true, 37);
    withheld_note(&night->withheld, writes_4, &nothing);
    see(night, 61, true, 37);
    (void)kept_log_lines(&night->kept, 1);
}

/* The high watermark is an old one then, and what was read is read again. */
static void test_a_start_over_is_no_end(void **state)
{
    struct night *night = *state;
    see(night, 61, true, 37);
    see(night, 5, false, 30); /* assigned, and reading */
    see(night, 5, false, 37); /* there again, the end not seen yet */
    see(night, 61, true, 37);
    (void)kept_log_lines(&night->kept, 1);
    see(night, 1, false, 38);
    assert_non_null(strstr(kept_log_lines(&night->kept, 2), "has ended"));
}

static void test_a_minute_goes_on_across_a_start_over(void **state)
{
    struct night *night = *state;
    see(night, 40, true, 37);
    see(night, 5, false, 30);
    see(night, 16, true, 37);
    (void)kept_log_lines(&night->kept, 1);
}

/* A log that was cut off before the place never gets past it. */
static void test_an_end_with_nothing_behind_it_is_one(void **state)
{
    struct night *night = *state;
    struct kafka_log_view cut = { .high = 20, .at_end = true, .position = 20 };
    see(night, 61, true, 37);
    withheld_note(&night->withheld, writes_4, &cut);
    assert_non_null(strstr(kept_log_lines(&night->kept, 2), "has ended"));
    assert_int_equal(night->withheld.count, 0);
}

static void test_what_went_to_others_is_forgotten(void **state)
{
    struct night *night = *state;
    struct kafka_log_view view = { .high = 50, .at_end = true, .withheld = true, .position = 37 };
    struct partition_status kept[] = { { .tp = { TOPIC_WRITES, 2 } },
                                       { .tp = { TOPIC_ACTIVITY, 5 } },
                                       { .tp = { TOPIC_WRITES, WITHHELD_MAX - 1 } } };
    for (int i = 0; i < 2; i++, night->kept.now_ms += WITHHELD_TOLD_AFTER_MS)
        for (int32_t p = 0; p < WITHHELD_MAX; p++)
            withheld_note(&night->withheld, (struct tp){ TOPIC_WRITES, p }, &view);
    withheld_keep(&night->withheld, kept, sizeof kept / sizeof *kept);
    (void)kept_log_lines(&night->kept, WITHHELD_MAX);
    assert_int_equal(night->withheld.count, 2);

    struct tp next = { TOPIC_ACTIVITY, 5 };
    withheld_note(&night->withheld, next, &view);
    night->kept.now_ms += WITHHELD_TOLD_AFTER_MS;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        withheld_note(&night->withheld, kept[i].tp, &view); /* two of them told before */
    (void)kept_log_lines(&night->kept, WITHHELD_MAX + 1);
}

static void test_more_partitions_than_there_is_room_for(void **state)
{
    struct night *night = *state;
    struct kafka_log_view view = { .high = 50, .withheld = true, .position = 37 };
    for (int i = 0; i < 2; i++, night->kept.now_ms += WITHHELD_TOLD_AFTER_MS)
        for (int32_t p = 0; p < 2 * WITHHELD_MAX; p++)
            withheld_note(&night->withheld, (struct tp){ TOPIC_WRITES, p }, &view);
    (void)kept_log_lines(&night->kept, WITHHELD_MAX);
    view = (struct kafka_log_view){ .high = 50, .at_end = true, .position = 50 };
    for (int32_t p = 0; p < 2 * WITHHELD_MAX; p++)
        withheld_note(&night->withheld, (struct tp){ TOPIC_WRITES, p }, &view);
    (void)kept_log_lines(&night->kept, 2 * WITHHELD_MAX);
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
