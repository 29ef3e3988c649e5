#include "worker/events/canonical.h"

#include "common/json.h"

#include <stdlib.h>

struct writer {
    struct buf *buf;
    struct arena *scratch;
    unsigned depth;
};

struct field {
    struct bytes key; /* unescaped */
    struct bytes value;
};

static bool put_value(struct writer *writer, struct bytes value);

static int compare_fields(const void *a, const void *b)
{
    return bytes_compare(((const struct field *)a)->key, ((const struct field *)b)->key);
}

static void put_zeros(struct buf *buf, int64_t count)
{
    if (count <= 0)
        return;
    char *at = buf_extend(buf, (size_t)count);
    if (at != NULL)
        memset(at, '0', (size_t)count);
}

/* The digits of a number, without sign, point and exponent: text = 0.DIGITS * 10^point. */
struct decimal {
    struct bytes before; /* digits before the point */
    struct bytes after;  /* digits behind it */
    int64_t exponent;
};

static struct bytes take_digits(const char **at, const char *end)
{
    const char *from = *at;
    while (*at < end && **at >= '0' && **at <= '9')
        (*at)++;
    return (struct bytes){ from, (size_t)(*at - from) };
}

/* `at` is behind the `e`; what nothing could hold is cut off far beyond any ceiling. */
static int64_t take_exponent(const char *at, const char *end)
{
    const int64_t huge = INT64_C(1) << 40;
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    int64_t value = 0;
    for (; at < end && *at >= '0' && *at <= '9' && value < huge; at++)
        value = value * 10 + (*at - '0');
    return negative ? -value : value;
}

static struct decimal split_number(const char *at, const char *end)
{
    struct decimal decimal = { .after = BYTES_NONE };
    decimal.before = take_digits(&at, end);
    if (at < end && *at == '.') {
        at++;
        decimal.after = take_digits(&at, end);
    }
    if (at < end && (*at == 'e' || *at == 'E'))
        decimal.exponent = take_exponent(at + 1, end);
    return decimal;
}

static char digit_at(const struct decimal *decimal, size_t i)
{
    return i < decimal->before.len ? decimal->before.ptr[i]
                                   : decimal->after.ptr[i - decimal->before.len];
}

static void put_digits(struct buf *buf, const struct decimal *decimal, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        buf_put_char(buf, digit_at(decimal, i));
}

static bool put_number(struct writer *writer, struct bytes text)
{
    const char *end = text.ptr + text.len;
    bool negative = *text.ptr == '-';
    struct decimal decimal = split_number(text.ptr + negative, end);
    size_t count = decimal.before.len + decimal.after.len;
    if (decimal.before.len == 0)
        return false;
    size_t first = 0; /* significant digits: first .. last - 1 */
    size_t last = count;
    while (first < count && digit_at(&decimal, first) == '0')
        first++;
    while (last > first && digit_at(&decimal, last - 1) == '0')
        last--;
    if (first == last) {
        buf_put_char(writer->buf, '0');
        return true;
    }
    if (negative)
        buf_put_char(writer->buf, '-');
    /* How many of the significant digits stand before the point; may be none, or more than all. */
    int64_t whole = (int64_t)decimal.before.len + decimal.exponent - (int64_t)first;
    int64_t significant = (int64_t)(last - first);
    if (whole <= 0) {
        buf_put(writer->buf, BYTES("0."));
        put_zeros(writer->buf, -whole);
        put_digits(writer->buf, &decimal, first, last);
    } else if (whole >= significant) {
        put_digits(writer->buf, &decimal, first, last);
        put_zeros(writer->buf, whole - significant);
    } else {
        put_digits(writer->buf, &decimal, first, first + (size_t)whole);
        buf_put_char(writer->buf, '.');
        put_digits(writer->buf, &decimal, first + (size_t)whole, last);
    }
    return true;
}

static bool put_text(struct writer *writer, struct bytes value)
{
    struct bytes text;
    if (!json_read_string(value, writer->scratch, &text))
        return false;
    json_put_string(writer->buf, text);
    return true;
}

static size_t count_members(struct bytes object)
{
    size_t count = 0;
    struct json_cursor cursor = json_open(object);
    struct json_member member;
    while (json_next_member(&cursor, &member))
        count++;
    return count;
}

/* The members with their keys unescaped, sorted; NULL when the arena is full. */
static struct field *sorted_fields(struct writer *writer, struct bytes object, size_t count)
{
    struct field *fields = arena_calloc(writer->scratch, count, sizeof *fields);
    struct json_cursor cursor = json_open(object);
    struct json_member member;
    for (size_t i = 0; fields != NULL && i < count && json_next_member(&cursor, &member); i++) {
        fields[i] = (struct field){ member.key, member.value };
        if (!member.key_escaped)
            continue;
        char *room = arena_alloc(writer->scratch, member.key.len);
        if (room == NULL || !json_unescape(member.key, room, &fields[i].key.len))
            return NULL;
        fields[i].key.ptr = room;
    }
    if (fields != NULL)
        qsort(fields, count, sizeof *fields, compare_fields);
    return fields;
}

static bool put_object(struct writer *writer, struct bytes object)
{
    size_t count = count_members(object);
    struct field *fields = sorted_fields(writer, object, count);
    if (fields == NULL)
        return false;
    buf_put_char(writer->buf, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_put_char(writer->buf, ',');
        json_put_string(writer->buf, fields[i].key);
        buf_put_char(writer->buf, ':');
        if (!put_value(writer, fields[i].value))
            return false;
    }
    buf_put_char(writer->buf, '}');
    return true;
}

static bool put_array(struct writer *writer, struct bytes array)
{
    struct json_cursor cursor = json_open(array);
    struct bytes element;
    buf_put_char(writer->buf, '[');
    for (bool first = true; json_next_element(&cursor, &element); first = false) {
        if (!first)
            buf_put_char(writer->buf, ',');
        if (!put_value(writer, element))
            return false;
    }
    buf_put_char(writer->buf, ']');
    return true;
}

static bool put_container(struct writer *writer, struct bytes value, bool object)
{
    if (writer->depth >= CANONICAL_DEPTH_MAX)
        return false;
    writer->depth++;
    bool done = object ? put_object(writer, value) : put_array(writer, value);
    writer->depth--;
    return done;
}

static bool put_value(struct writer *writer, struct bytes value)
{
    switch (json_kind(value)) {
    case JSON_KIND_OBJECT:
        return put_container(writer, value, true);
    case JSON_KIND_ARRAY:
        return put_container(writer, value, false);
    case JSON_KIND_STRING:
        return put_text(writer, value);
    case JSON_KIND_NUMBER:
        return put_number(writer, value);
    case JSON_KIND_TRUE:
    case JSON_KIND_FALSE:
    case JSON_KIND_NULL:
        buf_put(writer->buf, value);
        return true;
    case JSON_KIND_NONE:
        break;
    }
    return false;
}

bool canonical_put(struct buf *buf, struct bytes json, struct arena *scratch)
{
    struct writer writer = { .buf = buf, .scratch = scratch };
    return put_value(&writer, json_trim(json)) && !buf->failed;
}

bool canonical_digest(struct bytes json, struct arena *scratch, struct buf *room,
                      uint8_t ret_digest[static HASH_256_BYTES])
{
    buf_clear(room);
    if (!canonical_put(room, json, scratch))
        return false;
    hash_256(buf_bytes(room), ret_digest);
    return true;
}
