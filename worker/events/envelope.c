#include "worker/events/envelope.h"

#include "common/json.h"

#include <limits.h>
#include <strings.h>

#define TRACEPARENT_BYTES_MAX 128 /* version 00 has 55; room for later ones */

/* ------------------------------------------------------------------------------------ headers */

enum header_name {
    HEADER_CONTENT_TYPE,
    HEADER_SPECVERSION,
    HEADER_ID,
    HEADER_SOURCE,
    HEADER_TYPE,
    HEADER_DATA_BASE64,
    HEADER_TRACEPARENT,
    HEADER_CE_TRACEPARENT,
    HEADER_COUNT
};

static const struct bytes header_names[HEADER_COUNT] = {
    [HEADER_CONTENT_TYPE] = { "content-type", 12 },
    [HEADER_SPECVERSION] = { "ce_specversion", 14 },
    [HEADER_ID] = { "ce_id", 5 },
    [HEADER_SOURCE] = { "ce_source", 9 },
    [HEADER_TYPE] = { "ce_type", 7 },
    [HEADER_DATA_BASE64] = { "ce_data_base64", 14 },
    [HEADER_TRACEPARENT] = { "traceparent", 11 },
    [HEADER_CE_TRACEPARENT] = { "ce_traceparent", 14 },
};

#define BIT(name) (1u << (name))

struct headers {
    struct bytes values[HEADER_COUNT]; /* the first of each name; absent when its value is null */
    unsigned seen;
    unsigned twice;
    bool cloud_event; /* there is a ce_ header, known or not */
};

static void headers_read(const struct record *record, struct headers *ret)
{
    *ret = (struct headers){ .seen = 0 };
    for (size_t i = 0; i < record->header_count; i++) {
        ret->cloud_event |= bytes_starts_with(record->headers[i].name, BYTES("ce_"));
        for (unsigned name = 0; name < HEADER_COUNT; name++) {
            if (!bytes_equal(record->headers[i].name, header_names[name]))
                continue;
            ret->twice |= ret->seen & BIT(name);
            if ((ret->seen & BIT(name)) == 0)
                ret->values[name] = record->headers[i].value;
            ret->seen |= BIT(name);
        }
    }
}

static bool starts_with_ignoring_case(struct bytes text, struct bytes prefix)
{
    return text.len >= prefix.len && strncasecmp(text.ptr, prefix.ptr, prefix.len) == 0;
}

static enum form form_of(const struct headers *headers)
{
    if (starts_with_ignoring_case(headers->values[HEADER_CONTENT_TYPE],
                                  BYTES("application/cloudevents")))
        return FORM_STRUCTURED;
    return headers->cloud_event ? FORM_BINARY : FORM_BARE;
}

/* Of the formats of CloudEvents only JSON is read here, and no batch of them. */
static bool is_json_format(struct bytes content_type)
{
    const struct bytes json = BYTES("application/cloudevents+json");
    if (!starts_with_ignoring_case(content_type, json))
        return false;
    char next = content_type.len == json.len ? ';' : content_type.ptr[json.len];
    return next == ';' || next == ' ' || next == '\t';
}

/* Trace contexts are passed on into headers; what could not be one is better dropped. */
static struct bytes checked_traceparent(struct bytes text)
{
    if (text.len == 0 || text.len > TRACEPARENT_BYTES_MAX)
        return BYTES_NONE;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
            return BYTES_NONE;
    return text;
}

static struct bytes traceparent_of(const struct headers *headers)
{
    struct bytes plain = headers->values[HEADER_TRACEPARENT];
    return bytes_present(plain) ? plain : headers->values[HEADER_CE_TRACEPARENT];
}

/* ------------------------------------------------------------------------------ the JSON forms */

enum member_name {
    MEMBER_TYPE,
    MEMBER_ID,
    MEMBER_DATA,
    MEMBER_DATA_BASE64,
    MEMBER_SPECVERSION,
    MEMBER_SOURCE,
    MEMBER_TRACEPARENT,
    MEMBER_COUNT
};

static const struct bytes member_names[MEMBER_COUNT] = {
    [MEMBER_TYPE] = { "type", 4 },
    [MEMBER_ID] = { "id", 2 },
    [MEMBER_DATA] = { "data", 4 },
    [MEMBER_DATA_BASE64] = { "data_base64", 11 },
    [MEMBER_SPECVERSION] = { "specversion", 11 },
    [MEMBER_SOURCE] = { "source", 6 },
    [MEMBER_TRACEPARENT] = { "traceparent", 11 },
};

/* A text member of the envelope. */
static bool take_text(struct reader *reader, struct bytes value, const char *name,
                      enum reason wrong, struct bytes *ret)
{
    if (json_kind(value) != JSON_KIND_STRING)
        return refuse(reader, wrong, "%s is not a string", name);
    if (json_read_string(value, reader->arena, ret))
        return true;
    reader->no_memory = true;
    return false;
}

