#include "worker/simulate/poison.h"

#include "worker/simulate/content.h"

#define BARE(type, data)   "{\"type\":\"" type "\",\"id\":\"$E\",\"data\":" data "}"
#define SAVED(members)     BARE("attempt.saved.v1", "{\"attempt_id\":\"$A\"," members "}")
#define SAVED_OK           "\"expected_version\":1,\"saved_at\":\"$T\""
#define SUBMITTED(members) BARE("attempt.submitted.v1", "{\"attempt_id\":\"$A\"," members "}")
#define STARTED(members)   BARE("attempt.started.v1", "{\"attempt_id\":\"$A\"," members "}")
#define ACTIVITY(events)                                                                           \
    BARE("attempt.activity.v1", "{\"attempt_id\":\"$A\",\"events\":" events "}")
#define ACTIVITY_OK "\"event_id\":\"$E\",\"event_type\":\"tab_blurred\",\"occurred_at\":\"$T\""

enum shape {
    PLAIN,      /* the key is the attempt's, no headers */
    BINARY,     /* a CloudEvent of type attempt.saved.v1 in binary form */
    STRUCTURED, /* content-type says CloudEvents */
    NO_KEY,
    OTHER_KEY,
    TOMBSTONE,
};

/*
 * $A attempt, $U the same in upper case, $X exam, $S student, $E event, $O a stranger; $T a time;
 * $J a version too far ahead; $L 300 letters; $N 1,100 digits; $D 40 nested arrays; $B a byte that
 * is no UTF-8.
 */
