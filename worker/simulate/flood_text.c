#include "worker/simulate/flood_text.h"

#include "common/rng.h"
#include "worker/simulate/content.h"

#include <string.h>

#define EVENT_US      100 /* between two events, by their own clock */
#define EXAM_ATTEMPTS 250 /* of one exam */
#define DEADLINE_US   7200000000
#define CHANGED_KEYS  3
#define BARE_BYTES    79 /* of the envelope around `data` in the bare form */

void flood_text_init(struct flood_text *text, const struct flood_options *options)
{
    *text = (struct flood_text){ .options = options };
    buf_init(&text->data, 1 << 20);
    wrap_init(&text->wrap, 1 << 20);
}

void flood_text_release(struct flood_text *text)
{
    buf_release(&text->data);
    wrap_release(&text->wrap);
}

struct uuid flood_attempt_id(const struct flood_options *options, uint32_t attempt)
{
    return content_uuid(options->seed, CONTENT_ATTEMPT, attempt, 0);
}

struct uuid flood_exam_id(const struct flood_options *options, uint32_t attempt)
{
    return content_uuid(options->seed, CONTENT_EXAM, attempt / EXAM_ATTEMPTS, 0);
}

struct uuid flood_student_id(const struct flood_options *options, uint32_t attempt)
{
    return content_uuid(options->seed, CONTENT_STUDENT, attempt, 0);
}

/* ----------------------------------------------------------------------------------- content */

static void put_digits(char *at, unsigned digits, uint64_t value)
{
    for (; digits > 0; value /= 10)
        at[--digits] = (char)('0' + value % 10);
}

/* "q07":{"choice":"B","at":1767225600123,"ms":4512,"tries":3} */
static void put_answer(struct buf *out, struct rng *rng, unsigned question, int64_t at_ms)
{
    static const char form[] =
        "\"q00\":{\"choice\":\"A\",\"at\":0000000000000,\"ms\":1000,\"tries\":1}";
    enum { QUESTION = 2, CHOICE = 17, AT = 25, MS = 44, TRIES = 57 };
    char *at = buf_extend(out, sizeof form - 1);
    if (at == NULL)
        return;
    uint64_t random = rng_next(rng);
    memcpy(at, form, sizeof form - 1);
    put_digits(at + QUESTION, 2, question);
    at[CHOICE] = (char)('A' + random % 5);
    put_digits(at + AT, 13, (uint64_t)at_ms);
    put_digits(at + MS, 4, 1000 + random / 5 % 9000);
    at[TRIES] = (char)('1' + random / 45000 % 4);
}

static void put_answers(struct buf *out, struct rng *rng, unsigned first, unsigned count,
                        int64_t at_ms)
{
    for (unsigned i = 0; i < count; i++) {
        buf_put_char(out, i == 0 ? '{' : ',');
        put_answer(out, rng, 1 + (first + i) % FLOOD_QUESTIONS, at_ms + i);
    }
    buf_put_char(out, '}');
}

void flood_put_document(const struct flood_options *options, uint32_t attempt, struct buf *answers)
{
    struct rng rng = content_rng(options->seed, attempt, UINT64_MAX);
    put_answers(answers, &rng, 0, FLOOD_QUESTIONS, options->begin_us / 1000 - 3600000);
}

static void put_member(struct buf *out, struct bytes name)
{
    buf_put(out, out->len == 0 ? BYTES("{\"") : BYTES(",\""));
    buf_put(out, name);
    buf_put(out, BYTES("\":"));
}

static void put_started(struct flood_text *text, const struct flood_event *event, int64_t at_us)
{
    struct buf *out = &text->data;
    struct uuid exam = flood_exam_id(text->options, event->attempt);
    struct uuid student = flood_student_id(text->options, event->attempt);
    put_member(out, BYTES("exam_id"));
    content_put_uuid(out, &exam);
    put_member(out, BYTES("student_id"));
    content_put_uuid(out, &student);
    put_member(out, BYTES("started_at"));
    content_put_time(out, at_us, 0);
    put_member(out, BYTES("deadline_at"));
    content_put_time(out, at_us + DEADLINE_US, 0);
}

