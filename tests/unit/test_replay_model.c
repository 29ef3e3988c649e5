/* Each rule of DESIGN 1.4, as the auditor's model keeps it. */
#include "worker/audit/replay_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct uuid id_of(unsigned number)
{
    struct uuid id = { { 0xaa } };
    id.bytes[14] = (uint8_t)(number >> 8);
    id.bytes[15] = (uint8_t)number;
    return id;
}

#define ATTEMPT 1u

static struct event write_event(enum event_type type, unsigned id, int64_t expected,
                                const char *answers)
{
    return (struct event){ .type = type,
                           .event_id = id_of(id),
                           .attempt_id = id_of(ATTEMPT),
                           .write = { .expected_version = expected,
                                      .answers = bytes_of(answers),
                                      .at_us = 1000 * (int64_t)id } };
}

static struct event start_event(unsigned id, unsigned exam, unsigned student)
{
    return (struct event){
        .type = EVENT_STARTED,
        .event_id = id_of(id),
        .attempt_id = id_of(ATTEMPT),
        .started = { .exam_id = id_of(exam), .student_id = id_of(student), .started_at_us = 7 }
    };
}

static struct verdict fold(struct replay_model *model, struct event event)
{
    struct verdict verdict;
    assert_true(replay_model_fold(model, &event, 0, 0, NULL, &verdict));
    return verdict;
}

static struct verdict save(struct replay_model *model, unsigned id, int64_t expected,
                           const char *answers)
{
    return fold(model, write_event(EVENT_SAVED, id, expected, answers));
}

static struct verdict submit(struct replay_model *model, unsigned id, int64_t expected,
                             const char *answers)
{
    return fold(model, write_event(EVENT_SUBMITTED, id, expected, answers));
}

static struct model_attempt *attempt(struct replay_model *model)
{
    struct uuid id = id_of(ATTEMPT);
    return replay_model_find(model, &id);
}

static void assert_answers(struct replay_model *model, const char *expected)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    members_put(&attempt(model)->answers, &text);
    buf_put_char(&text, '\0');
    assert_string_equal(text.ptr, expected);
    buf_release(&text);
}

static int make_model(void **state)
{
    *state = replay_model_new(1000);
    return *state == NULL;
}

static int drop_model(void **state)
{
    replay_model_free(*state);
    return 0;
}

static void test_saves_ascend(void **state)
{
    assert_int_equal(fold(*state, start_event(90, 50, 60)).outcome, OUTCOME_APPLIED);
    assert_int_equal(attempt(*state)->version, 1);
    assert_int_equal(save(*state, 10, 1, "{\"q1\":\"A\"}").outcome, OUTCOME_APPLIED);
    struct verdict verdict = save(*state, 11, 2, "{\"q2\":\"B\",\"q1\":\"C\"}");
    assert_int_equal(verdict.outcome, OUTCOME_APPLIED);
    assert_int_equal(verdict.missing, 0);
    assert_int_equal(attempt(*state)->version, 3);
    assert_answers(*state, "{\"q1\":\"C\",\"q2\":\"B\"}");
}

static void test_gap_is_applied_and_overtaken_is_stale(void **state)
{
    struct verdict verdict = save(*state, 10, 4, "{\"q\":1}");
    assert_int_equal(verdict.outcome, OUTCOME_APPLIED);
    assert_int_equal(verdict.missing, 3);
    assert_int_equal(attempt(*state)->version, 5);
    verdict = save(*state, 11, 4, "{\"q\":2}");
    assert_int_equal(verdict.outcome, OUTCOME_STALE);
    assert_int_equal(verdict.row_version, 5);
    assert_null(verdict.late_reason);
    assert_answers(*state, "{\"q\":1}");
}

static void test_duplicate_within_sixteen(void **state)
{
    for (unsigned i = 0; i < 17; i++)
        assert_int_equal(save(*state, 100 + i, 1 + i, NULL).outcome, OUTCOME_APPLIED);
    assert_int_equal(save(*state, 101, 2, NULL).outcome, OUTCOME_DUPLICATE);
    assert_int_equal(save(*state, 116, 17, NULL).outcome, OUTCOME_DUPLICATE);
    /* the 17th before now is forgotten, and e < v */
    assert_int_equal(save(*state, 100, 1, NULL).outcome, OUTCOME_STALE);
    assert_int_equal(attempt(*state)->version, 18);
}

static void test_duplicate_beats_late(void **state)
{
    assert_int_equal(save(*state, 10, 1, NULL).outcome, OUTCOME_APPLIED);
    assert_int_equal(submit(*state, 11, 2, NULL).outcome, OUTCOME_APPLIED);
    assert_int_equal(save(*state, 10, 1, NULL).outcome, OUTCOME_DUPLICATE);
    assert_int_equal(submit(*state, 11, 2, NULL).outcome, OUTCOME_DUPLICATE);
}

static void test_a_rejected_id_is_not_remembered(void **state)
{
    assert_int_equal(save(*state, 10, 5, NULL).outcome, OUTCOME_APPLIED);
    assert_int_equal(save(*state, 11, 2, NULL).outcome, OUTCOME_STALE);
    assert_int_equal(save(*state, 11, 2, NULL).outcome, OUTCOME_STALE);
    assert_int_equal(save(*state, 11, 6, NULL).outcome, OUTCOME_APPLIED);
}