static const struct entry {
    enum reason reason;
    enum topic topic;
    enum shape shape;
    const char *note;
    const char *value;
} catalogue[] = {
#define W TOPIC_WRITES
#define A TOPIC_ACTIVITY
    { REASON_EMPTY, W, PLAIN, "no bytes at all", "" },
    { REASON_TOMBSTONE, W, TOMBSTONE, "no value", "" },
    { REASON_TOMBSTONE, A, TOMBSTONE, "no value", "" },
    { REASON_JSON, W, PLAIN, "cut off", "{\"type\":\"attempt.saved.v1\",\"id\":\"$E\",\"data\":{" },
    { REASON_JSON, W, PLAIN, "not JSON", "answers=B&student=4711" },
    { REASON_JSON, W, BINARY, "bytes after the end", "{\"attempt_id\":\"$A\"," SAVED_OK "} {}" },
    { REASON_JSON, A, PLAIN, "a trailing comma", ACTIVITY("[{" ACTIVITY_OK "},]") },
    { REASON_UTF8, W, PLAIN, "a byte that is no UTF-8",
      SAVED(SAVED_OK ",\"answers\":{\"q1\":\"$B\"}") },
    { REASON_DUPLICATE_KEY, W, PLAIN, "one answer twice",
      SAVED(SAVED_OK ",\"answers\":{\"q1\":1,\"q\\u0031\":2}") },
    { REASON_DUPLICATE_KEY, W, BINARY, "one member twice",
      "{\"attempt_id\":\"$A\"," SAVED_OK ",\"expected_version\":2}" },
    { REASON_LIMITS, W, PLAIN, "the name of an answer is too long",
      SAVED(SAVED_OK ",\"answers\":{\"$L\":1}") },
    { REASON_LIMITS, A, PLAIN, "event_type is too long",
      ACTIVITY("[{\"event_id\":\"$E\",\"event_type\":\"$L\",\"occurred_at\":\"$T\"}]") },
    { REASON_DEPTH, W, PLAIN, "too deep", SAVED(SAVED_OK ",\"answers\":{\"q1\":$D}") },
    { REASON_NUMBER, W, PLAIN, "an enormous exponent",
      SAVED(SAVED_OK ",\"answers\":{\"q1\":1e5000}") },
    { REASON_NUMBER, W, PLAIN, "more digits than anybody needs",
      SAVED(SAVED_OK ",\"answers\":{\"q1\":$N}") },
    { REASON_TIME, W, PLAIN, "the 30th of February",
      SAVED("\"expected_version\":1,\"saved_at\":\"2026-02-30T10:00:00Z\"") },
    { REASON_TIME, W, PLAIN, "no zone",
      SUBMITTED("\"expected_version\":1,\"submitted_at\":\"2026-02-03T10:00:00\"") },
    { REASON_TIME, A, PLAIN, "a date word",
      ACTIVITY("[{\"event_id\":\"$E\",\"event_type\":\"x\",\"occurred_at\":\"now\"}]") },
    { REASON_UUID, W, PLAIN, "upper-case attempt id",
      BARE("attempt.saved.v1", "{\"attempt_id\":\"$U\"," SAVED_OK "}") },
    { REASON_UUID, W, PLAIN, "the nil UUID",
      STARTED(
          "\"exam_id\":\"00000000-0000-0000-0000-000000000000\",\"student_id\":\"$S\",\"started_at\":\"$T\"") },
    { REASON_MISSING, W, PLAIN, "no saved_at",
      SAVED("\"expected_version\":1,\"answers\":{\"q1\":\"B\"}") },
    { REASON_MISSING, W, PLAIN, "student_id is null",
      STARTED("\"exam_id\":\"$X\",\"student_id\":null,\"started_at\":\"$T\"") },
    { REASON_MISSING, A, PLAIN, "no event_type",
      ACTIVITY("[{\"event_id\":\"$E\",\"occurred_at\":\"$T\"}]") },
    { REASON_JSON, W, PLAIN, "answers is a list", SAVED(SAVED_OK ",\"answers\":[\"B\"]") },
    { REASON_TIME, W, PLAIN, "saved_at is a number",
      SAVED("\"expected_version\":1,\"saved_at\":1760000000") },
    { REASON_TYPE, W, PLAIN, "nobody knows this type",
      BARE("attempt.paused.v1", "{\"attempt_id\":\"$A\"}") },
    { REASON_TYPE, A, PLAIN, "a save among the activity", SAVED(SAVED_OK) },
    { REASON_VERSION, W, PLAIN, "expected_version 0",
      SAVED("\"expected_version\":0,\"saved_at\":\"$T\"") },
    { REASON_VERSION, W, PLAIN, "expected_version with a fraction",
      SAVED("\"expected_version\":1.5,\"saved_at\":\"$T\"") },
    { REASON_VERSION, W, PLAIN, "expected_version 2^63 - 1",
      SUBMITTED("\"expected_version\":9223372036854775807,\"submitted_at\":\"$T\"") },
    { REASON_VERSION_JUMP, W, PLAIN, "far ahead of the row",
      SAVED("\"expected_version\":$J,\"saved_at\":\"$T\"") },
    { REASON_VERSION_JUMP, W, PLAIN, "a submit far ahead of the row",
      SUBMITTED("\"expected_version\":$J,\"submitted_at\":\"$T\"") },
    { REASON_KEY, W, NO_KEY, "no key", SAVED(SAVED_OK) },
    { REASON_KEY, W, OTHER_KEY, "another attempt's key", SAVED(SAVED_OK) },
    { REASON_KEY, A, OTHER_KEY, "another attempt's key", ACTIVITY("[{" ACTIVITY_OK "}]") },
    { REASON_ENVELOPE, W, STRUCTURED, "specversion 0.3",
      "{\"specversion\":\"0.3\",\"id\":\"$E\",\"source\":\"/x\",\"type\":\"attempt.saved.v1\",\"data\":{\"attempt_id\":\"$A\"," SAVED_OK
      "}}" },
    { REASON_ENVELOPE, W, STRUCTURED, "data_base64",
      "{\"specversion\":\"1.0\",\"id\":\"$E\",\"source\":\"/x\",\"type\":\"attempt.saved.v1\",\"data_base64\":\"e30=\"}" },
    { REASON_START_CONFLICT, W, PLAIN, "another student",
      STARTED("\"exam_id\":\"$X\",\"student_id\":\"$O\",\"started_at\":\"$T\"") },
#undef W
#undef A
};

#define CATALOGUE (sizeof catalogue / sizeof catalogue[0])

size_t poison_count(void)
{
    return CATALOGUE;
}

enum reason poison_reason(size_t number)
{
    return catalogue[number % CATALOGUE].reason;
}

const char *poison_note(size_t number)
{
    return catalogue[number % CATALOGUE].note;
}