/* auto_save_data comes last and is as long as is needed for a value of the right size. */
static void put_write(struct flood_text *text, const struct flood_event *event, int64_t at_us)
{
    struct buf *out = &text->data;
    struct rng rng = content_rng(text->options->seed, event->attempt, event->serial);
    put_member(out, BYTES("expected_version"));
    buf_put_int(out, event->expected);
    put_member(out, BYTES("answers"));
    put_answers(out, &rng, (unsigned)rng_below(&rng, FLOOD_QUESTIONS), CHANGED_KEYS, at_us / 1000);
    put_member(out, event->type == EVENT_SAVED ? BYTES("saved_at") : BYTES("submitted_at"));
    content_put_time(out, at_us, 0);
    put_member(out, BYTES("auto_save_data"));
    buf_put(out, BYTES("{\"progress\":"));
    buf_put_int(out, (int64_t)(10 + rng_below(&rng, 90)));
    buf_put(out, BYTES(",\"view\":\""));
    enum { CLOSING = 3 };
    size_t full = FLOOD_VALUE_BYTES - BARE_BYTES - CLOSING;
    for (uint64_t random = rng_next(&rng); out->len < full && !out->failed; random /= 36)
        buf_put_char(out, "0123456789abcdefghijklmnopqrstuvwxyz"[random % 36]);
    buf_put(out, BYTES("\"}"));
}

static void put_activity(struct flood_text *text, const struct flood_event *event, int64_t at_us)
{
    struct buf *out = &text->data;
    struct rng rng = content_rng(text->options->seed, event->attempt, event->serial);
    put_member(out, BYTES("events"));
    for (unsigned i = 0; i < FLOOD_ACTIVITY_EVENTS; i++) {
        struct uuid id = content_uuid(text->options->seed, CONTENT_ACTIVITY, event->serial, i);
        buf_put(out, i == 0 ? BYTES("[{\"event_id\":") : BYTES(",{\"event_id\":"));
        content_put_uuid(out, &id);
        buf_put_char(out, ',');
        content_put_activity(out, &rng, FLOOD_QUESTIONS);
        buf_put(out, BYTES(",\"occurred_at\":"));
        content_put_time(out, at_us + i, 0);
        buf_put_char(out, '}');
    }
    buf_put_char(out, ']');
}

/* ------------------------------------------------------------------------------------ record */

bool flood_text_render(struct flood_text *text, const struct flood_event *event, struct record *ret)
{
    const struct flood_options *options = text->options;
    int64_t at_us = options->begin_us + (int64_t)event->serial * EVENT_US;
    struct uuid attempt = flood_attempt_id(options, event->attempt);
    struct uuid id = content_uuid(options->seed, CONTENT_EVENT, event->serial, 0);
    struct buf *out = &text->data;
    buf_clear(out);
    put_member(out, BYTES("attempt_id"));
    content_put_uuid(out, &attempt);
    if (event->type == EVENT_STARTED)
        put_started(text, event, at_us);
    else if (event->type == EVENT_ACTIVITY)
        put_activity(text, event, at_us);
    else
        put_write(text, event, at_us);
    buf_put_char(out, '}');
    *ret = (struct record){ .tp = event->tp, .timestamp_ms = at_us / 1000 };
    ret->key = bytes_of(uuid_format(&attempt, text->key));
    struct wrapping wrapping = { .form = options->form,
                                 .type = bytes_of(event_type_name(event->type)),
                                 .id = bytes_of(uuid_format(&id, text->id)),
                                 .source = BYTES("/attemptd/bench"),
                                 .data = buf_bytes(out),
                                 .traceparent = BYTES_NONE };
    return wrap_event(&text->wrap, &wrapping, ret) && !out->failed;
}
