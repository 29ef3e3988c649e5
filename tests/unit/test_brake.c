/* The brake by itself: what counts as one burst, and what ends a row of refused submits. */
#include "worker/engine/brake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MINUTE_MS 60000

static struct entry record_at(enum event_type type, int64_t offset)
{
    return (struct entry){
        .record = { .tp = { TOPIC_WRITES, 0 }, .offset = offset },
        .event = { .type = type, .attempt_id = { { [15] = (uint8_t)offset } } },
    };
}

static bool refuse(struct brake *brake, struct partition *partition, enum event_type type,
                   int64_t offset, int64_t now_ms)
{
    struct entry culprit = record_at(type, offset);
    return brake_pulled(brake, partition, &culprit, now_ms);
}

/* As many as are allowed, minute after minute; one more in the same minute is a burst. */
static void test_a_minute_forgets_the_one_before(void **state)
{
    (void)state;
    struct brake brake = { .window_from_ms = 0 };
    struct partition partition = { .tp = { TOPIC_WRITES, 0 } };
    int64_t offset = 0, now_ms = MINUTE_MS;
    for (int minute = 0; minute < 3; minute++, now_ms += MINUTE_MS)
        for (int i = 0; i < REFUSALS_PER_MINUTE_MAX; i++)
            assert_false(refuse(&brake, &partition, EVENT_SAVED, offset++, now_ms + i));
    assert_true(refuse(&brake, &partition, EVENT_SAVED, offset, now_ms - 1));
}

/* A submit was applied at `offset` of partition 0, in a flush that began at `from`. */
static void applied(struct brake *brake, struct partition *partition, int64_t from, int64_t offset)
{
    struct partition_table table = { .items = partition, .count = 1 };
    struct entry entry = record_at(EVENT_SUBMITTED, offset);
    struct submission_row submission = { .entry = &entry };
    struct ledger_move move = { .tp = partition->tp, .expected_next = from };
    struct plan plan = {
        .submissions = &submission, .submission_count = 1, .moves = &move, .move_count = 1
    };
    brake_committed(brake, &table, &plan);
}

/* Only a submit that comes later in the log ends the row, for the process and for the partition. */
static void test_what_was_applied_before_ends_no_row(void **state)
{
    (void)state;
    struct brake brake = { .window_from_ms = 0 };
    struct partition partition = { .tp = { TOPIC_WRITES, 0 } };
    assert_false(refuse(&brake, &partition, EVENT_SUBMITTED, 5, 0));
    applied(&brake, &partition, 3, 4);
    assert_true(brake.last.known);
    assert_true(partition.refused.known);
    assert_false(refuse(&brake, &partition, EVENT_SUBMITTED, 5, 0)); /* the same one again */
    applied(&brake, &partition, 6, 6);
    assert_false(brake.last.known);
    assert_false(partition.refused.known);
    assert_false(refuse(&brake, &partition, EVENT_SUBMITTED, 7, 0));
    assert_true(refuse(&brake, &partition, EVENT_SUBMITTED, 8, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_minute_forgets_the_one_before),
        cmocka_unit_test(test_what_was_applied_before_ends_no_row),
    };
    return cmocka_run_group_tests_name("brake", tests, NULL, NULL);
}
