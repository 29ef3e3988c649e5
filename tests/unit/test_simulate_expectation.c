/*
 * The simulated exam against the decoder and the auditor's model: what the generator says must
 * become of each record is what the rules make of it.
 */
#include "worker/audit/replay_model.h"
#include "worker/events/decode.h"
#include "worker/simulate/exam.h"
#include "worker/simulate/poison.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct judge {
    struct replay_model *model;
    struct decode_limits limits;
    struct arena arena;
    uint64_t gaps;
    bool reasons[REASON_SIGNATURE + 1];
};

static void judge(struct judge *judge, const struct exam_record *made)
{
    struct event event;
    struct refusal refusal;
    struct verdict verdict = { .outcome = OUTCOME_DEAD };
    arena_reset(&judge->arena);
    enum decode_result result =
        decode(&made->record, &judge->limits, &judge->arena, &event, &refusal);
    if (result == DECODE_DEAD)
        verdict.reason = refusal.reason;
    else
        assert_true(replay_model_fold(judge->model, &event, 0, 0, NULL, &verdict));
    if (verdict.outcome != made->outcome || verdict.reason != made->reason) {
        print_error("%s: expected %s (%s), got %s (%s): %.*s\n", exam_kind_name(made->kind),
                    outcome_name(made->outcome), reason_name(made->reason),
                    outcome_name(verdict.outcome), reason_name(verdict.reason),
                    (int)made->record.value.len, made->record.value.ptr);
        print_error("detail: %s\n", result == DECODE_DEAD ? refusal.detail : "");
        fail();
    }
    if (verdict.outcome == OUTCOME_APPLIED) {
        assert_int_equal(verdict.missing > 0, made->gap);
        judge->gaps += made->gap;
    }
    judge->reasons[verdict.reason] = true;
}

static void check_rows(const struct judge *judge, const struct exam_expectation *expected)
{
    assert_int_equal(replay_model_attempts(judge->model), expected->attempts);
    assert_int_equal(replay_model_activity_events(judge->model), expected->activity_rows);
    size_t cursor = 0;
    uint64_t submitted = 0, without_start = 0;
    const struct model_attempt *attempt;
    while ((attempt = replay_model_next(judge->model, &cursor)) != NULL) {
        submitted += attempt->submitted;
        without_start += !attempt->has_start;
    }
    assert_int_equal(submitted, expected->submitted);
    assert_int_equal(without_start, 0);
    assert_int_equal(judge->gaps, expected->gaps);
}

static void play(const struct exam_options *options, bool all_reasons)
{
    struct judge own = { .model = replay_model_new(options->version_jump_max),
                         .limits = decode_limits_default() };
    arena_init(&own.arena, 1 << 16, 0);
    struct exam *exam = exam_new(options);
    struct exam_record record;
    while (exam_next(exam, &record))
        judge(&own, &record);
    assert_false(exam_failed(exam));
    check_rows(&own, exam_expectation(exam));
    for (size_t i = 0; all_reasons && i < poison_count(); i++)
        assert_true(own.reasons[poison_reason(i)]);
    exam_free(exam);
    replay_model_free(own.model);
    arena_release(&own.arena);
}

static void test_quiet_exam(void **state)
{
    (void)state;
    struct exam_options options = exam_options_default();
    options.students = 100;
    play(&options, false);
}

static void test_disturbed_exams(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct exam_options options = exam_options_default();
        options.students = 60;
        options.questions = 25;
        options.exams = 2;
        options.seed = seed;
        options.duplicates = options.stale = options.disorder = 0.05;
        options.late = 0.2;
        options.poison = 0.03;
        play(&options, true);
    }
}

static void test_chaos(void **state)
{
    (void)state;
    struct exam_options options = exam_options_default();
    options.students = 100;
    options.duplicates = options.stale = options.disorder = options.late = 0.9;
    options.poison = 0.4;
    options.version_jump_max = 50;
    play(&options, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quiet_exam),
        cmocka_unit_test(test_disturbed_exams),
        cmocka_unit_test(test_chaos),
    };
    return cmocka_run_group_tests_name("simulate_expectation", tests, NULL, NULL);
}
