/* The store and what became of records: submissions, rejected writes, letters; trials; recall. */
#include "tests/pg/store_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int open_claimed(void **state)
{
    if (rig_open(state) != 0)
        return -1;
    (void)rig_claim(*state, TOPIC_WRITES, 0, 0);
    return 0;
}

static struct entry *reject(struct rig *rig, int64_t offset, enum outcome outcome,
                            const char *reason, const char *data)
{
    struct entry *entry = rig_entry(rig, TOPIC_WRITES, offset);
    entry->outcome = outcome;
    entry->late_reason = reason;
    entry->version = 9;
    entry->event.attempt_id = rig_uuid('a', 1);
    entry->event.write.expected_version = 4;
    entry->event.data = bytes_of(data);
    rig->rejected[rig->plan.rejected_count++] = entry;
    return entry;
}

static struct entry *bury(struct rig *rig, enum topic topic, int64_t offset, enum reason reason)
{
    struct entry *entry = rig_entry(rig, topic, offset);
    entry->outcome = OUTCOME_DEAD;
    entry->reason = reason;
    entry->event.type = topic == TOPIC_REFRESH ? EVENT_REFRESH : EVENT_SAVED;
    entry->event.attempt_id = rig_uuid('a', 1);
    rig->letters[rig->plan.letter_count++] = entry;
    return entry;
}

static void submit_one(struct rig *rig, const char *answers, struct bytes receipt)
{
    rig_plan(rig, 0, 10);
    rig_start(rig, 1, 1);
    rig_submit(rig, rig_fold(rig, 1, 1, 4, answers, 1), 5);
    rig->submissions[0].receipt = receipt;
    rig_flush(rig, 10);
}

/* ------------------------------------------------------------------------------ submissions */

static void test_submission_and_answers(void **state)
{
    struct rig *rig = *state;
    submit_one(rig, "{\"q1\":\"A\",\"q2\":{\"x\":[1,2]},\"q3\":null}", BYTES("receipt text"));
    sql_is(rig->db,
           "c0000000-0000-4000-8000-000000000005|4|2|f|0102030000|receipt text|"
           "t.attempt.writes|0|1|5|2027-01-15 08:16:40",
           "SELECT concat_ws('|', event_id, version, missing, after_deadline, "
           "left(encode(answers_digest, 'hex'), 10), receipt, topic, partition, generation, "
           "record_offset, submitted_at AT TIME ZONE 'UTC') FROM submissions");
    sql_is(rig->db, "q1=\"A\" q2={\"x\": [1, 2]}",
           "SELECT string_agg(question_id || '=' || answer, ' ' ORDER BY question_id) "
           "FROM attempt_answers");
    sql_is(rig->db, "t", "SELECT attempt_document(id) = answers FROM attempts");
}

static void test_submission_after_the_deadline(void **state)
{
    struct rig *rig = *state;
    rig_plan(rig, 0, 10);
    rig_start(rig, 1, 1)->started.deadline_at_us = 1800000999999999;
    rig_start(rig, 2, 1)->started.has_deadline = false;
    rig_start(rig, 3, 1)->started.deadline_at_us = 1800001000000000; /* at it is not after it */
    rig_submit(rig, rig_fold(rig, 1, 1, 2, NULL, 1), 5);
    rig_submit(rig, rig_fold(rig, 2, 1, 2, NULL, 1), 6);
    rig_submit(rig, rig_fold(rig, 3, 1, 2, NULL, 1), 7);
    rig_flush(rig, 10);
    sql_is(rig->db, "t f f",
           "SELECT string_agg(after_deadline::text, ' ' ORDER BY attempt_id) FROM "
           "(SELECT attempt_id, CASE WHEN after_deadline THEN 't' ELSE 'f' END AS after_deadline "
           "FROM submissions) s");
}

static void test_a_second_submission_is_refused(void **state)
{
    struct rig *rig = *state;
    submit_one(rig, "{}", BYTES_NONE);
    rig_plan(rig, 10, 11);
    rig_ok(rig, STORE_OPEN);
    struct fold fold = { .attempt_id = rig_uuid('a', 1), .version = 5 };
    rig_submit(rig, &fold, 10);
    rig_fails(rig, STORE_CLOSE, ERR_REJECT, "23505");
    rig_ok(rig, STORE_UNDO);
    sql_is(rig->db, "10", "SELECT next_offset FROM ingest_progress");
}

