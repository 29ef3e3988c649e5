#include "worker/simulate/render.h"

#include <inttypes.h>
#include <stdio.h>

/* Kinds of numbers, so that a save and an activity record of one student never share an id. */
#define ACTIVITY_NUMBERS ((uint64_t)1 << 40)
#define START_NUMBER     ((uint64_t)1 << 41)
#define POISON_NUMBERS   ((uint64_t)1 << 42)

void render_init(struct render *render, const struct exam_options *options)
{
    *render = (struct render){ .options = options };
    buf_init(&render->data, 1 << 20);
    wrap_init(&render->wrap, 1 << 20);
    poison_init(&render->poison);
}

void render_release(struct render *render)
{
    buf_release(&render->data);
    wrap_release(&render->wrap);
    poison_release(&render->poison);
}

static uint64_t number_of(const struct intent *intent)
{
    switch (intent->kind) {
    case EXAM_STARTED:
        return START_NUMBER;
    case EXAM_ACTIVITY:
        return ACTIVITY_NUMBERS + intent->number;
    case EXAM_POISON:
        return POISON_NUMBERS + intent->number;
    default:
        return intent->number;
    }
}

static int64_t time_of(const struct render *render, const struct intent *intent)
{
    return render->options->begin_us + intent->at_ms * 1000;
}

static struct uuid exam_of(const struct render *render, uint32_t student)
{
    return exam_id_of(render->options, student % render->options->exams);
}

static void put_started(struct render *render, const struct intent *intent, struct rng *rng)
{
    struct buf *out = &render->data;
    struct uuid exam = exam_of(render, intent->student);
    struct uuid student = content_uuid(render->options->seed, CONTENT_STUDENT, intent->student, 0);
    buf_put(out, BYTES(",\"exam_id\":"));
    content_put_uuid(out, &exam);
    buf_put(out, BYTES(",\"student_id\":"));
    content_put_uuid(out, &student);
    buf_put(out, BYTES(",\"started_at\":"));
    content_put_time(out, time_of(render, intent), rng_next(rng));
    if (rng_below(rng, 10) == 0)
        return; /* an exam without a deadline */
    buf_put(out, BYTES(",\"deadline_at\":"));
    content_put_time(out, render->options->begin_us + render->options->duration_ms * 1000, 0);
}

static void put_write(struct render *render, const struct intent *intent, struct rng *rng)
{
    struct buf *out = &render->data;
    bool submit = intent->kind == EXAM_SUBMITTED;
    buf_put(out, BYTES(",\"expected_version\":"));
    buf_put_int(out, intent->expected);
    if (!submit || rng_below(rng, 2) == 0) {
        buf_put(out, BYTES(",\"answers\":"));
        content_put_answers(out, rng, render->options->questions);
    }
    if (rng_below(rng, 4) == 0) {
        buf_put(out, BYTES(",\"auto_save_data\":{\"progress\":"));
        buf_put_int(out, (int64_t)rng_below(rng, 101));
        buf_put(out, BYTES(",\"scroll\":"));
        buf_put_int(out, (int64_t)rng_below(rng, 4000));
        buf_put_char(out, '}');
    }
    buf_put(out, submit ? BYTES(",\"submitted_at\":") : BYTES(",\"saved_at\":"));
    content_put_time(out, time_of(render, intent), rng_next(rng));
}

static unsigned put_activity(struct render *render, const struct intent *intent, struct rng *rng)
{
    struct buf *out = &render->data;
    unsigned events = 1 + (unsigned)rng_below(rng, 5);
    buf_put(out, BYTES(",\"events\":["));
    for (unsigned i = 0; i < events; i++) {
        struct uuid id = content_uuid(render->options->seed, CONTENT_ACTIVITY, intent->student,
                                      (uint64_t)intent->number << 8 | i);
        buf_put(out, i == 0 ? BYTES("{\"event_id\":") : BYTES(",{\"event_id\":"));
        content_put_uuid(out, &id);
        buf_put_char(out, ',');
        content_put_activity(out, rng, render->options->questions);
        buf_put(out, BYTES(",\"occurred_at\":"));
        content_put_time(out, time_of(render, intent) + 1000 * (int64_t)i, rng_next(rng));
        buf_put_char(out, '}');
    }
    buf_put_char(out, ']');
    return events;
}

