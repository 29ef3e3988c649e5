/*
 * The decoder on its own: what the corpus (test_corpus.c) cannot say, such as the values that come
 * out, the ids in a refusal, and a full arena.
 */
#include "common/hash.h"
#include "worker/events/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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

#define TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static void decode_record(struct decoded *d, const struct record *record, size_t arena_bytes)
{
    struct decode_limits limits = decode_limits_default();
    arena_init(&d->arena, 64, arena_bytes);
    d->result = decode(record, &limits, &d->arena, &d->event, &d->refusal);
}

static void test_decode_started(void **state)
{
    (void)state;
    struct decoded d;
    decode_text(&d, TOPIC_WRITES, ATTEMPT,
                "{\"type\":\"attempt.started.v1\",\"id\":\"" EVENT
                "\",\"data\":{\"attempt_id\":\"" ATTEMPT "\",\"exam_id\":\"" EVENT
                "\",\"student_id\":\"" ATTEMPT "\",\"started_at\":\"2026-11-21T12:00:00Z\","
                "\"deadline_at\":\"2026-11-21T14:00:00+01:00\"}}");
    assert_int_equal(d.result, DECODE_EVENT);
    assert_int_equal(d.event.type, EVENT_STARTED);
    assert_true(uuid_equal(&d.event.event_id, &d.event.started.exam_id));
    assert_true(uuid_equal(&d.event.attempt_id, &d.event.started.student_id));
    assert_true(d.event.started.has_deadline);
    assert_int_equal(d.event.started.deadline_at_us - d.event.started.started_at_us, 3600000000);
    assert_false(bytes_present(d.event.traceparent));
    arena_release(&d.arena);
}

static const char activity_text[] =
    " { \"attempt_id\":\"" ATTEMPT "\",\"events\":[{\"event_id\":\"" EVENT
    "\",\"event_type\":\"tab\\u005fhidden\",\"payload\":[1, 2],"
    "\"occurred_at\":\"2026-11-21T12:00:00Z\"},{\"event_id\":\"" ATTEMPT
    "\",\"event_type\":\"x\",\"payload\":null,\"occurred_at\":\"2026-11-21T12:00:01Z\"}]} ";

static const struct header activity_headers[] = {
    { { "ce_type", 7 }, { "attempt.activity.v1", 19 } },
    { { "ce_id", 5 }, { EVENT, 36 } },
    { { "ce_source", 9 }, { "/test", 5 } },
    { { "ce_specversion", 14 }, { "1.0", 3 } },
    { { "ce_traceparent", 14 }, { "other", 5 } },
    { { "traceparent", 11 }, { TRACE, 55 } },
};

static const struct record activity_record = { .tp = { .topic = TOPIC_ACTIVITY },
                                               .key = { ATTEMPT, 36 },
                                               .value = { activity_text, sizeof activity_text - 1 },
                                               .headers = activity_headers,
                                               .header_count = 6 };

static void test_decode_activity(void **state)
{
    (void)state;
    struct decoded d;
    decode_record(&d, &activity_record, 0);
    assert_int_equal(d.result, DECODE_EVENT);
    assert_int_equal(d.event.activity.count, 2);
    const struct activity *items = d.event.activity.items;
    assert_true(bytes_equal(items[0].event_type, BYTES("tab_hidden")));
    assert_true(bytes_equal(items[0].payload, BYTES("[1, 2]")));
    assert_false(bytes_present(items[1].payload));
    assert_int_equal(items[1].occurred_at_us - items[0].occurred_at_us, 1000000);
    assert_true(bytes_equal(d.event.traceparent, BYTES(TRACE)));
    assert_int_equal(d.event.data.ptr[0], '{');
    assert_int_equal(d.event.data.len, sizeof activity_text - 3);
    arena_release(&d.arena);
}

/* Who traces a record wants to see where it ended, also when nobody could read it. */
static void test_refusal_keeps_the_trace(void **state)
{
    (void)state;
    struct decoded d;
    struct record record = activity_record;
    record.value = BYTES("{");
    decode_record(&d, &record, 0);
    assert_int_equal(d.result, DECODE_DEAD);
    assert_true(bytes_equal(d.refusal.traceparent, BYTES(TRACE)));
    arena_release(&d.arena);
    record.value = BYTES_NONE;
    record.header_count = 5;
    decode_record(&d, &record, 0);
    assert_true(bytes_equal(d.refusal.traceparent, BYTES("other")));
    arena_release(&d.arena);
    record.header_count = 4;
    decode_record(&d, &record, 0);
    assert_false(bytes_present(d.refusal.traceparent));
    arena_release(&d.arena);
}

