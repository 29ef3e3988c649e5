#include "worker/events/decode.h"

#include "common/hash.h"
#include "common/json.h"
#include "worker/events/envelope.h"
#include "worker/events/reader.h"

struct decode_limits decode_limits_default(void)
{
    struct decode_limits limits = {
        .value_bytes_max = 1024 * 1024,
        .depth_max = 32,
        .answer_keys_max = 5000,
        .name_bytes_max = 256,
        .activity_events_max = 1000,
        .number_digits_max = 1000,
        .number_exponent_max = 1000,
    };
    hash_seed(limits.hash_seed);
    return limits;
}

/* ---------------------------------------------------------------------------------------- type */

static const struct {
    struct bytes name;
    enum event_type type;
    enum topic topic;
} event_types[] = {
    { { "attempt.saved.v1", 16 }, EVENT_SAVED, TOPIC_WRITES },
    { { "attempt.submitted.v1", 20 }, EVENT_SUBMITTED, TOPIC_WRITES },
    { { "attempt.started.v1", 18 }, EVENT_STARTED, TOPIC_WRITES },
    { { "attempt.activity.v1", 19 }, EVENT_ACTIVITY, TOPIC_ACTIVITY },
    { { "view.refresh.requested.v1", 25 }, EVENT_REFRESH, TOPIC_REFRESH },
};

static bool read_type(struct reader *reader, struct bytes name, enum event_type *ret)
{
    for (size_t i = 0; i < sizeof event_types / sizeof event_types[0]; i++) {
        if (!bytes_equal(name, event_types[i].name))
            continue;
        if (event_types[i].topic != reader->record->tp.topic)
            return refuse(reader, REASON_TYPE, "%s does not belong in this topic",
                          event_types[i].name.ptr);
        *ret = event_types[i].type;
        return true;
    }
    return refuse(reader, REASON_TYPE, "the event type is not known");
}

/* ------------------------------------------------------------------------------------ the data */

/* The attempt id comes first in each list of names. Kafka partitions by the key's bytes, so the key
 * must be the id's one spelling. */
static bool read_attempt_id(struct reader *reader, struct bytes value, struct uuid *ret)
{
    struct bytes text;
    if (!read_uuid_text(reader, value, "attempt_id", ret, &text))
        return false;
    if (!bytes_equal(reader->record->key, text))
        return refuse(reader, REASON_KEY, "the record's key is not data.attempt_id");
    return true;
}

static bool decode_started(struct reader *reader, struct event *event)
{
    static const struct bytes names[] = { { "attempt_id", 10 },
                                          { "exam_id", 7 },
                                          { "student_id", 10 },
                                          { "started_at", 10 },
                                          { "deadline_at", 11 } };
    struct bytes values[5];
    struct started *started = &event->started;
    *started = (struct started){ .has_deadline = false };
    read_members(reader, event->data, names, 5, values);
    if (!read_attempt_id(reader, values[0], &event->attempt_id) ||
        !read_uuid(reader, values[1], "exam_id", &started->exam_id) ||
        !read_uuid(reader, values[2], "student_id", &started->student_id) ||
        !read_time(reader, values[3], "started_at", &started->started_at_us))
        return false;
    started->has_deadline = bytes_present(values[4]);
    return !started->has_deadline ||
           read_time(reader, values[4], "deadline_at", &started->deadline_at_us);
}

static bool check_answers(struct reader *reader, struct bytes answers)
{
    const struct decode_limits *limits = reader->limits;
    const struct json_mark *mark = json_mark_of(&reader->marks, answers.ptr);
    /* Escapes only make a key shorter, so this settles nearly every event; the rest is counted. */
    if (mark != NULL && mark->members <= limits->answer_keys_max && mark->key_min > 0 &&
        mark->key_max <= limits->name_bytes_max)
        return true;
    struct json_cursor cursor = json_open(answers);
    struct json_member member;
    size_t count = 0;
    while (json_next_member(&cursor, &member)) {
        size_t len = member.key_escaped ? json_unescaped_len(member.key) : member.key.len;
        if (len == 0 || len > limits->name_bytes_max)
            return refuse_member(reader, REASON_LIMITS, "answers",
                                 "has a key of %zu bytes; 1 to %zu are allowed", len,
                                 limits->name_bytes_max);
        if (++count > limits->answer_keys_max)
            return refuse_member(reader, REASON_LIMITS, "answers", "has more than %zu keys",
                                 limits->answer_keys_max);
    }
    return true;
}

/* A save or a submit: they differ in the name of their time alone. */
static bool decode_write(struct reader *reader, struct event *event)
{
    const bool submit = event->type == EVENT_SUBMITTED;
    const struct bytes time_name = submit ? BYTES("submitted_at") : BYTES("saved_at");
    const struct bytes names[] = { { "attempt_id", 10 },
                                   { "expected_version", 16 },
                                   { "answers", 7 },
                                   { "auto_save_data", 14 },
                                   time_name };
    struct bytes values[5];
    struct attempt_write *write = &event->write;
    read_members(reader, event->data, names, 5, values);
    if (!read_attempt_id(reader, values[0], &event->attempt_id) ||
        !read_version(reader, values[1], "expected_version", &write->expected_version) ||
        !read_time(reader, values[4], time_name.ptr, &write->at_us) ||
        !read_optional_object(reader, values[2], "answers", &write->answers) ||
        !read_optional_object(reader, values[3], "auto_save_data", &write->auto_save_data))
        return false;
    return !bytes_present(write->answers) || check_answers(reader, write->answers);
}

