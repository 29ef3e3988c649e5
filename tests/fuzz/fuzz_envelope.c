/*
 * The envelope: any headers and key around any value. The decoder says the same twice; and an event
 * that it takes in one form is the same event when it is put into each of the three.
 */
#include "tests/fuzz/slices.h"
#include "worker/events/decode.h"
#include "worker/events/wrap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEADERS_MAX 8
#define ID          "018f2a3b-4c5d-7e6f-8a9b-0c1d2e3f0001"
#define ATTEMPT     "018f2a3b-4c5d-7e6f-8a9b-0c1d2e3f4a5b"

static const char *const names[] = { "content-type",   "ce_specversion", "ce_id",
                                     "ce_source",      "ce_type",        "ce_data_base64",
                                     "traceparent",    "ce_traceparent", "ce_extension",
                                     "ce_specversion", "ce_id" };
static const char *const values[] = { "application/cloudevents+json",
                                      "application/json",
                                      "1.0",
                                      ID,
                                      "/fuzz",
                                      "attempt.saved.v1",
                                      "attempt.submitted.v1",
                                      "attempt.started.v1",
                                      "attempt.activity.v1",
                                      "view.refresh.requested.v1" };

static void read_headers(struct slices *slices, struct header *headers, size_t *ret_count)
{
    *ret_count = slices_choice(slices, HEADERS_MAX + 1);
    for (size_t i = 0; i < *ret_count; i++) {
        unsigned name = slices_choice(slices, 13);
        unsigned value = slices_choice(slices, 13);
        headers[i].name = name < 11 ? bytes_of(names[name]) : slices_bytes(slices, 40);
        headers[i].value = value < 10    ? bytes_of(values[value])
                           : value == 10 ? BYTES_NONE
                                         : slices_bytes(slices, 200);
    }
}

static struct bytes read_key(struct slices *slices)
{
    switch (slices_choice(slices, 4)) {
    case 0:
        return BYTES(ATTEMPT);
    case 1:
        return BYTES_NONE;
    default:
        return slices_bytes(slices, 64);
    }
}

static bool same_event(const struct event *a, const struct event *b)
{
    if (a->type != b->type || memcmp(&a->event_id, &b->event_id, sizeof a->event_id) != 0 ||
        !bytes_equal(a->data, b->data))
        return false;
    if (a->type == EVENT_REFRESH)
        return bytes_equal(a->refresh.view_name, b->refresh.view_name);
    if (memcmp(&a->attempt_id, &b->attempt_id, sizeof a->attempt_id) != 0)
        return false;
    if (a->type == EVENT_ACTIVITY)
        return a->activity.count == b->activity.count;
    return a->type == EVENT_STARTED ? a->started.started_at_us == b->started.started_at_us
                                    : a->write.expected_version == b->write.expected_version &&
                                          a->write.at_us == b->write.at_us &&
                                          bytes_equal(a->write.answers, b->write.answers);
}

static const char *type_of(const struct event *event)
{
    static const char *const types[] = {
        [EVENT_STARTED] = "attempt.started.v1",        [EVENT_SAVED] = "attempt.saved.v1",
        [EVENT_SUBMITTED] = "attempt.submitted.v1",    [EVENT_ACTIVITY] = "attempt.activity.v1",
        [EVENT_REFRESH] = "view.refresh.requested.v1",
    };
    return types[event->type];
}

static void check_forms(const struct record *record, const struct decode_limits *limits,
                        const struct event *event, struct arena *arena)
{
    char id[UUID_TEXT_LEN + 1];
    for (int form = WRAP_BINARY; form <= WRAP_BARE; form++) {
        struct wrap wrap;
        struct record other = *record;
        struct event again;
        struct refusal refusal;
        struct wrapping wrapping = { .form = (enum wrap_form)form,
                                     .type = bytes_of(type_of(event)),
                                     .id = bytes_of(uuid_format(&event->event_id, id)),
                                     .source = BYTES("/fuzz"),
                                     .data = event->data };
        wrap_init(&wrap, 1 << 20);
        if (!wrap_event(&wrap, &wrapping, &other) ||
            decode(&other, limits, arena, &again, &refusal) != DECODE_EVENT ||
            !same_event(event, &again))
            abort();
        wrap_release(&wrap);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slices slices = slices_of(data, size);
    struct header headers[HEADERS_MAX];
    struct record record = { .headers = headers };
    record.tp.topic = (enum topic)slices_choice(&slices, TOPIC_COUNT);
    read_headers(&slices, headers, &record.header_count);
    record.key = read_key(&slices);
    record.value = slices_choice(&slices, 16) == 15 ? BYTES_NONE : slices_bytes(&slices, SIZE_MAX);
    struct decode_limits limits = decode_limits_default();
    limits.answer_keys_max = 20;
    limits.activity_events_max = 10;
    struct arena arena;
    struct event event;
    struct refusal refusal = { .reason = REASON_NONE }, second = { .reason = REASON_NONE };
    arena_init(&arena, 4096, 0);
    enum decode_result result = decode(&record, &limits, &arena, &event, &refusal);
    if (result == DECODE_NO_MEMORY ||
        (result == DECODE_DEAD && (refusal.reason == REASON_NONE || refusal.detail[0] == '\0')))
        abort();
    if (result == DECODE_EVENT)
        check_forms(&record, &limits, &event, &arena);
    else if (decode(&record, &limits, &arena, &event, &second) != DECODE_DEAD ||
             refusal.reason != second.reason || refusal.has_event_id != second.has_event_id ||
             refusal.has_attempt_id != second.has_attempt_id)
        abort();
    arena_release(&arena);
    slices_release(&slices);
    return 0;
}