static void test_submit_freezes(void **state)
{
    assert_int_equal(save(*state, 10, 1, "{\"q\":1}").outcome, OUTCOME_APPLIED);
    struct verdict verdict = submit(*state, 11, 2, "{\"r\":2}");
    assert_int_equal(verdict.outcome, OUTCOME_APPLIED);
    assert_true(attempt(*state)->submitted);
    assert_int_equal(attempt(*state)->version, 3);
    assert_int_equal(attempt(*state)->submitted_at_us, 11000);
    verdict = save(*state, 12, 3, "{\"q\":9}");
    assert_int_equal(verdict.outcome, OUTCOME_LATE);
    assert_string_equal(verdict.late_reason, "after_submit");
    assert_int_equal(verdict.row_version, 3);
    verdict = submit(*state, 13, 3, "{\"q\":9}"); /* the first submit stands */
    assert_int_equal(verdict.outcome, OUTCOME_LATE);
    assert_answers(*state, "{\"q\":1,\"r\":2}");
    assert_int_equal(attempt(*state)->version, 3);
}

static void test_late_because_overtaken(void **state)
{
    assert_int_equal(save(*state, 10, 1, NULL).outcome, OUTCOME_APPLIED); /* v = 2 */
    struct verdict verdict = submit(*state, 11, 4, NULL);                 /* skips 2 and 3 */
    assert_int_equal(verdict.missing, 2);
    assert_int_equal(attempt(*state)->submit_missing, 2);
    assert_string_equal(save(*state, 12, 1, NULL).late_reason, "after_submit");
    assert_string_equal(save(*state, 13, 2, NULL).late_reason, "overtaken");
    assert_string_equal(save(*state, 14, 3, NULL).late_reason, "overtaken");
    assert_string_equal(save(*state, 15, 4, NULL).late_reason, "after_submit");
}

static void test_jump_is_dead_and_makes_no_row(void **state)
{
    struct verdict verdict = save(*state, 10, 1002, NULL);
    assert_int_equal(verdict.outcome, OUTCOME_DEAD);
    assert_int_equal(verdict.reason, REASON_VERSION_JUMP);
    assert_null(attempt(*state));
    assert_int_equal(replay_model_attempts(*state), 0);
    assert_int_equal(save(*state, 10, 1001, NULL).outcome, OUTCOME_APPLIED);
    assert_int_equal(submit(*state, 11, 1002 + 1001, NULL).outcome, OUTCOME_DEAD);
    assert_false(attempt(*state)->submitted);
    /* also the largest version of all does not overflow */
    assert_int_equal(save(*state, 12, INT64_MAX - 1, NULL).outcome, OUTCOME_DEAD);
}

static void test_dead_beats_late_and_duplicate(void **state)
{
    assert_int_equal(submit(*state, 10, 1, NULL).outcome, OUTCOME_APPLIED);
    assert_int_equal(save(*state, 11, 5000, NULL).outcome, OUTCOME_DEAD);
    assert_int_equal(submit(*state, 10, 5000, NULL).outcome, OUTCOME_DEAD);
}

static void test_start_may_come_late(void **state)
{
    assert_int_equal(save(*state, 10, 1, NULL).outcome, OUTCOME_APPLIED);
    assert_false(attempt(*state)->has_start);
    assert_int_equal(submit(*state, 11, 2, NULL).outcome, OUTCOME_APPLIED);
    assert_int_equal(fold(*state, start_event(12, 50, 60)).outcome, OUTCOME_APPLIED);
    assert_true(attempt(*state)->has_start);
    assert_int_equal(attempt(*state)->version, 3);
    assert_true(attempt(*state)->submitted);
}

static void test_second_start(void **state)
{
    assert_int_equal(fold(*state, start_event(10, 50, 60)).outcome, OUTCOME_APPLIED);
    assert_int_equal(fold(*state, start_event(11, 50, 60)).outcome, OUTCOME_DUPLICATE);
    struct verdict verdict = fold(*state, start_event(12, 50, 61));
    assert_int_equal(verdict.outcome, OUTCOME_DEAD);
    assert_int_equal(verdict.reason, REASON_START_CONFLICT);
    assert_int_equal(fold(*state, start_event(13, 51, 60)).outcome, OUTCOME_DEAD);
    /* a start is not remembered as an event of the attempt */
    assert_int_equal(save(*state, 10, 1, NULL).outcome, OUTCOME_APPLIED);
}

static void test_null_clears_a_key(void **state)
{
    assert_int_equal(save(*state, 10, 1, "{\"a\":1,\"b\":{\"x\":1},\"c\":[1,null]}").outcome,
                     OUTCOME_APPLIED);
    assert_int_equal(
        save(*state, 11, 2, " { \"a\" : null , \"b\" : {\"y\":null} , \"z\":null } ").outcome,
        OUTCOME_APPLIED);
    assert_answers(*state, "{\"b\":{\"y\":null},\"c\":[1,null]}");
}

