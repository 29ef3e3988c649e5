/* The simulated exam: the same for a seed, and what it expects is what it made. */
#include "worker/simulate/exam.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct exam_options disturbed(uint64_t seed)
{
    struct exam_options options = exam_options_default();
    options.students = 200;
    options.questions = 20;
    options.exams = 3;
    options.seed = seed;
    options.duplicates = options.stale = options.disorder = options.poison = 0.03;
    options.late = 0.1;
    return options;
}

static uint64_t mix(uint64_t hash, struct bytes b)
{
    for (size_t i = 0; i < b.len; i++)
        hash = (hash ^ (unsigned char)b.ptr[i]) * 0x100000001b3u;
    return hash * 31 + b.len + (b.ptr == NULL);
}

static uint64_t digest_of(const struct exam_options *options, struct exam_expectation *ret)
{
    struct exam *exam = exam_new(options);
    assert_non_null(exam);
    uint64_t hash = 7;
    struct exam_record record;
    while (exam_next(exam, &record)) {
        hash = mix(mix(hash, record.record.key), record.record.value);
        for (size_t i = 0; i < record.record.header_count; i++) {
            hash = mix(hash, record.record.headers[i].name);
            hash = mix(hash, record.record.headers[i].value);
        }
    }
    assert_false(exam_failed(exam));
    *ret = *exam_expectation(exam);
    exam_free(exam);
    return hash;
}

static void test_a_seed_gives_the_same_bytes(void **state)
{
    (void)state;
    struct exam_options options = disturbed(42);
    struct exam_expectation first, second, other;
    uint64_t hash = digest_of(&options, &first);
    assert_true(digest_of(&options, &second) == hash);
    assert_memory_equal(&first, &second, sizeof first);
    options.seed = 43;
    assert_false(digest_of(&options, &other) == hash);
}

static uint64_t sum(const uint64_t *numbers, size_t count)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += numbers[i];
    return total;
}

static void test_every_record_has_an_outcome(void **state)
{
    (void)state;
    struct exam_options options = disturbed(1);
    struct exam_expectation all;
    (void)digest_of(&options, &all);
    uint64_t records = sum(all.records, EXAM_KINDS);
    assert_true(sum(all.outcomes, OUTCOME_COUNT) == records);
    assert_true(all.outcomes[OUTCOME_DEAD] == all.records[EXAM_POISON]);
    for (size_t i = 0; i < OUTCOME_COUNT; i++)
        assert_true(all.outcomes[i] > 0);
    assert_true(all.gaps > 0);
    assert_int_equal(all.attempts, 200);
    assert_in_range(all.submitted, 180, 200);
    uint64_t estimate = exam_estimate(&options);
    assert_in_range(records, estimate * 8 / 10, estimate * 12 / 10);
}

static void test_undisturbed_everything_is_applied(void **state)
{
    (void)state;
    struct exam_options options = exam_options_default();
    options.students = 50;
    struct exam_expectation all;
    (void)digest_of(&options, &all);
    assert_true(all.outcomes[OUTCOME_APPLIED] == sum(all.records, EXAM_KINDS));
    assert_int_equal(all.records[EXAM_STARTED], 50);
    assert_true(all.activity_rows == all.activity_events);
}

static void test_tiny_exams(void **state)
{
    (void)state;
    struct exam_options options = disturbed(3);
    options.students = options.questions = options.exams = 0;
    options.duration_ms = 0;
    struct exam_expectation all;
    (void)digest_of(&options, &all);
    assert_int_equal(all.attempts, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_seed_gives_the_same_bytes),
        cmocka_unit_test(test_every_record_has_an_outcome),
        cmocka_unit_test(test_undisturbed_everything_is_applied),
        cmocka_unit_test(test_tiny_exams),
    };
    return cmocka_run_group_tests_name("simulate_exam", tests, NULL, NULL);
}