/* --------------------------------------------------------------------------------- rejected */

static void test_rejected_writes_are_kept_whole(void **state)
{
    struct rig *rig = *state;
    const char *data = "{\"attempt_id\":\"x\",\"answers\":{\"q\":\"\xc3\xa9\"},\"unknown\":[null]}";
    rig_plan(rig, 0, 3);
    rig_ok(rig, STORE_OPEN);
    reject(rig, 0, OUTCOME_STALE, NULL, data);
    reject(rig, 1, OUTCOME_LATE, "overtaken", "{}");
    rig->moves[0].counts[OUTCOME_STALE] = 1;
    rig->moves[0].counts[OUTCOME_LATE] = 2;
    rig_ok(rig, STORE_CLOSE);
    sql_is(rig->db,
           "stale||4|9|{\"answers\": {\"q\": \"\xc3\xa9\"}, \"unknown\": [null], "
           "\"attempt_id\": \"x\"}|t.attempt.writes|0|1|0",
           "SELECT concat(outcome, '|', reason, '|', expected_version, '|', row_version, '|', "
           "event, '|', topic, '|', partition, '|', generation, '|', record_offset) "
           "FROM rejected_writes ORDER BY record_offset");
    sql_is(rig->db, "1",
           "SELECT count(*) FROM rejected_writes WHERE outcome = 'late' AND "
           "reason = 'overtaken'");
    /* The same record again would mean that it was judged twice. */
    rig_plan(rig, 3, 4);
    rig_ok(rig, STORE_OPEN);
    reject(rig, 1, OUTCOME_LATE, "overtaken", "{}");
    rig_fails(rig, STORE_CLOSE, ERR_REJECT, "23505");
    rig_ok(rig, STORE_UNDO);
}

/* ---------------------------------------------------------------------------------- letters */

static void test_letters_are_exact(void **state)
{
    struct rig *rig = *state;
    static const char nasty[] = "\0\xff{\"x\":\r\n\0";
    const struct header headers[] = {
        { BYTES("ce_id"), { "\x00\x01\xff", 3 } },
        { BYTES("dup"), BYTES("a") },
        { BYTES("dup"), BYTES("") },
        { BYTES("none"), BYTES_NONE },
        { BYTES("q\"\\\xff"), BYTES("ab") },
        { { "n\0l", 3 }, BYTES("abcd") },
    };
    rig_plan(rig, 0, 3);
    rig_ok(rig, STORE_OPEN);
    struct entry *first = bury(rig, TOPIC_WRITES, 0, REASON_VERSION_JUMP);
    first->record.key = (struct bytes){ nasty, sizeof nasty };
    first->record.value = (struct bytes){ nasty, sizeof nasty - 3 };
    first->record.headers = headers;
    first->record.header_count = sizeof headers / sizeof headers[0];
    first->detail = "too far ahead \xc3"; /* cut within a character */
    struct refusal refusal = { .reason = REASON_JSON, .detail = "not JSON" };
    struct entry *second = bury(rig, TOPIC_WRITES, 1, REASON_NONE);
    second->refusal = &refusal;
    struct entry *third = bury(rig, TOPIC_WRITES, 2, REASON_EMPTY);
    third->record.key = third->record.value = BYTES("");
    rig->moves[0].counts[OUTCOME_DEAD] = 3;
    rig_ok(rig, STORE_CLOSE);
    sql_is(rig->db, "00ff7b2278223a0d0a0000|00ff7b2278223a0d|version_jump|too far ahead ",
           "SELECT concat_ws('|', encode(record_key, 'hex'), encode(record_value, 'hex'), reason, "
           "detail) FROM dead_letters WHERE record_offset = 0");
    sql_is(rig->db,
           "[[\"ce_id\", \"AAH/\"], [\"dup\", \"YQ==\"], [\"dup\", \"\"], "
           "[\"none\", null], [\"q\\\"\\\\\xef\xbf\xbd\", \"YWI=\"], [\"n\", \"YWJjZA==\"]]",
           "SELECT headers FROM dead_letters WHERE record_offset = 0");
    sql_is(rig->db, "a0000000-0000-4000-8000-000000000001|c0000000-0000-4000-8000-000000000000",
           "SELECT concat_ws('|', attempt_id, event_id) FROM dead_letters WHERE record_offset = 0");
    sql_is(rig->db, "json|not JSON|[]|4",
           "SELECT concat_ws('|', reason, detail, headers, num_nulls(record_key, record_value, "
           "attempt_id, event_id)) FROM dead_letters WHERE record_offset = 1");
    sql_is(rig->db, "0",
           "SELECT length(record_key) + length(record_value) FROM dead_letters "
           "WHERE record_offset = 2");
}

