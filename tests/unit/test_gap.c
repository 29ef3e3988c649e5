/*
 * What accept-gap makes of ledger and log: the worker's own reasons, and where to go on.
 */
#include "worker/commands/gap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct gap_facts agreeing = { .has_row = true,
                                           .generation = 1,
                                           .next_offset = 50,
                                           .published_offset = 50,
                                           .has_committed = true,
                                           .log_low = 10,
                                           .log_end = 100 };

static struct gap_facts facts_with(int64_t next, int64_t published)
{
    struct gap_facts facts = agreeing;
    facts.next_offset = next;
    facts.published_offset = published;
    return facts;
}

static void test_states(void **state)
{
    (void)state;
    struct gap_facts facts = facts_with(9, 9);
    assert_int_equal(gap_judge(&facts), GAP_LOG_START);
    facts = facts_with(10, 10);
    assert_int_equal(gap_judge(&facts), GAP_NONE);
    facts = facts_with(100, 100);
    assert_int_equal(gap_judge(&facts), GAP_NONE);
    facts = facts_with(101, 101);
    assert_int_equal(gap_judge(&facts), GAP_LOG_END);
    facts = agreeing;
    facts.anchor_differs = true;
    assert_int_equal(gap_judge(&facts), GAP_ANCHOR);
    facts = agreeing;
    facts.unreadable = true;
    assert_int_equal(gap_judge(&facts), GAP_CORRUPT);
    facts = (struct gap_facts){ .has_committed = true, .log_end = 5 };
    assert_int_equal(gap_judge(&facts), GAP_LEDGER_MISSING);
    facts.has_committed = false;
    assert_int_equal(gap_judge(&facts), GAP_NEW);
    assert_string_equal(gap_state_name(GAP_LOG_START), "log_start");
    assert_string_equal(gap_state_name(GAP_CORRUPT), "corrupt");
}

static void expect_step(const struct gap_facts *facts, int64_t skip_to, bool force, int64_t start,
                        int64_t published)
{
    struct gap_step step;
    struct err err;
    if (!gap_plan(facts, skip_to, force, &step, &err))
        fail_msg("refused: %s", err.text);
    assert_int_equal(step.start, start);
    assert_int_equal(step.published, published);
}

static void expect_refusal(const struct gap_facts *facts, int64_t skip_to, bool force,
                           const char *code)
{
    struct gap_step step;
    struct err err;
    assert_false(gap_plan(facts, skip_to, force, &step, &err));
    assert_string_equal(err.code, code);
    assert_int_equal(err.action, ERR_REJECT);
    assert_true(strlen(err.text) > 20);
}

static void test_steps(void **state)
{
    (void)state;
    struct gap_facts facts = facts_with(5, 5);
    expect_step(&facts, GAP_NO_OFFSET, false, 10, 10);
    expect_step(&facts, 20, false, 20, 20);
    facts = facts_with(5, 4); /* something was applied and not told: caches drop everything */
    expect_step(&facts, GAP_NO_OFFSET, false, 10, 9);
    facts = facts_with(500, 500);
    expect_step(&facts, GAP_NO_OFFSET, false, 10, 10);
    expect_step(&facts, 100, false, 100, 100);
    facts = (struct gap_facts){ .has_committed = true, .log_low = 0, .log_end = 5 };
    expect_step(&facts, GAP_NO_OFFSET, false, 0, -1);
    facts = agreeing;
    facts.unreadable = true;
    facts.readable_from = 51;
    expect_step(&facts, 51, false, 51, 51);
    expect_step(&agreeing, 60, true, 60, 60);
}

/* Read again from where the ledger stands; caches may hold what the rows no longer do. */
static void test_a_ledger_that_was_put_back(void **state)
{
    (void)state;
    struct gap_facts facts = agreeing;
    facts.witness = (struct witness){ true, 1, 50 };
    assert_int_equal(gap_judge(&facts), GAP_NONE);
    facts.witness.next_offset = 51;
    assert_int_equal(gap_judge(&facts), GAP_LEDGER_BEHIND);
    assert_string_equal(gap_state_name(GAP_LEDGER_BEHIND), "ledger_behind");
    expect_step(&facts, GAP_NO_OFFSET, false, 50, 49);
    expect_step(&facts, 70, false, 70, 69);
    facts.generation = 2;
    assert_int_equal(gap_judge(&facts), GAP_NONE);
    facts.witness = (struct witness){ true, 3, 1 };
    assert_int_equal(gap_judge(&facts), GAP_LEDGER_BEHIND);
    facts.next_offset = facts.published_offset = 5; /* and the log begins behind it by now */
    expect_step(&facts, GAP_NO_OFFSET, false, 10, 9);
    facts.witness.present = false;
    assert_int_equal(gap_judge(&facts), GAP_LOG_START);
}

static void test_refusals(void **state)
{
    (void)state;
    expect_refusal(&agreeing, GAP_NO_OFFSET, false, "agree");
    expect_refusal(&agreeing, 60, false, "agree");
    expect_refusal(&agreeing, GAP_NO_OFFSET, true, "skip_to");
    expect_refusal(&agreeing, 101, true, "skip_to");
    struct gap_facts facts = agreeing;
    facts.unreadable = true;
    facts.readable_from = 51;
    expect_refusal(&facts, GAP_NO_OFFSET, false, "skip_to");
    expect_refusal(&facts, 50, false, "skip_to");
    facts = facts_with(5, 5);
    expect_refusal(&facts, 9, false, "skip_to");
    facts = (struct gap_facts){ .log_end = 5 };
    expect_refusal(&facts, GAP_NO_OFFSET, false, "new");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_states), cmocka_unit_test(test_steps),
                                        cmocka_unit_test(test_a_ledger_that_was_put_back),
                                        cmocka_unit_test(test_refusals) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