static bool decode_item(struct reader *reader, struct bytes element, struct activity *ret)
{
    static const struct bytes names[] = {
        { "event_id", 8 }, { "event_type", 10 }, { "payload", 7 }, { "occurred_at", 11 }
    };
    struct bytes values[4];
    if (json_kind(element) != JSON_KIND_OBJECT)
        return refuse(reader, REASON_JSON, "data.events[%zu] is not an object", reader->element);
    read_members(reader, element, names, 4, values);
    ret->payload = values[2];
    return read_uuid(reader, values[0], "event_id", &ret->event_id) &&
           read_name(reader, values[1], "event_type", &ret->event_type) &&
           read_time(reader, values[3], "occurred_at", &ret->occurred_at_us);
}

static bool decode_items(struct reader *reader, struct bytes events, size_t count,
                         struct activity *items)
{
    struct json_cursor cursor = json_open(events);
    struct bytes element;
    reader->has_element = true;
    for (size_t i = 0; i < count && json_next_element(&cursor, &element); i++) {
        reader->element = i;
        if (!decode_item(reader, element, &items[i]))
            return false;
    }
    return true;
}

static bool decode_activity(struct reader *reader, struct event *event)
{
    static const struct bytes names[] = { { "attempt_id", 10 }, { "events", 6 } };
    struct bytes values[2];
    read_members(reader, event->data, names, 2, values);
    if (!read_attempt_id(reader, values[0], &event->attempt_id))
        return false;
    if (!bytes_present(values[1]))
        return refuse_member(reader, REASON_MISSING, "events", "is missing or null");
    if (json_kind(values[1]) != JSON_KIND_ARRAY)
        return refuse_member(reader, REASON_JSON, "events", "is not an array");
    size_t count = 0;
    struct json_cursor cursor = json_open(values[1]);
    struct bytes element;
    while (count <= reader->limits->activity_events_max && json_next_element(&cursor, &element))
        count++;
    if (count == 0)
        return refuse_member(reader, REASON_LIMITS, "events", "is empty");
    if (count > reader->limits->activity_events_max)
        return refuse_member(reader, REASON_LIMITS, "events", "has more than %zu events",
                             reader->limits->activity_events_max);
    struct activity *items = arena_calloc(reader->arena, count, sizeof *items);
    if (items == NULL) {
        reader->no_memory = true;
        return false;
    }
    event->activity.items = items;
    event->activity.count = count;
    return decode_items(reader, values[1], count, items);
}

/* The view is named by the key, by data.view, or by both alike. */
static bool decode_refresh(struct reader *reader, struct event *event)
{
    static const struct bytes names[] = { { "view", 4 } };
    const struct bytes key = reader->record->key;
    struct bytes *view = &event->refresh.view_name;
    struct bytes value;
    read_members(reader, event->data, names, 1, &value);
    if (key.len == 0)
        return read_name(reader, value, "view", view);
    if (key.len > reader->limits->name_bytes_max || memchr(key.ptr, '\0', key.len) != NULL ||
        !json_is_utf8(key))
        return refuse(reader, REASON_KEY, "the record's key cannot be the name of a view");
    if (bytes_present(value)) {
        if (!read_name(reader, value, "view", view))
            return false;
        if (!bytes_equal(*view, key))
            return refuse(reader, REASON_KEY, "the record's key is not data.view");
    }
    *view = key;
    return true;
}

static bool decode_data(struct reader *reader, struct event *event)
{
    switch (event->type) {
    case EVENT_STARTED:
        return decode_started(reader, event);
    case EVENT_SAVED:
    case EVENT_SUBMITTED:
        return decode_write(reader, event);
    case EVENT_ACTIVITY:
        return decode_activity(reader, event);
    case EVENT_REFRESH:
        return decode_refresh(reader, event);
    }
    return refuse(reader, REASON_TYPE, "the event type is not known");
}

/* ------------------------------------------------------------------------------------- the whole
 */

static bool decode_event(struct reader *reader, struct event *event)
{
    struct envelope envelope;
    if (!envelope_open(reader, &envelope) || !read_type(reader, envelope.type, &event->type))
        return false;
    if (!uuid_parse(envelope.id, &event->event_id))
        return refuse(reader, REASON_UUID,
                      "id is not a UUID in canonical lower-case form (nor may it be nil)");
    if (json_kind(envelope.data) != JSON_KIND_OBJECT)
        return refuse(reader, REASON_JSON, "data is not an object");
    event->data = envelope.data;
    event->traceparent = envelope.traceparent;
    return decode_data(reader, event);
}

enum decode_result decode(const struct record *record, const struct decode_limits *limits,
                          struct arena *arena, struct event *ret_event, struct refusal *ret_refusal)
{
    struct refusal refusal;
    struct event event = { .type = EVENT_SAVED };
    struct reader reader = {
        .record = record, .limits = limits, .arena = arena, .refusal = &refusal
    };
    if (decode_event(&reader, &event)) {
        *ret_event = event;
        return DECODE_EVENT;
    }
    if (reader.no_memory)
        return DECODE_NO_MEMORY;
    refusal.has_event_id = refusal.has_attempt_id = false;
    envelope_salvage(record, limits, &refusal);
    *ret_refusal = refusal;
    return DECODE_DEAD;
}