static void test_refresh_letters_may_come_again(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 2; i++) {
        rig_plan(rig, 0, 0);
        rig_ok(rig, STORE_OPEN);
        bury(rig, TOPIC_REFRESH, 7, REASON_JSON);
        rig_ok(rig, STORE_CLOSE);
    }
    sql_is(rig->db, "t.view.refresh|0|7|",
           "SELECT concat(topic, '|', generation, '|', record_offset, '|', attempt_id) "
           "FROM dead_letters");
    rig_plan(rig, 0, 1);
    for (int i = 0; i < 2; i++) {
        rig->plan.letter_count = 0;
        rig_ok(rig, STORE_OPEN);
        bury(rig, TOPIC_WRITES, 7, REASON_JSON);
        rig->moves[0].counts[OUTCOME_DEAD] = 1;
        if (i == 0)
            rig_ok(rig, STORE_CLOSE);
        else
            rig_fails(rig, STORE_CLOSE, ERR_REJECT, "23505");
        rig->moves[0].expected_next = 1;
        rig->moves[0].new_next = 2;
    }
    rig_ok(rig, STORE_UNDO);
}

/* ------------------------------------------------------------------------------------ trials */

static void test_a_trial_leaves_nothing(void **state)
{
    struct rig *rig = *state;
    rig_plan(rig, 0, 4);
    rig->plan.trial = true;
    rig_start(rig, 1, 1);
    rig_submit(rig, rig_fold(rig, 1, 1, 2, "{\"q\":1}", 1), 1);
    rig_ok(rig, STORE_OPEN);
    assert_true(rig->folds[0].written);
    reject(rig, 2, OUTCOME_STALE, NULL, "{}");
    bury(rig, TOPIC_WRITES, 3, REASON_JSON);
    int64_t counts[] = { 2, 0, 1, 0, 1 };
    memcpy(rig->moves[0].counts, counts, sizeof counts);
    rig_ok(rig, STORE_CLOSE);
    sql_is(rig->db, "0|0",
           "SELECT concat_ws('|', next_offset, records + (SELECT count(*) FROM attempts) + "
           "(SELECT count(*) FROM exams) + (SELECT count(*) FROM submissions) + (SELECT count(*) "
           "FROM rejected_writes) + (SELECT count(*) FROM dead_letters) + (SELECT count(*) FROM "
           "attempt_answers)) FROM ingest_progress");
    rig->plan.trial = false;
    rig->folds[0].written = false;
    rig_ok(rig, STORE_OPEN);
    assert_true(rig->folds[0].written && rig->moves[0].hit);
    rig_ok(rig, STORE_CLOSE);
    sql_is(rig->db, "4|4", "SELECT concat_ws('|', next_offset, records) FROM ingest_progress");
}

static void test_counters_must_add_up(void **state)
{
    struct rig *rig = *state;
    rig_plan(rig, 0, 4);
    rig_ok(rig, STORE_OPEN);
    rig->moves[0].counts[OUTCOME_APPLIED] = INT64_MAX;
    rig->moves[0].counts[OUTCOME_DEAD] = 1;
    rig_fails(rig, STORE_CLOSE, ERR_REJECT, "22003");
    rig_ok(rig, STORE_UNDO);
}

