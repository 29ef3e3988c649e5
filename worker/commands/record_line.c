#include "worker/commands/record_line.h"

#include "common/json.h"
#include "common/uuid.h"

#include <limits.h>
#include <sodium.h>
#include <stdlib.h>

#define LINE_LIMIT_BYTES ((size_t)64 << 20)

static const char *const topics[TOPIC_COUNT] = { "attempt.writes", "attempt.activity",
                                                 "view.refresh" };

const char *record_line_topic(enum topic topic)
{
    return topics[topic];
}

void record_line_init(struct record_line *line)
{
    *line = (struct record_line){ 0 };
    wrap_init(&line->wrap, LINE_LIMIT_BYTES);
    arena_init(&line->arena, 65536, 0);
}

void record_line_release(struct record_line *line)
{
    wrap_release(&line->wrap);
    arena_release(&line->arena);
}

/* ------------------------------------------------------------------------------------ reading */

enum member_name {
    LINE_TYPE,
    LINE_ID,
    LINE_DATA,
    LINE_TOPIC,
    LINE_KEY,
    LINE_KEY_BASE64,
    LINE_PARTITION,
    LINE_HEADERS,
    LINE_VALUE,
    LINE_VALUE_BASE64,
    LINE_COUNT
};

static const char *const member_names[LINE_COUNT] = { "type",        "id",      "data",
                                                      "topic",       "key",     "key_base64",
                                                      "partition",   "headers", "value",
                                                      "value_base64" };

struct parse {
    struct record_line *line;
    struct bytes members[LINE_COUNT]; /* raw; absent when not given */
    const char *prefix;
    struct err *err;
};

static bool has(const struct parse *parse, enum member_name name)
{
    return bytes_present(parse->members[name]);
}

static bool refuse(struct parse *parse, const char *what)
{
    (void)err_set(parse->err, ERR_REJECT, "line", "%s", what);
    return false;
}

static bool out_of_memory(struct parse *parse)
{
    (void)err_set(parse->err, ERR_RESOURCE, "ENOMEM", "out of memory");
    return false;
}

static bool text_of(struct parse *parse, struct bytes raw, const char *what, struct bytes *ret)
{
    if (json_kind(raw) != JSON_KIND_STRING) {
        (void)err_set(parse->err, ERR_REJECT, "line", "\"%s\" is not a string", what);
        return false;
    }
    return json_read_string(raw, &parse->line->arena, ret) || out_of_memory(parse);
}