/* A full arena is no verdict: with any ceiling the answer is "no memory" or the event. */
static void test_decode_full_arena(void **state)
{
    (void)state;
    bool fitted = false;
    for (size_t bytes = 1; bytes < 1024; bytes += 16) {
        struct decoded d;
        decode_record(&d, &activity_record, bytes);
        assert_true(d.result == DECODE_NO_MEMORY || d.result == DECODE_EVENT);
        assert_true(!fitted || d.result == DECODE_EVENT);
        fitted = d.result == DECODE_EVENT;
        arena_release(&d.arena);
    }
    assert_true(fitted);
}

static void test_decode_traceparent_of_structured(void **state)
{
    (void)state;
    static const struct {
        const char *member;
        const char *kept; /* NULL: dropped */
    } cases[] = { { "\"" TRACE "\"", TRACE },
                  { "\"two words\"", NULL },
                  { "\"\"", NULL },
                  { "5", NULL },
                  { "\"0123456789012345678901234567890123456789012345678901234567890123456789"
                    "01234567890123456789012345678901234567890123456789012345678901\"",
                    NULL } };
    const struct header header = { { "content-type", 12 }, { "application/cloudevents+json", 28 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena;
        arena_init(&arena, 1024, 0);
        struct bytes text =
            arena_format(&arena, "{\"traceparent\":%s,\"specversion\":\"1.0\",\"source\":\"x\",%s",
                         cases[i].member, &SAVE[1]);
        struct record record = {
            .key = BYTES(ATTEMPT), .value = text, .headers = &header, .header_count = 1
        };
        struct decoded d;
        decode_record(&d, &record, 0);
        assert_int_equal(d.result, DECODE_EVENT);
        assert_int_equal(bytes_present(d.event.traceparent), cases[i].kept != NULL);
        assert_true(bytes_equal(d.event.traceparent, bytes_of(cases[i].kept)));
        arena_release(&d.arena);
        arena_release(&arena);
    }
}

static void test_decode_limits_are_settable(void **state)
{
    (void)state;
    struct decode_limits limits = decode_limits_default();
    struct record record = { .key = BYTES(ATTEMPT), .value = bytes_of(SAVE) };
    struct arena arena;
    struct event event;
    struct refusal refusal;
    arena_init(&arena, 1024, 0);
    limits.value_bytes_max = record.value.len;
    limits.answer_keys_max = 2;
    limits.name_bytes_max = 2;
    limits.depth_max = 2;
    limits.number_digits_max = 2;
    assert_int_equal(decode(&record, &limits, &arena, &event, &refusal), DECODE_EVENT);
    const struct {
        size_t value_bytes, keys, name_bytes;
        unsigned depth, digits;
        enum reason reason;
    } cases[] = { { record.value.len - 1, 2, 2, 2, 2, REASON_LIMITS },
                  { record.value.len, 1, 2, 2, 2, REASON_LIMITS },
                  { record.value.len, 2, 1, 2, 2, REASON_LIMITS },
                  { record.value.len, 2, 2, 1, 2, REASON_DEPTH },
                  { record.value.len, 2, 2, 2, 1, REASON_NUMBER } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        limits.value_bytes_max = cases[i].value_bytes;
        limits.answer_keys_max = cases[i].keys;
        limits.name_bytes_max = cases[i].name_bytes;
        limits.depth_max = cases[i].depth;
        limits.number_digits_max = cases[i].digits;
        assert_int_equal(decode(&record, &limits, &arena, &event, &refusal), DECODE_DEAD);
        assert_int_equal(refusal.reason, cases[i].reason);
        assert_true(refusal.has_event_id && refusal.has_attempt_id);
    }
    arena_release(&arena);
}

/* The sentence names the member and the element, never what was in it. */
static void test_decode_details(void **state)
{
    (void)state;
    struct decoded d;
    decode_text(&d, TOPIC_ACTIVITY, ATTEMPT,
                "{\"type\":\"attempt.activity.v1\",\"id\":\"" EVENT
                "\",\"data\":{\"attempt_id\":\"" ATTEMPT "\",\"events\":[{\"event_id\":\"" EVENT
                "\",\"event_type\":\"secret\",\"occurred_at\":\"secret\"}]}}");
    assert_int_equal(d.result, DECODE_DEAD);
    assert_int_equal(d.refusal.reason, REASON_TIME);
    assert_non_null(strstr(d.refusal.detail, "data.events[0].occurred_at is not"));
    assert_null(strstr(d.refusal.detail, "secret"));
    arena_release(&d.arena);
}

/* A limit that was passed is named with its figures. */
static void test_decode_details_of_limits(void **state)
{
    (void)state;
    static const struct {
        const char *answers, *detail;
    } cases[] = {
        { "{\"\":1}", "data.answers has a key of 0 bytes; 1 to 4 are allowed" },
        { "{\"\\u00e9\\u00e9a\":1}", "data.answers has a key of 5 bytes; 1 to 4 are allowed" },
        { "{\"a\":1,\"b\":1,\"c\":1}", "data.answers has more than 2 keys" },
    };
    struct decode_limits limits = decode_limits_default();
    limits.name_bytes_max = 4;
    limits.answer_keys_max = 2;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct decoded d;
        char text[512];
        (void)snprintf(text, sizeof text,
                       "{\"type\":\"attempt.saved.v1\",\"id\":\"" EVENT
                       "\",\"data\":{\"attempt_id\":\"" ATTEMPT "\",\"expected_version\":6,"
                       "\"saved_at\":\"2026-11-21T12:00:00Z\",\"answers\":%s}}",
                       cases[i].answers);
        struct record record = { .key = BYTES(ATTEMPT), .value = bytes_of(text) };
        arena_init(&d.arena, 4096, 0);
        assert_int_equal(decode(&record, &limits, &d.arena, &d.event, &d.refusal), DECODE_DEAD);
        assert_int_equal(d.refusal.reason, REASON_LIMITS);
        assert_string_equal(d.refusal.detail, cases[i].detail);
        arena_release(&d.arena);
    }
}