/* What a CloudEvent in JSON must have beside type, id and data. */
static bool check_structured(struct reader *reader, const struct bytes *values)
{
    for (unsigned name = 0; name < MEMBER_COUNT; name++)
        if ((name == MEMBER_TYPE || name == MEMBER_ID || name == MEMBER_SPECVERSION ||
             name == MEMBER_SOURCE) &&
            !bytes_present(values[name]))
            return refuse(reader, REASON_ENVELOPE, "%s is missing or null in the CloudEvent",
                          member_names[name].ptr);
    struct bytes text;
    if (!take_text(reader, values[MEMBER_SPECVERSION], "specversion", REASON_ENVELOPE, &text))
        return false;
    if (!bytes_equal(text, BYTES("1.0")))
        return refuse(reader, REASON_ENVELOPE, "specversion is not 1.0");
    if (!take_text(reader, values[MEMBER_SOURCE], "source", REASON_ENVELOPE, &text))
        return false;
    if (text.len == 0)
        return refuse(reader, REASON_ENVELOPE, "source is empty");
    return true;
}

static bool open_json(struct reader *reader, const struct headers *headers, struct bytes value,
                      struct envelope *ret)
{
    if (json_kind(value) != JSON_KIND_OBJECT)
        return refuse(reader, REASON_JSON, "the value is not a JSON object");
    struct bytes values[MEMBER_COUNT];
    find_members(reader, value, member_names, MEMBER_COUNT, values);
    /* Null is no better here: whoever writes the name means the other encoding. */
    if (bytes_present(values[MEMBER_DATA_BASE64]))
        return refuse(reader, REASON_ENVELOPE, "data_base64 is not accepted, only data");
    drop_nulls(values, MEMBER_COUNT);
    if (ret->form == FORM_STRUCTURED && !check_structured(reader, values))
        return false;
    for (unsigned name = MEMBER_TYPE; name <= MEMBER_DATA; name++)
        if (!bytes_present(values[name]))
            return refuse(reader, REASON_MISSING, "%s is missing or null", member_names[name].ptr);
    if (!take_text(reader, values[MEMBER_TYPE], "type", REASON_TYPE, &ret->type) ||
        !take_text(reader, values[MEMBER_ID], "id", REASON_UUID, &ret->id))
        return false;
    ret->data = values[MEMBER_DATA];
    ret->traceparent = traceparent_of(headers);
    if (!bytes_present(ret->traceparent) &&
        json_kind(values[MEMBER_TRACEPARENT]) == JSON_KIND_STRING)
        ret->traceparent = json_unquote(values[MEMBER_TRACEPARENT]);
    return true;
}

/* ----------------------------------------------------------------------------- the binary form */

static bool open_binary(struct reader *reader, const struct headers *headers, struct bytes value,
                        struct envelope *ret)
{
    if ((headers->seen & BIT(HEADER_DATA_BASE64)) != 0)
        return refuse(reader, REASON_ENVELOPE, "data_base64 is not accepted, only data");
    for (unsigned name = HEADER_SPECVERSION; name <= HEADER_TYPE; name++) {
        if (!bytes_present(headers->values[name]))
            return refuse(reader, REASON_ENVELOPE, "the header %s is missing or null",
                          header_names[name].ptr);
        if ((headers->twice & BIT(name)) != 0)
            return refuse(reader, REASON_ENVELOPE, "the header %s comes twice",
                          header_names[name].ptr);
    }
    if (!bytes_equal(headers->values[HEADER_SPECVERSION], BYTES("1.0")))
        return refuse(reader, REASON_ENVELOPE, "ce_specversion is not 1.0");
    if (headers->values[HEADER_SOURCE].len == 0)
        return refuse(reader, REASON_ENVELOPE, "ce_source is empty");
    ret->type = headers->values[HEADER_TYPE];
    ret->id = headers->values[HEADER_ID];
    ret->data = value;
    ret->traceparent = traceparent_of(headers);
    return true;
}

/* --------------------------------------------------------------------------------------- both */

/* An envelope of JSON adds one level around data. */
static struct json_rules rules_for(const struct decode_limits *limits, enum form form)
{
    return (struct json_rules){
        .depth_max = limits->depth_max + (form == FORM_BINARY ? 0 : 1),
        .digits_max = limits->number_digits_max,
        .exponent_max = limits->number_exponent_max,
        .hash_seed = { limits->hash_seed[0], limits->hash_seed[1] },
    };
}

