#include "worker/events/reader.h"

#include "common/json.h"
#include "common/rfc3339.h"

#include <stdarg.h>
#include <stdio.h>

#define VERSION_MAX (INT64_MAX - 1)

bool refuse(struct reader *reader, enum reason reason, const char *format, ...)
{
    reader->refusal->reason = reason;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(reader->refusal->detail, sizeof reader->refusal->detail, format, args);
    va_end(args);
    return false;
}

bool refuse_member(struct reader *reader, enum reason reason, const char *name, const char *format,
                   ...)
{
    char what[sizeof reader->refusal->detail];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (reader->has_element)
        return refuse(reader, reason, "data.events[%zu].%s %s", reader->element, name, what);
    return refuse(reader, reason, "data.%s %s", name, what);
}

void find_members(const struct reader *reader, struct bytes object, const struct bytes *names,
                  size_t count, struct bytes *ret_values)
{
    for (size_t i = 0; i < count; i++)
        ret_values[i] = BYTES_NONE;
    struct json_cursor cursor = json_open_marked(object, &reader->marks);
    struct json_member member;
    while (json_next_member(&cursor, &member)) {
        for (size_t i = 0; i < count; i++) {
            if (json_key_is(&member, names[i])) {
                ret_values[i] = member.value;
                break;
            }
        }
    }
}

void drop_nulls(struct bytes *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (json_is_null_value(values[i]))
            values[i] = BYTES_NONE;
}

bool read_text(struct reader *reader, struct bytes value, const char *name, enum reason wrong,
               struct bytes *ret)
{
    if (!bytes_present(value))
        return refuse_member(reader, REASON_MISSING, name, "is missing or null");
    if (value.ptr[0] != '"')
        return refuse_member(reader, wrong, name, "is not a string");
    if (json_read_string(value, reader->arena, ret))
        return true;
    reader->no_memory = true;
    return false;
}

bool read_uuid(struct reader *reader, struct bytes value, const char *name, struct uuid *ret)
{
    struct bytes text;
    return read_uuid_text(reader, value, name, ret, &text);
}

bool read_uuid_text(struct reader *reader, struct bytes value, const char *name, struct uuid *ret,
                    struct bytes *ret_text)
{
    if (!read_text(reader, value, name, REASON_UUID, ret_text))
        return false;
    if (!uuid_parse(*ret_text, ret))
        return refuse_member(reader, REASON_UUID, name,
                             "is not a UUID in canonical lower-case form (nor may it be nil)");
    return true;
}

bool read_time(struct reader *reader, struct bytes value, const char *name, int64_t *ret_us)
{
    struct bytes text;
    if (!read_text(reader, value, name, REASON_TIME, &text))
        return false;
    if (!rfc3339_parse(text, ret_us))
        return refuse_member(
            reader, REASON_TIME, name,
            "is not an RFC 3339 time between 2000 and 2099 with T and Z or offset");
    return true;
}

/* Digits alone, no more than VERSION_MAX. */
static bool plain_integer(struct bytes text, int64_t *ret)
{
    int64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        int digit = text.ptr[i] - '0';
        if (digit < 0 || digit > 9 || value > (VERSION_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret = value;
    return true;
}

bool read_version(struct reader *reader, struct bytes value, const char *name, int64_t *ret)
{
    if (!bytes_present(value))
        return refuse_member(reader, REASON_MISSING, name, "is missing or null");
    int64_t version = 0;
    if (!plain_integer(value, &version) || version < 1)
        return refuse_member(reader, REASON_VERSION, name,
                             "is not an integer from 1 to 9223372036854775806, written plainly");
    *ret = version;
    return true;
}

bool read_name(struct reader *reader, struct bytes value, const char *name, struct bytes *ret)
{
    if (!read_text(reader, value, name, REASON_JSON, ret))
        return false;
    if (ret->len == 0 || ret->len > reader->limits->name_bytes_max)
        return refuse_member(reader, REASON_LIMITS, name, "has %zu bytes; 1 to %zu are allowed",
                             ret->len, reader->limits->name_bytes_max);
    return true;
}

bool read_optional_object(struct reader *reader, struct bytes value, const char *name,
                          struct bytes *ret)
{
    if (bytes_present(value) && json_kind(value) != JSON_KIND_OBJECT)
        return refuse_member(reader, REASON_JSON, name, "is not an object");
    *ret = value;
    return true;
}
