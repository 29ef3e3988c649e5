/*
 * The decoder on its own: what the corpus (test_corpus.c) cannot say, such as the values that come
 * out, the ids in a refusal, and a full arena.
 */
#include "common/hash.h"
#include "worker/events/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ATTEMPT "018f2a3b-4c5d-7e6f-8a9b-0c1d2e3f4a5b"
#define EVENT   "018f2a3b-4c5d-7e6f-8a9b-0c1d2e3f4a5c"
#define SAVE                                                                                       \
    "{\"type\":\"attempt.saved.v1\",\"id\":\"" EVENT "\",\"data\":{\"attempt_id\":\"" ATTEMPT      \
    "\",\"expected_version\":6,\"answers\":{\"q7\":\"B\",\"q8\":null},"                            \
    "\"auto_save_data\":{\"progress\":50},\"saved_at\":\"2026-11-21T12:00:00Z\"}}"

struct decoded {
    struct arena arena;
    enum decode_result result;
    struct event event;
    struct refusal refusal;
};

static void decode_text(struct decoded *d, enum topic topic, const char *key, const char *value)
{
    struct decode_limits limits = decode_limits_default();
    struct record record = { .tp = { .topic = topic },
                             .key = bytes_of(key),
                             .value = bytes_of(value) };
    arena_init(&d->arena, 4096, 0);
    d->result = decode(&record, &limits, &d->arena, &d->event, &d->refusal);
}

static void test_decode_bare_save(void **state)
{
    (void)state;
    struct decoded d;
    decode_text(&d, TOPIC_WRITES, ATTEMPT, SAVE);
    assert_int_equal(d.result, DECODE_EVENT);
    assert_int_equal(d.event.type, EVENT_SAVED);
    assert_int_equal(d.event.write.expected_version, 6);
    assert_true(bytes_equal(d.event.write.answers, BYTES("{\"q7\":\"B\",\"q8\":null}")));
    assert_true(bytes_equal(d.event.write.auto_save_data, BYTES("{\"progress\":50}")));
    assert_int_equal(d.event.write.at_us, 1795262400000000);
    assert_int_equal(d.arena.used_bytes, 0);
    arena_release(&d.arena);
}

int main(void)
{
    if (!hash_init())
        return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_bare_save),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
