#include "worker/events/message.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ATTEMPT "018f2a3b-4c5d-7e6f-8a9b-0c1d2e3f4a5b"
#define EVENT   "018f2a3b-4c5d-7e6f-8a9b-0c1d2e3f4a5c"
#define NOON    INT64_C(1795262400000000)

static struct uuid uuid_of(const char *text)
{
    struct uuid uuid;
    assert_true(uuid_parse(bytes_of(text), &uuid));
    return uuid;
}

static void assert_text(struct buf *buf, const char *expected)
{
    assert_false(buf->failed);
    buf_put_char(buf, '\0');
    assert_string_equal(buf->ptr, expected);
    buf_clear(buf);
}

static void test_message_invalidation_of_attempt(void **state)
{
    (void)state;
    struct buf key;
    struct buf buf;
    buf_init(&key, 256);
    buf_init(&buf, 4096);
    struct uuid attempt = uuid_of(ATTEMPT);
    cache_key_attempt(&key, &attempt);
    const struct invalidation invalidation = { .key = buf_bytes(&key),
                                               .scope = SCOPE_KEY,
                                               .has_version = true,
                                               .version = 7,
                                               .has_revision = true,
                                               .revision = 9,
                                               .has_exam = true,
                                               .exam_id = uuid_of(EVENT),
                                               .committed_at_us = NOON,
                                               .ttl_hint_s = 30 };
    message_invalidation(&buf, &invalidation);
    assert_text(&buf, "{\"key\":\"attempt:" ATTEMPT "\",\"scope\":\"key\",\"version\":7,"
                      "\"revision\":9,\"exam_id\":\"" EVENT "\","
                      "\"committed_at\":\"2026-11-21T12:00:00.000000Z\",\"ttl_hint_s\":30}");
    message_id_of_revision(&buf, buf_bytes(&key), 9);
    assert_text(&buf, "attempt:" ATTEMPT "@9");
    buf_release(&key);
    buf_release(&buf);
}

static void test_message_invalidation_without_numbers(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 4096);
    const struct invalidation all = {
        .key = BYTES(CACHE_KEY_ALL), .scope = SCOPE_ALL, .committed_at_us = NOON, .ttl_hint_s = 30
    };
    message_invalidation(&buf, &all);
    assert_text(&buf, "{\"key\":\"all\",\"scope\":\"all\",\"version\":null,\"revision\":null,"
                      "\"exam_id\":null,\"committed_at\":\"2026-11-21T12:00:00.000000Z\","
                      "\"ttl_hint_s\":30}");
    const struct place place = { "x.attempt.writes", 3, 1, 99 };
    struct uuid exam = uuid_of(EVENT);
    struct buf key;
    buf_init(&key, 256);
    cache_key_exam_stats(&key, &exam);
    message_id_of_key(&buf, buf_bytes(&key), &place);
    assert_text(&buf, "exam:" EVENT ":stats@x.attempt.writes/3/1/99");
    buf_release(&key);
    buf_release(&buf);
}

/* A view's name comes from a record's key: anything may be in it. */
static void test_message_escapes(void **state)
{
    (void)state;
    struct buf key;
    struct buf buf;
    buf_init(&key, 256);
    buf_init(&buf, 4096);
    cache_key_view(&key, BYTES("a\"\\\n\x01\xff"));
    const struct invalidation view = {
        .key = buf_bytes(&key), .scope = SCOPE_VIEW, .has_revision = true, .revision = 2
    };
    message_invalidation(&buf, &view);
    assert_text(&buf, "{\"key\":\"view:a\\\"\\\\\\n\\u0001\xef\xbf\xbd\",\"scope\":\"view\","
                      "\"version\":null,\"revision\":2,\"exam_id\":null,"
                      "\"committed_at\":\"1970-01-01T00:00:00.000000Z\",\"ttl_hint_s\":0}");
    buf_release(&key);
    buf_release(&buf);
}

static void test_message_outcome_of_submit(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 4096);
    const struct outcome_facts facts = { .has_attempt_id = true,
                                         .has_event_id = true,
                                         .attempt_id = uuid_of(ATTEMPT),
                                         .event_id = uuid_of(EVENT),
                                         .outcome = OUTCOME_APPLIED,
                                         .has_version = true,
                                         .version = 8,
                                         .has_missing = true,
                                         .missing = 2,
                                         .receipt = BYTES("abc="),
                                         .place = { "attempt.writes", 5, 1, 1234 },
                                         .committed_at_us = NOON };
    message_outcome(&buf, &facts);
    assert_text(&buf, "{\"attempt_id\":\"" ATTEMPT "\",\"event_id\":\"" EVENT "\","
                      "\"outcome\":\"applied\",\"version\":8,\"reason\":null,\"missing\":2,"
                      "\"receipt\":\"abc=\",\"topic\":\"attempt.writes\",\"partition\":5,"
                      "\"record_offset\":1234,\"committed_at\":\"2026-11-21T12:00:00.000000Z\"}");
    message_id_of_record(&buf, &facts.place);
    assert_text(&buf, "attempt.writes/5/1/1234");
    buf_release(&buf);
}

/* No record: nothing but the submission itself can name it. */
static void test_message_outcome_of_submit_by_sql(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 4096);
    const struct outcome_facts facts = { .has_attempt_id = true,
                                         .attempt_id = uuid_of(ATTEMPT),
                                         .outcome = OUTCOME_APPLIED,
                                         .has_version = true,
                                         .version = 8,
                                         .has_missing = true,
                                         .committed_at_us = NOON };
    message_outcome(&buf, &facts);
    assert_text(&buf, "{\"attempt_id\":\"" ATTEMPT "\",\"event_id\":null,"
                      "\"outcome\":\"applied\",\"version\":8,\"reason\":null,\"missing\":0,"
                      "\"receipt\":null,\"topic\":null,\"partition\":null,"
                      "\"record_offset\":null,\"committed_at\":\"2026-11-21T12:00:00.000000Z\"}");
    message_id_of_submission(&buf, &facts.attempt_id, facts.version);
    assert_text(&buf, "submission:" ATTEMPT "@8");
    buf_release(&buf);
}

static void test_message_outcome_of_dead_record(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 4096);
    const struct outcome_facts facts = { .outcome = OUTCOME_DEAD,
                                         .reason = bytes_of(reason_name(REASON_DUPLICATE_KEY)),
                                         .place = { "attempt.writes", 0, 1, 0 },
                                         .committed_at_us = NOON };
    message_outcome(&buf, &facts);
    assert_text(&buf, "{\"attempt_id\":null,\"event_id\":null,\"outcome\":\"dead\","
                      "\"version\":null,\"reason\":\"duplicate_key\",\"missing\":null,"
                      "\"receipt\":null,\"topic\":\"attempt.writes\",\"partition\":0,"
                      "\"record_offset\":0,\"committed_at\":\"2026-11-21T12:00:00.000000Z\"}");
    buf_release(&buf);
}

static void test_message_ceiling_is_sticky(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 40);
    const struct invalidation all = { .key = BYTES(CACHE_KEY_ALL), .scope = SCOPE_ALL };
    message_invalidation(&buf, &all);
    assert_true(buf.failed);
    buf_release(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message_invalidation_of_attempt),
        cmocka_unit_test(test_message_invalidation_without_numbers),
        cmocka_unit_test(test_message_escapes),
        cmocka_unit_test(test_message_outcome_of_submit),
        cmocka_unit_test(test_message_outcome_of_submit_by_sql),
        cmocka_unit_test(test_message_outcome_of_dead_record),
        cmocka_unit_test(test_message_ceiling_is_sticky),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