static bool check_text(struct reader *reader, struct bytes value, enum form form)
{
    struct json_rules rules = rules_for(reader->limits, form);
    size_t at = 0;
    switch (json_check_marking(value, &rules, &reader->marks, &at)) {
    case JSON_SOUND:
        return true;
    case JSON_NO_MEMORY:
        reader->no_memory = true;
        return false;
    case JSON_SYNTAX:
        return refuse(reader, REASON_JSON, "the value is not JSON (byte %zu)", at);
    case JSON_UTF8:
        return refuse(reader, REASON_UTF8, "the value is not UTF-8");
    case JSON_DUPLICATE_KEY:
        return refuse(reader, REASON_DUPLICATE_KEY, "a key comes twice in one object (byte %zu)",
                      at);
    case JSON_DEPTH:
        return refuse(reader, REASON_DEPTH, "data is nested deeper than %u levels (byte %zu)",
                      reader->limits->depth_max, at);
    case JSON_NUMBER:
        return refuse(reader, REASON_NUMBER,
                      "a number has more than %u digits or an exponent beyond %u (byte %zu)",
                      reader->limits->number_digits_max, reader->limits->number_exponent_max, at);
    case JSON_TOO_LONG:
        break;
    }
    return refuse(reader, REASON_LIMITS, "the value is too long to be read");
}

bool envelope_open(struct reader *reader, struct envelope *ret)
{
    const struct record *record = reader->record;
    if (!bytes_present(record->value))
        return refuse(reader, REASON_TOMBSTONE, "the record has no value (a tombstone)");
    if (json_is_blank(record->value))
        return refuse(reader, REASON_EMPTY, "the value is empty");
    if (record->value.len > reader->limits->value_bytes_max)
        return refuse(reader, REASON_LIMITS, "the value has %zu bytes, more than %zu",
                      record->value.len, reader->limits->value_bytes_max);
    struct headers headers;
    headers_read(record, &headers);
    ret->form = form_of(&headers);
    if ((headers.twice & BIT(HEADER_CONTENT_TYPE)) != 0)
        return refuse(reader, REASON_ENVELOPE, "the header content-type comes twice");
    if (ret->form == FORM_STRUCTURED && !is_json_format(headers.values[HEADER_CONTENT_TYPE]))
        return refuse(reader, REASON_ENVELOPE,
                      "of the formats of CloudEvents only application/cloudevents+json is read");
    if (!check_text(reader, record->value, ret->form))
        return false;
    struct bytes value = json_trim(record->value);
    bool opened = ret->form == FORM_BINARY ? open_binary(reader, &headers, value, ret)
                                           : open_json(reader, &headers, value, ret);
    if (opened)
        ret->traceparent = checked_traceparent(ret->traceparent);
    return opened;
}

/* ------------------------------------------------------------------------------------- salvage */

/* A member that is there exactly once, or absent: of two ids neither is the one. */
static struct bytes find_only(struct bytes object, struct bytes name)
{
    struct bytes found = BYTES_NONE;
    if (json_kind(object) != JSON_KIND_OBJECT)
        return found;
    struct json_cursor cursor = json_open(object);
    struct json_member member;
    while (json_next_member(&cursor, &member)) {
        if (!json_key_is(&member, name))
            continue;
        if (bytes_present(found))
            return BYTES_NONE;
        found = member.value;
    }
    return found;
}

static bool salvage_uuid(struct bytes value, struct uuid *ret)
{
    char room[UUID_TEXT_LEN * 6]; /* each character may be escaped */
    size_t len = 0;
    if (json_kind(value) != JSON_KIND_STRING)
        return false;
    struct bytes raw = json_unquote(value);
    return raw.len <= sizeof room && json_unescape(raw, room, &len) &&
           uuid_parse((struct bytes){ room, len }, ret);
}

void envelope_salvage(const struct record *record, const struct decode_limits *limits,
                      struct refusal *refusal)
{
    struct headers headers;
    headers_read(record, &headers);
    refusal->traceparent = checked_traceparent(traceparent_of(&headers));
    enum form form = form_of(&headers);
    if (form == FORM_BINARY && (headers.twice & BIT(HEADER_ID)) == 0)
        refusal->has_event_id = uuid_parse(headers.values[HEADER_ID], &refusal->event_id);
    /* Whatever can be walked at all: its numbers, depth and keys do not matter here. */
    struct json_rules rules = {
        .depth_max = JSON_DEPTH_CEILING,
        .digits_max = UINT_MAX,
        .exponent_max = UINT_MAX,
        .duplicates = true,
        .hash_seed = { limits->hash_seed[0], limits->hash_seed[1] },
    };
    if (!bytes_present(record->value) || json_check(record->value, &rules, NULL) != JSON_SOUND)
        return;
    struct bytes data = record->value;
    if (form != FORM_BINARY) {
        refusal->has_event_id =
            salvage_uuid(find_only(record->value, member_names[MEMBER_ID]), &refusal->event_id);
        data = find_only(record->value, member_names[MEMBER_DATA]);
    }
    refusal->has_attempt_id =
        salvage_uuid(find_only(data, BYTES("attempt_id")), &refusal->attempt_id);
}