/* ------------------------------------------------------------------------------------ recall */

static void test_recall(void **state)
{
    struct rig *rig = *state;
    submit_one(rig, "{\"q\":1}", BYTES("signed"));
    rig_plan(rig, 10, 20);
    rig_ok(rig, STORE_OPEN);
    reject(rig, 12, OUTCOME_LATE, "after_submit", "{}");
    reject(rig, 13, OUTCOME_STALE, NULL, "{}");
    bury(rig, TOPIC_WRITES, 11, REASON_KEY);
    bury(rig, TOPIC_WRITES, 19, REASON_KEY);
    rig_ok(rig, STORE_CLOSE);
    struct recall_range ranges[] = { { { TOPIC_ACTIVITY, 0 }, 1, 0, 100 },
                                     { { TOPIC_WRITES, 0 }, 1, 5, 19 },
                                     { { TOPIC_WRITES, 0 }, 2, 5, 19 } };
    struct recalled_attempt attempts[] = { { .attempt_id = rig_uuid('a', 1) },
                                           { .attempt_id = rig_uuid('a', 2) } };
    struct recall recall = {
        .ranges = ranges, .range_count = 3, .attempts = attempts, .attempt_count = 2
    };
    struct store_call call = { .step = STORE_RECALL, .recall = &recall };
    assert_int_equal(rig_run(rig, &call), STORE_OK);
    assert_true(attempts[0].found && attempts[0].has_exam);
    assert_int_equal(attempts[0].version, 4);
    assert_int_equal(attempts[0].revision, 2);
    assert_true(attempts[0].committed_at_us > 1700000000000000);
    assert_false(attempts[1].found);

    assert_int_equal(recall.outcome_count, 4);
    const struct recalled_outcome *o = recall.outcomes;
    assert_int_equal(o[0].offset, 5);
    assert_int_equal(o[0].outcome, OUTCOME_APPLIED);
    assert_int_equal(o[0].tp.topic, TOPIC_WRITES);
    assert_int_equal(o[0].version, 4);
    assert_int_equal(o[0].missing, 2);
    assert_true(bytes_equal(o[0].receipt, BYTES("signed")));
    assert_false(bytes_present(o[0].reason));
    assert_int_equal(o[1].offset, 11);
    assert_int_equal(o[1].outcome, OUTCOME_DEAD);
    assert_true(bytes_equal(o[1].reason, BYTES("key")));
    assert_false(o[1].has_version);
    assert_int_equal(o[2].outcome, OUTCOME_LATE);
    assert_true(bytes_equal(o[2].reason, BYTES("after_submit")));
    assert_true(o[2].has_version);
    assert_int_equal(o[2].version, 9);
    assert_int_equal(o[3].outcome, OUTCOME_STALE);
    assert_false(bytes_present(o[3].reason));
    assert_true(o[3].committed_at_us > 1700000000000000);

    /* A range of one record finds that one, in each of the tables. */
    static const int64_t settled[] = { 5, 11, 12, 13, 19 };
    for (size_t i = 0; i < 5; i++)
        for (int64_t from = settled[i] - 1; from <= settled[i] + 1; from++) {
            ranges[0] = (struct recall_range){ { TOPIC_WRITES, 0 }, 1, from, from + 1 };
            recall.range_count = 1;
            assert_int_equal(rig_run(rig, &call), STORE_OK);
            bool is_there = from == settled[i] || (from >= 11 && from <= 13);
            assert_int_equal(recall.outcome_count, is_there);
            assert_true(!is_there || recall.outcomes[0].offset == from);
        }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_claimed, rig_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_submission_and_answers),
        TEST(test_submission_after_the_deadline),
        TEST(test_a_second_submission_is_refused),
        TEST(test_rejected_writes_are_kept_whole),
        TEST(test_letters_are_exact),
        TEST(test_refresh_letters_may_come_again),
        TEST(test_a_trial_leaves_nothing),
        TEST(test_counters_must_add_up),
        TEST(test_recall),
    };
    return cmocka_run_group_tests_name("store_outcomes", tests, pg_group_start, pg_group_stop);
}