static bool render_poison(struct render *render, const struct intent *intent,
                          struct exam_record *ret)
{
    uint64_t seed = render->options->seed;
    struct poison_facts facts = {
        .attempt_id = content_uuid(seed, CONTENT_ATTEMPT, intent->student, 0),
        .exam_id = exam_of(render, intent->student),
        .student_id = content_uuid(seed, CONTENT_STUDENT, intent->student, 0),
        .event_id = content_uuid(seed, CONTENT_EVENT, intent->student, number_of(intent)),
        .stranger = content_uuid(seed, CONTENT_STUDENT, intent->number, 1),
        .version_far_ahead = intent->expected,
        .at_us = time_of(render, intent),
    };
    return poison_make(&render->poison, intent->number, &facts, &ret->record);
}

static bool render_event(struct render *render, const struct intent *intent,
                         struct exam_record *ret)
{
    static const char *const types[] = { "attempt.started.v1", "attempt.saved.v1",
                                         "attempt.submitted.v1", "attempt.activity.v1" };
    uint64_t seed = render->options->seed, number = number_of(intent);
    struct rng rng = content_rng(seed, intent->student, number);
    struct uuid attempt = content_uuid(seed, CONTENT_ATTEMPT, intent->student, 0);
    struct uuid event = content_uuid(seed, CONTENT_EVENT, intent->student, number);
    uuid_format(&attempt, render->key);
    uuid_format(&event, render->id);
    struct buf *out = &render->data;
    buf_clear(out);
    buf_put(out, BYTES("{\"attempt_id\":"));
    content_put_uuid(out, &attempt);
    if (intent->kind == EXAM_STARTED)
        put_started(render, intent, &rng);
    else if (intent->kind == EXAM_ACTIVITY)
        ret->activity_events = put_activity(render, intent, &rng);
    else
        put_write(render, intent, &rng);
    buf_put_char(out, '}');
    if (out->failed)
        return false;

    uint64_t form = rng_below(&rng, 10);
    struct wrapping wrapping = {
        .form = form < 6   ? WRAP_BINARY
                : form < 8 ? WRAP_STRUCTURED
                           : WRAP_BARE,
        .type = bytes_of(types[intent->kind]),
        .id = { render->id, UUID_TEXT_LEN },
        .source = BYTES("/attemptd/simulate"),
        .data = buf_bytes(out),
        .traceparent = BYTES_NONE,
    };
    if (rng_below(&rng, 8) == 0) {
        uint64_t trace = rng_next(&rng) | 1;
        int len =
            snprintf(render->traceparent, sizeof render->traceparent,
                     "00-%016" PRIx64 "%016" PRIx64 "-%016" PRIx64 "-01", trace, trace, trace);
        wrapping.traceparent = (struct bytes){ render->traceparent, (size_t)len };
    }
    bool activity = intent->kind == EXAM_ACTIVITY;
    ret->record = (struct record){ .tp = { activity ? TOPIC_ACTIVITY : TOPIC_WRITES, -1 },
                                   .key = { render->key, UUID_TEXT_LEN } };
    return wrap_event(&render->wrap, &wrapping, &ret->record);
}

bool render(struct render *render, const struct intent *intent, struct exam_record *ret)
{
    struct exam_record record = { .kind = intent->kind,
                                  .outcome = intent->outcome,
                                  .reason = intent->reason,
                                  .gap = intent->gap,
                                  .at_ms = intent->at_ms };
    bool good = intent->kind == EXAM_POISON ? render_poison(render, intent, &record)
                                            : render_event(render, intent, &record);
    if (good)
        *ret = record;
    return good;
}