static bool base64_of(struct parse *parse, enum member_name name, struct bytes *ret)
{
    struct bytes text;
    if (!text_of(parse, parse->members[name], member_names[name], &text))
        return false;
    char *bytes = arena_alloc(&parse->line->arena, text.len + 1);
    if (bytes == NULL)
        return out_of_memory(parse);
    size_t len = 0;
    if (sodium_base642bin((unsigned char *)bytes, text.len, text.ptr, text.len, NULL, &len, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return err_set(parse->err, ERR_REJECT, "line", "\"%s\" is not base64", member_names[name]);
    *ret = (struct bytes){ bytes, len };
    return true;
}

static bool find_members(struct parse *parse, struct bytes text)
{
    const struct json_rules rules = { .depth_max = JSON_DEPTH_CEILING,
                                      .digits_max = UINT_MAX,
                                      .exponent_max = UINT_MAX,
                                      .duplicates = true };
    size_t at = 0;
    if (json_check(text, &rules, &at) != JSON_SOUND)
        return err_set(parse->err, ERR_REJECT, "json", "not JSON, at byte %zu of the line", at + 1);
    if (json_kind(text) != JSON_KIND_OBJECT)
        return refuse(parse, "not a JSON object");
    struct json_cursor cursor = json_open(text);
    struct json_member member;
    while (json_next_member(&cursor, &member)) {
        for (int i = 0; i < LINE_COUNT; i++) {
            if (json_key_is(&member, bytes_of(member_names[i])))
                parse->members[i] = member.value;
        }
    }
    return true;
}

/* ------------------------------------------------------------------------------------- parts */

static bool read_topic(struct parse *parse, struct bytes type)
{
    struct bytes name = BYTES_NONE;
    if (has(parse, LINE_TOPIC)) {
        if (!text_of(parse, parse->members[LINE_TOPIC], "topic", &name))
            return false;
        struct bytes prefix = bytes_of(parse->prefix != NULL ? parse->prefix : "");
        if (bytes_starts_with(name, prefix))
            name = (struct bytes){ name.ptr + prefix.len, name.len - prefix.len };
    } else if (bytes_equal(type, BYTES("attempt.activity.v1"))) {
        name = bytes_of(topics[TOPIC_ACTIVITY]);
    } else if (bytes_equal(type, BYTES("view.refresh.requested.v1"))) {
        name = bytes_of(topics[TOPIC_REFRESH]);
    } else if (bytes_present(type)) {
        name = bytes_of(topics[TOPIC_WRITES]);
    } else {
        return refuse(parse, "neither \"type\" (an event) nor \"topic\" (a record) is there");
    }
    for (int i = 0; i < TOPIC_COUNT; i++) {
        if (bytes_equal(name, bytes_of(topics[i]))) {
            parse->line->record.tp.topic = (enum topic)i;
            return true;
        }
    }
    return refuse(parse, "\"topic\" is none of attempt.writes, attempt.activity, view.refresh");
}

static bool read_key(struct parse *parse)
{
    struct record *record = &parse->line->record;
    if (has(parse, LINE_KEY_BASE64))
        return base64_of(parse, LINE_KEY_BASE64, &record->key);
    if (has(parse, LINE_KEY)) {
        if (json_kind(parse->members[LINE_KEY]) == JSON_KIND_NULL)
            return true;
        return text_of(parse, parse->members[LINE_KEY], "key", &record->key);
    }
    if (json_kind(parse->members[LINE_DATA]) != JSON_KIND_OBJECT)
        return true;
    bool refresh = record->tp.topic == TOPIC_REFRESH;
    struct bytes id =
        json_find(parse->members[LINE_DATA], refresh ? BYTES("view") : BYTES("attempt_id"));
    if (json_kind(id) != JSON_KIND_STRING)
        return true;
    return json_read_string(id, &parse->line->arena, &record->key) || out_of_memory(parse);
}

static bool read_partition(struct parse *parse)
{
    if (!has(parse, LINE_PARTITION))
        return true;
    struct bytes raw = parse->members[LINE_PARTITION];
    int64_t value = 0;
    bool good = raw.len > 0 && raw.len < 10;
    for (size_t i = 0; i < raw.len && good; i++) {
        good = raw.ptr[i] >= '0' && raw.ptr[i] <= '9';
        value = value * 10 + (raw.ptr[i] - '0');
    }
    if (!good)
        return refuse(parse, "\"partition\" is not a partition's number");
    parse->line->record.tp.partition = (int32_t)value;
    return true;
}

static bool add_header(struct parse *parse, struct bytes name, struct bytes value,
                       struct header *ret)
{
    ret->name = name;
    ret->value = BYTES_NONE;
    return json_kind(value) == JSON_KIND_NULL || text_of(parse, value, "headers", &ret->value);
}

/* {"name":"value",...} */
static bool read_named(struct parse *parse, const struct json_member *member, struct header *ret)
{
    struct bytes name = member->key;
    if (member->key_escaped) {
        char *room = arena_alloc(&parse->line->arena, member->key.len);
        if (room == NULL || !json_unescape(member->key, room, &name.len))
            return out_of_memory(parse);
        name.ptr = room;
    }
    return add_header(parse, name, member->value, ret);
}

/* [["name","value"],...] */
static bool read_pair(struct parse *parse, struct bytes pair, struct header *ret)
{
    struct bytes name, value, text;
    if (json_kind(pair) != JSON_KIND_ARRAY)
        return refuse(parse, "\"headers\" has something that is not [\"name\",\"value\"]");
    struct json_cursor cursor = json_open(pair);
    if (!json_next_element(&cursor, &name) || !json_next_element(&cursor, &value))
        return refuse(parse, "\"headers\" has something that is not [\"name\",\"value\"]");
    return text_of(parse, name, "headers", &text) && add_header(parse, text, value, ret);
}

static bool read_headers(struct parse *parse)
{
    struct bytes raw = parse->members[LINE_HEADERS];
    if (!has(parse, LINE_HEADERS))
        return true;
    bool object = json_kind(raw) == JSON_KIND_OBJECT;
    if (!object && json_kind(raw) != JSON_KIND_ARRAY)
        return refuse(parse, "\"headers\" is neither an object nor a list");
    struct header *headers = arena_calloc(&parse->line->arena, raw.len / 4 + 1, sizeof *headers);
    if (headers == NULL)
        return out_of_memory(parse);
    size_t count = 0;
    struct json_cursor cursor = json_open(raw);
    struct json_member member;
    struct bytes element;
    while (object && json_next_member(&cursor, &member)) {
        if (!read_named(parse, &member, &headers[count++]))
            return false;
    }
    while (!object && json_next_element(&cursor, &element)) {
        if (!read_pair(parse, element, &headers[count++]))
            return false;
    }
    parse->line->record.headers = headers;
    parse->line->record.header_count = count;
    return true;
}

/* A value that was given as it is. */
static bool read_value(struct parse *parse)
{
    struct record *record = &parse->line->record;
    if (has(parse, LINE_VALUE_BASE64))
        return base64_of(parse, LINE_VALUE_BASE64, &record->value);
    struct bytes raw = parse->members[LINE_VALUE];
    if (json_kind(raw) == JSON_KIND_NULL)
        return true;
    if (json_kind(raw) == JSON_KIND_STRING)
        return json_read_string(raw, &parse->line->arena, &record->value) || out_of_memory(parse);
    record->value = json_trim(raw);
    return true;
}

static bool make_id(struct parse *parse, struct bytes *ret)
{
    struct uuid id;
    char text[UUID_TEXT_LEN + 1];
    randombytes_buf(id.bytes, sizeof id.bytes);
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x40);
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
    *ret = arena_copy(&parse->line->arena, bytes_of(uuid_format(&id, text)));
    return bytes_present(*ret) || out_of_memory(parse);
}

static bool wrap_data(struct parse *parse, struct bytes type, enum wrap_form form)
{
    struct wrapping wrapping = { .form = form,
                                 .type = type,
                                 .source = BYTES("/attemptd/produce"),
                                 .data = parse->members[LINE_DATA],
                                 .traceparent = BYTES_NONE };
    bool good = has(parse, LINE_ID) ? text_of(parse, parse->members[LINE_ID], "id", &wrapping.id)
                                    : make_id(parse, &wrapping.id);
    if (!good)
        return false;
    return wrap_event(&parse->line->wrap, &wrapping, &parse->line->record) || out_of_memory(parse);
}

bool record_line_read(struct record_line *line, struct bytes text, enum wrap_form form,
                      const char *prefix, struct err *err)
{
    struct parse parse = { .line = line, .prefix = prefix, .err = err };
    struct bytes type = BYTES_NONE;
    arena_reset(&line->arena);
    line->record = (struct record){ .tp = { TOPIC_WRITES, -1 } };
    if (!find_members(&parse, text))
        return false;
    if (has(&parse, LINE_TYPE) && !text_of(&parse, parse.members[LINE_TYPE], "type", &type))
        return false;
    if (!read_topic(&parse, type) || !read_key(&parse) || !read_partition(&parse))
        return false;
    if (has(&parse, LINE_VALUE) || has(&parse, LINE_VALUE_BASE64))
        return read_value(&parse) && read_headers(&parse);
    if (!has(&parse, LINE_DATA) || !bytes_present(type))
        return refuse(&parse, "an event needs \"type\" and \"data\", a record \"value\"");
    return wrap_data(&parse, type, form) && (!has(&parse, LINE_HEADERS) || read_headers(&parse));
}

/* ------------------------------------------------------------------------------------ writing */

static bool is_text(struct bytes b)
{
    return json_is_utf8(b) && (b.len == 0 || memchr(b.ptr, '\0', b.len) == NULL);
}

static void put_base64(struct bytes b, struct buf *out)
{
    size_t room = sodium_base64_ENCODED_LEN(b.len, sodium_base64_VARIANT_ORIGINAL);
    buf_put_char(out, '"');
    char *at = buf_extend(out, room);
    if (at == NULL)
        return;
    (void)sodium_bin2base64(at, room, (const unsigned char *)b.ptr, b.len,
                            sodium_base64_VARIANT_ORIGINAL);
    out->len--; /* the NUL */
    buf_put_char(out, '"');
}

static void put_bytes(const char *name, struct bytes b, struct buf *out)
{
    buf_printf(out, ",\"%s", name);
    if (!bytes_present(b)) {
        buf_put(out, BYTES("\":null"));
    } else if (is_text(b)) {
        buf_put(out, BYTES("\":"));
        json_put_string(out, b);
    } else {
        buf_put(out, BYTES("_base64\":"));
        put_base64(b, out);
    }
}

void record_line_put(const struct record *record, struct buf *out)
{
    buf_put(out, BYTES("{\"topic\":"));
    json_put_string(out, bytes_of(topics[record->tp.topic]));
    put_bytes("key", record->key, out);
    if (record->tp.partition >= 0)
        buf_printf(out, ",\"partition\":%d", record->tp.partition);
    if (record->header_count > 0)
        buf_put(out, BYTES(",\"headers\":["));
    for (size_t i = 0; i < record->header_count; i++) {
        buf_put(out, i == 0 ? BYTES("[") : BYTES(",["));
        json_put_string(out, record->headers[i].name);
        buf_put_char(out, ',');
        if (bytes_present(record->headers[i].value))
            json_put_string(out, record->headers[i].value);
        else
            buf_put(out, BYTES("null"));
        buf_put_char(out, ']');
    }
    if (record->header_count > 0)
        buf_put_char(out, ']');
    put_bytes("value", record->value, out);
    buf_put(out, BYTES("}\n"));
}
