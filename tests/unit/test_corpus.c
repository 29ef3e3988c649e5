/*
 * The corpus of schemas/examples against the decoder: each file says what becomes of its record.
 * tests/schemas/agree.py holds a stock JSON Schema validator to the same files. Run from the
 * repository's root.
 */
#include "common/hash.h"
#include "common/rng.h"
#include "tests/unit/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct verdict {
    const char *reason; /* NULL: an event */
    const char *detail;
    const char *type;
    const struct uuid *event_id; /* NULL: none */
    const struct uuid *attempt_id;
};

static struct verdict verdict_of(enum decode_result result, const struct event *event,
                                 const struct refusal *refusal)
{
    if (result == DECODE_EVENT)
        return (struct verdict){ .type = event_type_name(event->type),
                                 .event_id = &event->event_id,
                                 .attempt_id =
                                     event->type == EVENT_REFRESH ? NULL : &event->attempt_id };
    if (result == DECODE_NO_MEMORY)
        return (struct verdict){ .reason = "no memory" };
    return (struct verdict){ .reason = reason_name(refusal->reason),
                             .detail = refusal->detail,
                             .event_id = refusal->has_event_id ? &refusal->event_id : NULL,
                             .attempt_id = refusal->has_attempt_id ? &refusal->attempt_id : NULL };
}

static bool same_text(const char *a, const char *b)
{
    return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

static bool same_id(const json_t *expected, const struct uuid *id)
{
    char text[UUID_TEXT_LEN + 1];
    return expected == NULL ||
           same_text(json_string_value(expected), id == NULL ? NULL : uuid_format(id, text));
}

/* Beside the words of the fixture: a refusal has a sentence, and its reason names the folder. */
static bool agrees(const char *path, const struct fixture *fixture, const struct verdict *verdict)
{
    char folder[64];
    (void)snprintf(folder, sizeof folder, "/invalid/%s/", fixture->reason ? fixture->reason : "");
    if (fixture->reason == NULL ? strstr(path, "/valid/") == NULL : strstr(path, folder) == NULL)
        return false;
    if (verdict->reason != NULL && (verdict->detail == NULL || verdict->detail[0] == '\0'))
        return false;
    return same_text(fixture->reason, verdict->reason) && same_text(fixture->type, verdict->type) &&
           same_id(fixture->event_id, verdict->event_id) &&
           same_id(fixture->attempt_id, verdict->attempt_id);
}

static void check_fixture(const char *path, void *self)
{
    size_t *failures = self;
    struct fixture fixture;
    if (!fixture_load(path, &fixture)) {
        (*failures)++;
        return;
    }
    struct decode_limits limits = decode_limits_default();
    struct arena arena;
    struct event event;
    struct refusal refusal;
    arena_init(&arena, 65536, 0);
    enum decode_result result = decode(&fixture.record, &limits, &arena, &event, &refusal);
    struct verdict verdict = verdict_of(result, &event, &refusal);
    if (!agrees(path, &fixture, &verdict)) {
        (*failures)++;
        (void)fprintf(stderr, "%s: decoder says %s (%s), event id %s, attempt id %s\n", path,
                      verdict.reason ? verdict.reason : verdict.type,
                      verdict.detail ? verdict.detail : "", verdict.event_id ? "read" : "none",
                      verdict.attempt_id ? "read" : "none");
    }
    arena_release(&arena);
    fixture_release(&fixture);
}

static void test_corpus_valid(void **state)
{
    (void)state;
    size_t failures = 0;
    assert_true(fixtures_below("schemas/examples/valid", check_fixture, &failures) > 30);
    assert_int_equal(failures, 0);
}

static void test_corpus_invalid(void **state)
{
    (void)state;
    size_t failures = 0;
    assert_true(fixtures_below("schemas/examples/invalid", check_fixture, &failures) > 200);
    assert_int_equal(failures, 0);
}

/* ------------------------------------------------------------------------------- mutations */

#define MUTANTS         40
#define MUTANT_SIZE_MAX 4096

struct mutation {
    struct rng rng;
    size_t events;
};

static void mutate(struct rng *rng, char *value, size_t *len)
{
    static const char bytes[] = "{}[]\",:\\u0123456789abcdefnrtE.-+ \n\x01\x80\xc3\xed\xff";
    for (uint64_t n = 1 + rng_below(rng, 3); n > 0 && *len > 1; n--) {
        size_t at = (size_t)rng_below(rng, *len);
        if (rng_below(rng, 2) == 0) {
            value[at] = bytes[rng_below(rng, sizeof bytes - 1)];
            continue;
        }
        memmove(value + at, value + at + 1, *len - at - 1);
        --*len;
    }
}

/* Whatever comes, the decoder answers, reads nothing beyond the value, and lets an event pass only
 * under its own key and with data that another reader of JSON can read. */
static void decode_mutant(struct fixture *fixture, struct mutation *mutation)
{
    struct bytes original = fixture->record.value;
    size_t len = original.len;
    char *value = malloc(len);
    assert_non_null(value);
    memcpy(value, original.ptr, len);
    mutate(&mutation->rng, value, &len);
    value = realloc(value, len);
    fixture->record.value = (struct bytes){ value, len };
    struct decode_limits limits = decode_limits_default();
    struct arena arena;
    struct event event;
    struct refusal refusal;
    arena_init(&arena, 4096, 0);
    if (decode(&fixture->record, &limits, &arena, &event, &refusal) == DECODE_EVENT) {
        char text[UUID_TEXT_LEN + 1];
        assert_true(
            event.type == EVENT_REFRESH ||
            bytes_equal(bytes_of(uuid_format(&event.attempt_id, text)), fixture->record.key));
        json_error_t error;
        json_t *data = json_loadb(event.data.ptr, event.data.len, JSON_REJECT_DUPLICATES, &error);
        assert_true(json_is_object(data) || json_error_code(&error) == json_error_numeric_overflow);
        json_decref(data);
        mutation->events++;
    }
    arena_release(&arena);
    free(value);
    fixture->record.value = original;
}

static void mutate_fixture(const char *path, void *self)
{
    struct fixture fixture;
    assert_true(fixture_load(path, &fixture));
    size_t len = fixture.record.value.len;
    for (unsigned i = 0; len > 1 && len < MUTANT_SIZE_MAX && i < MUTANTS; i++)
        decode_mutant(&fixture, self);
    fixture_release(&fixture);
}

static void test_corpus_mutated(void **state)
{
    (void)state;
    struct mutation mutation = { .rng = { 82 } };
    (void)fixtures_below("schemas/examples/valid", mutate_fixture, &mutation);
    (void)fixtures_below("schemas/examples/invalid", mutate_fixture, &mutation);
    assert_true(mutation.events > 100);
}

int main(void)
{
    if (!hash_init())
        return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_corpus_valid),
        cmocka_unit_test(test_corpus_invalid),
        cmocka_unit_test(test_corpus_mutated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