static void test_names_are_compared_unescaped(void **state)
{
    save(*state, 10, 1, "{\"\\u0061\":1,\"\\ud83d\\ude00\":2,\"x\\\"y\":3,\"\":4}");
    save(*state, 11, 2, "{\"a\":\"},\\\"\",\"\xf0\x9f\x98\x80\":5}");
    assert_answers(*state, "{\"\":4,\"a\":\"},\\\"\",\"x\\\"y\":3,\"\xf0\x9f\x98\x80\":5}");
    assert_true(bytes_equal(members_get(&attempt(*state)->answers, BYTES("")), BYTES("4")));
}

static void test_auto_save_data_is_replaced_whole(void **state)
{
    struct event event = write_event(EVENT_SAVED, 10, 1, NULL);
    event.write.auto_save_data = BYTES("{\"p\":1,\"q\":2}");
    fold(*state, event);
    event = write_event(EVENT_SAVED, 11, 2, NULL);
    fold(*state, event);
    assert_string_equal(attempt(*state)->auto_save_data, "{\"p\":1,\"q\":2}");
    event = write_event(EVENT_SUBMITTED, 12, 3, NULL);
    event.write.auto_save_data = BYTES("{\"p\":3}");
    fold(*state, event);
    assert_string_equal(attempt(*state)->auto_save_data, "{\"p\":3}");
}

static void count_stored(void *self, const struct uuid *attempt_id, const struct activity *item)
{
    (void)attempt_id;
    (void)item;
    (*(unsigned *)self)++;
}

static void test_activity_is_stored_once(void **state)
{
    struct activity items[] = { { .event_id = id_of(1), .occurred_at_us = 5 },
                                { .event_id = id_of(1), .occurred_at_us = 6 },
                                { .event_id = id_of(1), .occurred_at_us = 5 } };
    struct event event = { .type = EVENT_ACTIVITY,
                           .event_id = id_of(70),
                           .attempt_id = id_of(ATTEMPT),
                           .activity = { items, 3 } };
    unsigned stored = 0;
    struct model_sink sink = { &stored, count_stored };
    struct verdict verdict;
    assert_true(replay_model_fold(*state, &event, 0, 0, &sink, &verdict));
    assert_int_equal(verdict.outcome, OUTCOME_APPLIED);
    assert_int_equal(stored, 2);
    assert_null(attempt(*state)); /* activity makes no row */
    assert_true(replay_model_fold(*state, &event, 0, 1, &sink, &verdict));
    assert_false(replay_model_activity_is_spread(*state));
    assert_true(replay_model_fold(*state, &event, 3, 9, &sink, &verdict));
    assert_true(replay_model_activity_is_spread(*state));
    assert_int_equal(verdict.outcome, OUTCOME_DUPLICATE);
    items[0].event_id = id_of(2);
    assert_true(replay_model_fold(*state, &event, 0, 2, &sink, &verdict));
    assert_int_equal(verdict.outcome, OUTCOME_APPLIED);
    assert_int_equal(replay_model_activity_events(*state), 3);
    assert_int_equal(stored, 3);
}

static void test_spread_attempts_are_marked(void **state)
{
    struct verdict verdict;
    struct event event = write_event(EVENT_SAVED, 10, 1, NULL);
    assert_true(replay_model_fold(*state, &event, 2, 0, NULL, &verdict));
    assert_false(attempt(*state)->spread);
    event = start_event(11, 50, 60);
    assert_true(replay_model_fold(*state, &event, 3, 0, NULL, &verdict));
    assert_true(attempt(*state)->spread);
}

static void test_many_attempts(void **state)
{
    for (unsigned i = 0; i < 5000; i++) {
        struct event event = write_event(EVENT_SAVED, 1, 1, "{\"q\":1}");
        event.attempt_id = id_of(i + 1);
        assert_int_equal(fold(*state, event).outcome, OUTCOME_APPLIED);
    }
    assert_int_equal(replay_model_attempts(*state), 5000);
    size_t cursor = 0, seen = 0;
    while (replay_model_next(*state, &cursor) != NULL)
        seen++;
    assert_int_equal(seen, 5000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_model, drop_model)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_saves_ascend),
        TEST(test_gap_is_applied_and_overtaken_is_stale),
        TEST(test_duplicate_within_sixteen),
        TEST(test_duplicate_beats_late),
        TEST(test_a_rejected_id_is_not_remembered),
        TEST(test_submit_freezes),
        TEST(test_late_because_overtaken),
        TEST(test_jump_is_dead_and_makes_no_row),
        TEST(test_dead_beats_late_and_duplicate),
        TEST(test_start_may_come_late),
        TEST(test_second_start),
        TEST(test_null_clears_a_key),
        TEST(test_names_are_compared_unescaped),
        TEST(test_auto_save_data_is_replaced_whole),
        TEST(test_activity_is_stored_once),
        TEST(test_spread_attempts_are_marked),
        TEST(test_many_attempts),
    };
    return cmocka_run_group_tests_name("replay_model", tests, NULL, NULL);
}
