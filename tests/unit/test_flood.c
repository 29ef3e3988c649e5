/* The benchmark's log: the same for a seed, of the promised size, order and versions. */
#include "common/hash.h"
#include "common/murmur2.h"
#include "worker/events/decode.h"
#include "worker/simulate/flood.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct flood_options small(void)
{
    struct flood_options options = flood_options_default();
    options.attempts = 500;
    options.window = 100;
    return options;
}

static struct flood *begin(const struct flood_options *options, const char *text)
{
    struct flood_segment segment;
    struct flood *flood = flood_new(options);
    assert_true(flood_parse(&text, &segment));
    assert_true(flood_begin(flood, &segment));
    return flood;
}

static uint64_t digest_of(const struct flood_options *options, const char *text)
{
    struct flood *flood = begin(options, text);
    struct flood_event event;
    struct record record;
    uint64_t hash = 1469598103934665603u;
    while (flood_next(flood, &event)) {
        assert_true(flood_render(flood, &event, &record));
        for (size_t i = 0; i < record.value.len; i++)
            hash = (hash ^ (unsigned char)record.value.ptr[i]) * 0x100000001b3u;
    }
    flood_free(flood);
    return hash;
}

static void same_seed_same_bytes(void **state)
{
    (void)state;
    struct flood_options options = small(), other = small();
    other.seed = 2;
    assert_int_equal(digest_of(&options, "exam:3000"), digest_of(&options, "exam:3000"));
    assert_int_not_equal(digest_of(&options, "exam:3000"), digest_of(&other, "exam:3000"));
}

/* Every attempt saves F times before the next window begins, and its versions ascend by one. */
static void windows_fold(void **state)
{
    (void)state;
    struct flood_options options = small();
    struct flood *flood = begin(&options, "f5:5000");
    struct flood_event event;
    int64_t next[500];
    for (size_t i = 0; i < 500; i++)
        next[i] = 1;
    for (unsigned window = 0; window < 10; window++) {
        unsigned seen[500] = { 0 };
        for (unsigned i = 0; i < 500; i++) {
            assert_true(flood_next(flood, &event));
            assert_int_equal(event.expected, next[event.attempt]++);
            seen[event.attempt]++;
        }
        for (unsigned i = 0; i < 500; i++)
            assert_true(seen[i] == 0 || seen[i] == 5);
    }
    assert_false(flood_next(flood, &event));
    flood_free(flood);
}

static void decoder_takes(const char *text, enum wrap_form form, size_t save_bytes)
{
    struct flood_options options = small();
    options.form = form;
    struct decode_limits limits = decode_limits_default();
    struct flood *flood = begin(&options, text);
    struct flood_event made;
    struct record record;
    struct arena arena;
    arena_init(&arena, 65536, 0);
    while (flood_next(flood, &made)) {
        struct event event;
        struct refusal refusal = { 0 };
        assert_true(flood_render(flood, &made, &record));
        if (decode(&record, &limits, &arena, &event, &refusal) != DECODE_EVENT)
            fail_msg("%s: %s", text, refusal.detail);
        assert_int_equal(event.type, made.type);
        assert_int_equal(record.tp.partition, murmur2_partition(record.key, options.partitions));
        if (made.type == EVENT_SAVED && save_bytes > 0)
            assert_int_equal(record.value.len, save_bytes);
        if (made.type == EVENT_ACTIVITY)
            assert_int_equal(event.activity.count, FLOOD_ACTIVITY_EVENTS);
        arena_reset(&arena);
    }
    arena_release(&arena);
    flood_free(flood);
}

static void every_record_decodes(void **state)
{
    (void)state;
    static const char *const texts[] = { "warm:2000", "f1:600",  "f20:3000",  "mix:500",
                                         "exam:3000", "act:100", "part3:200", "exam:7" };
    assert_true(hash_init());
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        decoder_takes(texts[i], WRAP_BARE, FLOOD_VALUE_BYTES);
        decoder_takes(texts[i], WRAP_BINARY, 0);
    }
}

/* An exam starts each of its attempts once, first, and submits each once, last. */
static void exams_end_in_a_rush(void **state)
{
    (void)state;
    enum { RECORDS = 3200, STUDENTS = RECORDS / 16 };
    struct flood_options options = small();
    struct flood *flood = begin(&options, "exam:3200");
    struct flood_event event;
    unsigned started = 0, submitted = 0, activity = 0;
    bool over[STUDENTS] = { false };
    while (flood_next(flood, &event)) {
        uint32_t student = event.attempt - options.attempts;
        assert_true(student < STUDENTS && !over[student]);
        started += event.type == EVENT_STARTED;
        submitted += event.type == EVENT_SUBMITTED;
        activity += event.type == EVENT_ACTIVITY;
        over[student] = event.type == EVENT_SUBMITTED;
    }
    assert_int_equal(started, STUDENTS);
    assert_int_equal(submitted, STUDENTS);
    assert_in_range(activity, RECORDS / 12, RECORDS / 6);
    flood_free(flood);
}

static void one_partition_alone(void **state)
{
    (void)state;
    struct flood_options options = small();
    struct flood *flood = begin(&options, "part7:300");
    struct flood_event event;
    while (flood_next(flood, &event))
        assert_int_equal(event.tp.partition, 7);
    flood_free(flood);
}

static void segments_are_read(void **state)
{
    (void)state;
    struct flood_segment segment;
    const char *at = "warm:10,f20:300", *const wrong[] = { "", "f:1", "f5", "f5:", "g:1", "f5:1x" };
    assert_true(flood_parse(&at, &segment));
    assert_true(segment.kind == FLOOD_WARM && segment.events == 10);
    assert_true(flood_parse(&at, &segment));
    assert_true(segment.kind == FLOOD_SAVES && segment.number == 20 && segment.events == 300);
    assert_string_equal(at, "");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        at = wrong[i];
        assert_false(flood_parse(&at, &segment));
    }
}

/* Values that Java's client gives (its own unit tests name them). */
static void murmur2_is_javas(void **state)
{
    (void)state;
    assert_int_equal((int32_t)murmur2(BYTES("21")), -973932308);
    assert_int_equal((int32_t)murmur2(BYTES("abc")), 479470107);
    assert_int_equal((int32_t)murmur2(BYTES("foobar")), -790332482);
    assert_int_equal((int32_t)murmur2(BYTES("a-little-bit-long-string")), -985981536);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_same_bytes), cmocka_unit_test(windows_fold),
        cmocka_unit_test(every_record_decodes), cmocka_unit_test(exams_end_in_a_rush),
        cmocka_unit_test(one_partition_alone),  cmocka_unit_test(segments_are_read),
        cmocka_unit_test(murmur2_is_javas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