/* A key so long before unescaping that all are counted one by one: as many as are allowed are. */
static void test_decode_as_many_escaped_keys_as_allowed(void **state)
{
    (void)state;
    static const char text[] =
        "{\"type\":\"attempt.saved.v1\",\"id\":\"" EVENT "\",\"data\":{\"attempt_id\":\"" ATTEMPT
        "\",\"expected_version\":6,\"saved_at\":\"2026-11-21T12:00:00Z\","
        "\"answers\":{\"\\u0061\\u0062\":1,\"c\":2}}}";
    struct decode_limits limits = decode_limits_default();
    struct record record = { .key = BYTES(ATTEMPT), .value = bytes_of(text) };
    struct decoded d;
    limits.name_bytes_max = 2;
    limits.answer_keys_max = 2;
    arena_init(&d.arena, 4096, 0);
    assert_int_equal(decode(&record, &limits, &d.arena, &d.event, &d.refusal), DECODE_EVENT);
    arena_release(&d.arena);
}

static void test_record_hash_tells_records_apart(void **state)
{
    (void)state;
    const struct record records[] = {
        { .key = BYTES("a"), .value = BYTES("bc") },
        { .key = BYTES("ab"), .value = BYTES("c") },
        { .key = BYTES("abc") },
        { .key = BYTES("abc"), .value = BYTES("") },
        { .value = BYTES("abc") },
        { .key = BYTES(""), .value = BYTES("abc") },
    };
    uint8_t hashes[6][RECORD_HASH_BYTES];
    for (size_t i = 0; i < 6; i++) {
        record_hash(&records[i], hashes[i]);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(hashes[i], hashes[j], RECORD_HASH_BYTES);
    }
    struct record moved = records[0];
    moved.offset = 99;
    uint8_t hash[RECORD_HASH_BYTES];
    record_hash(&moved, hash);
    assert_memory_equal(hash, hashes[0], RECORD_HASH_BYTES);
}

static void test_names_of_the_contract(void **state)
{
    (void)state;
    assert_string_equal(reason_name(REASON_DUPLICATE_KEY), "duplicate_key");
    assert_string_equal(reason_name(REASON_UTF8), "utf8");
    assert_string_equal(reason_name(REASON_SIGNATURE), "signature");
    for (unsigned reason = REASON_NONE; reason <= REASON_SIGNATURE; reason++)
        assert_string_not_equal(reason_name((enum reason)reason), "unknown");
    assert_string_equal(outcome_name(OUTCOME_APPLIED), "applied");
    assert_string_equal(outcome_name(OUTCOME_DEAD), "dead");
}

int main(void)
{
    if (!hash_init())
        return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_bare_save),
        cmocka_unit_test(test_decode_started),
        cmocka_unit_test(test_decode_activity),
        cmocka_unit_test(test_decode_full_arena),
        cmocka_unit_test(test_decode_traceparent_of_structured),
        cmocka_unit_test(test_refusal_keeps_the_trace),
        cmocka_unit_test(test_decode_limits_are_settable),
        cmocka_unit_test(test_decode_details),
        cmocka_unit_test(test_decode_details_of_limits),
        cmocka_unit_test(test_decode_as_many_escaped_keys_as_allowed),
        cmocka_unit_test(test_record_hash_tells_records_apart),
        cmocka_unit_test(test_names_of_the_contract),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