bool poison_needs_start(size_t number)
{
    return poison_reason(number) == REASON_START_CONFLICT;
}

void poison_init(struct poison *poison)
{
    *poison = (struct poison){ 0 };
    buf_init(&poison->key, 128);
    buf_init(&poison->value, 16384);
}

void poison_release(struct poison *poison)
{
    buf_release(&poison->key);
    buf_release(&poison->value);
}

static void put_uuid(struct buf *out, const struct uuid *id, bool upper)
{
    char text[UUID_TEXT_LEN + 1];
    uuid_format(id, text);
    for (char *c = text; upper && *c != '\0'; c++) {
        if (*c >= 'a' && *c <= 'f')
            *c = (char)(*c - 'a' + 'A');
    }
    buf_put(out, bytes_of(text));
}

static void put_times(struct buf *out, char c, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        buf_put_char(out, c);
}

static void put_time(struct buf *out, int64_t at_us)
{
    struct buf quoted;
    buf_init(&quoted, 64);
    content_put_time(&quoted, at_us, 0);
    if (quoted.len > 2)
        buf_put(out, (struct bytes){ quoted.ptr + 1, quoted.len - 2 });
    buf_release(&quoted);
}

static void fill_in(struct buf *out, char what, const struct poison_facts *facts)
{
    switch (what) {
    case 'A':
    case 'U':
        put_uuid(out, &facts->attempt_id, what == 'U');
        break;
    case 'X':
        put_uuid(out, &facts->exam_id, false);
        break;
    case 'S':
        put_uuid(out, &facts->student_id, false);
        break;
    case 'E':
        put_uuid(out, &facts->event_id, false);
        break;
    case 'O':
        put_uuid(out, &facts->stranger, false);
        break;
    case 'T':
        put_time(out, facts->at_us);
        break;
    case 'J':
        buf_put_int(out, facts->version_far_ahead);
        break;
    case 'L':
        put_times(out, 'x', 300);
        break;
    case 'N':
        put_times(out, '7', 1100);
        break;
    case 'D':
        put_times(out, '[', 40);
        put_times(out, ']', 40);
        break;
    default:
        buf_put_char(out, (char)0xff);
    }
}

static size_t put_headers(struct poison *poison, enum shape shape, struct bytes event_id)
{
    struct header *at = poison->headers;
    if (shape == STRUCTURED)
        *at++ = (struct header){ BYTES("content-type"), BYTES("application/cloudevents+json") };
    if (shape == BINARY) {
        *at++ = (struct header){ BYTES("ce_specversion"), BYTES("1.0") };
        *at++ = (struct header){ BYTES("ce_id"), event_id };
        *at++ = (struct header){ BYTES("ce_source"), BYTES("/attemptd/simulate") };
        *at++ = (struct header){ BYTES("ce_type"), BYTES("attempt.saved.v1") };
    }
    return (size_t)(at - poison->headers);
}

bool poison_make(struct poison *poison, size_t number, const struct poison_facts *facts,
                 struct record *ret)
{
    const struct entry *entry = &catalogue[number % CATALOGUE];
    struct buf *out = &poison->value;
    buf_clear(out);
    for (const char *c = entry->value; *c != '\0'; c++) {
        if (*c == '$')
            fill_in(out, *++c, facts);
        else
            buf_put_char(out, *c);
    }
    /* The key, and behind it the event id, which a header of the binary form borrows. */
    buf_clear(&poison->key);
    bool other = entry->shape == OTHER_KEY;
    put_uuid(&poison->key, other ? &facts->stranger : &facts->attempt_id, false);
    size_t key_len = poison->key.len;
    put_uuid(&poison->key, &facts->event_id, false);
    if (out->failed || poison->key.failed)
        return false;
    struct bytes id = { poison->key.ptr + key_len, poison->key.len - key_len };
    *ret = (struct record){
        .tp = { entry->topic, -1 },
        .key = entry->shape == NO_KEY ? BYTES_NONE : (struct bytes){ poison->key.ptr, key_len },
        .value = entry->shape == TOMBSTONE ? BYTES_NONE : buf_bytes(out),
        .headers = poison->headers,
        .header_count = put_headers(poison, entry->shape, id),
    };
    return true;
}
