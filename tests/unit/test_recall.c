/* What is to be told again, by itself: epochs, and records that would be refused today. */
#include "common/hash.h"
#include "worker/engine/recall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define ATTEMPT "018f2a3b-4c5d-7e6f-8a9b-0c1d2e3f4a5b"
#define SAVE                                                                                       \
    "{\"type\":\"attempt.saved.v1\",\"id\":\"" ATTEMPT "\",\"data\":{\"attempt_id\":\"" ATTEMPT    \
    "\",\"expected_version\":6,\"answers\":{\"q\":1},\"saved_at\":\"2026-11-21T12:00:00Z\"}}"

struct rig {
    struct tickets tickets;
    struct recall_list list;
};

static int open_rig(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    *state = rig;
    if (rig == NULL)
        return -1;
    recall_init(&rig->list, 1);
    return recall_begin(&rig->list, &rig->tickets, 0) ? 0 : -1;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;
    recall_release(&rig->list);
    tickets_release(&rig->tickets);
    free(rig);
    return 0;
}

/* A partition that went and came back: what the old claim had to tell is not the new one's. */
static void test_each_epoch_has_its_range(void **state)
{
    struct recall_list *list = &((struct rig *)*state)->list;
    struct ledger_entry ledger = { .tp = { TOPIC_WRITES, 0 }, .generation = 1, .epoch = 4 };
    assert_true(recall_open(list, &ledger, 10, false));
    assert_true(recall_open(list, &ledger, 11, false)); /* goes on with it */
    assert_int_equal(list->range_count, 1);
    recall_extend(list, &ledger, 20);
    ledger.epoch = 6;
    assert_true(recall_open(list, &ledger, 15, false));
    recall_extend(list, &ledger, 30);
    assert_int_equal(list->range_count, 2);
    assert_int_equal(list->ranges[0].from, 10);
    assert_int_equal(list->ranges[0].to, 20);
    assert_int_equal(list->ranges[1].from, 15);
    assert_int_equal(list->ranges[1].to, 30);
    assert_int_equal(list->epochs[0], 4);
    assert_int_equal(list->epochs[1], 6);
}

/* With the limits of its time it changed its attempt, and caches are still to hear of that. */
static void test_what_would_be_refused_today_is_told_again(void **state)
{
    struct recall_list *list = &((struct rig *)*state)->list;
    const struct ledger_entry ledger = { .tp = { TOPIC_WRITES, 0 }, .generation = 1, .epoch = 4 };
    const struct record record = { .offset = 10, .key = BYTES(ATTEMPT), .value = BYTES(SAVE) };
    struct decode_limits limits = decode_limits_default();
    limits.depth_max = 1;
    assert_true(recall_open(list, &ledger, 10, false));
    assert_true(recall_add(list, &record, &limits));
    assert_true(recall_prepare(list));
    assert_int_equal(list->request.attempt_count, 1);
    list->request.attempts[0].found = true;
    list->request.attempts[0].revision = 7;
    assert_true(recall_answered(list));
    assert_int_equal(list->announcement.change_count, 1);
    assert_int_equal(list->announcement.changes[0].revision, 7);
    assert_int_equal(list->announcement.verdict_count,
                     0); /* it has no letter: it was not refused */
}

int main(void)
{
    if (!hash_init())
        return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_epoch_has_its_range, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(test_what_would_be_refused_today_is_told_again, open_rig,
                                        close_rig),
    };
    return cmocka_run_group_tests_name("recall", tests, NULL, NULL);
}
