#include "worker/audit/members.h"

#include <stdlib.h>

void members_release(struct members *members)
{
    for (size_t i = 0; i < members->count; i++)
        free(members->items[i].memory);
    free(members->items);
    *members = (struct members){ 0 };
}

/* ------------------------------------------------------------------------------ reading JSON */

struct reader {
    const char *at, *end;
};

static void skip_space(struct reader *in)
{
    while (in->at < in->end &&
           (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r'))
        in->at++;
}

static bool take(struct reader *in, char c)
{
    skip_space(in);
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

/* Past a string, quotation marks included. */
static bool skip_string(struct reader *in)
{
    if (!take(in, '"'))
        return false;
    while (in->at < in->end && *in->at != '"')
        in->at += *in->at == '\\' ? 2 : 1;
    return in->at < in->end && *in->at++ == '"';
}

/* Past any value. Brackets need no matching up: the decoder has seen to that. */
static bool take_value(struct reader *in, struct bytes *ret)
{
    skip_space(in);
    const char *begin = in->at;
    int depth = 0;
    do {
        if (in->at >= in->end)
            return false;
        if (*in->at == '"') {
            if (!skip_string(in))
                return false;
        } else if (*in->at == '{' || *in->at == '[') {
            depth++;
            in->at++;
        } else if (*in->at == '}' || *in->at == ']') {
            depth--;
            in->at++;
        } else if (depth > 0) {
            in->at++;
        } else {
            while (in->at < in->end && strchr(",]} \t\r\n", *in->at) == NULL)
                in->at++;
        }
    } while (depth > 0);
    *ret = (struct bytes){ begin, (size_t)(in->at - begin) };
    return ret->len > 0;
}

static unsigned hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return (unsigned)((c | 0x20) - 'a') + 10;
}

static unsigned hex_four(const char *at)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 4 | (hex_digit(at[i]) & 0xf);
    return value;
}

static void put_code_point(struct buf *out, unsigned c)
{
    if (c < 0x80) {
        buf_put_char(out, (char)c);
    } else if (c < 0x800) {
        buf_put_char(out, (char)(0xc0 | c >> 6));
        buf_put_char(out, (char)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        buf_put_char(out, (char)(0xe0 | c >> 12));
        buf_put_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
        buf_put_char(out, (char)(0x80 | (c & 0x3f)));
    } else {
        buf_put_char(out, (char)(0xf0 | c >> 18));
        buf_put_char(out, (char)(0x80 | (c >> 12 & 0x3f)));
        buf_put_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
        buf_put_char(out, (char)(0x80 | (c & 0x3f)));
    }
}

/* One escape, from its backslash on. */
static void unescape_one(struct reader *in, struct buf *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = in->at[1];
    if (c != 'u') {
        const char *found = strchr(from, c);
        buf_put_char(out, found != NULL ? to[found - from] : c);
        in->at += 2;
        return;
    }
    unsigned unit = in->end - in->at >= 6 ? hex_four(in->at + 2) : 0xfffd;
    in->at += 6;
    if (unit >= 0xd800 && unit < 0xdc00 && in->end - in->at >= 6) {
        unit = 0x10000 + ((unit - 0xd800) << 10) + (hex_four(in->at + 2) - 0xdc00);
        in->at += 6;
    }
    put_code_point(out, unit);
}

static void unescape(struct bytes quoted, struct buf *out)
{
    struct reader in = { quoted.ptr + 1, quoted.ptr + quoted.len - 1 };
    while (in.at < in.end) {
        if (*in.at == '\\' && in.end - in.at >= 2)
            unescape_one(&in, out);
        else
            buf_put_char(out, *in.at++);
    }
}

/* ---------------------------------------------------------------------------------- the list */

/* The place of `name`, or where it would be put. */
static size_t place_of(const struct members *members, struct bytes name, bool *ret_found)
{
    size_t low = 0, high = members->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = bytes_compare(members->items[middle].name, name);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = false;
    return low;
}

static bool make_member(struct bytes name, struct bytes value, struct member *ret)
{
    char *memory = malloc(name.len + value.len + 1);
    if (memory == NULL)
        return false;
    if (name.len != 0)
        memcpy(memory, name.ptr, name.len);
    memcpy(memory + name.len, value.ptr, value.len);
    ret->name = (struct bytes){ memory, name.len };
    ret->value = (struct bytes){ memory + name.len, value.len };
    ret->memory = memory;
    return true;
}

static void take_out(struct members *members, size_t place)
{
    free(members->items[place].memory);
    members->count--;
    memmove(&members->items[place], &members->items[place + 1],
            (members->count - place) * sizeof members->items[0]);
}

static bool grow(struct members *members)
{
    if (members->count < members->capacity)
        return true;
    size_t capacity = members->capacity == 0 ? 8 : members->capacity * 2;
    struct member *items = realloc(members->items, capacity * sizeof *items);
    if (items == NULL)
        return false;
    members->items = items;
    members->capacity = capacity;
    return true;
}

static bool put_in(struct members *members, struct bytes name, struct bytes value)
{
    bool found;
    size_t place = place_of(members, name, &found);
    if (bytes_equal(value, BYTES("null"))) {
        if (found)
            take_out(members, place);
        return true;
    }
    struct member member;
    if (!make_member(name, value, &member))
        return false;
    if (found) {
        free(members->items[place].memory);
    } else {
        if (!grow(members)) {
            free(member.memory);
            return false;
        }
        memmove(&members->items[place + 1], &members->items[place],
                (members->count - place) * sizeof member);
        members->count++;
    }
    members->items[place] = member;
    return true;
}

static bool merge_member(struct members *members, struct reader *in, struct buf *name)
{
    skip_space(in);
    const char *begin = in->at;
    struct bytes value;
    if (!skip_string(in))
        return false;
    struct bytes quoted = { begin, (size_t)(in->at - begin) };
    if (!take(in, ':') || !take_value(in, &value))
        return false;
    buf_clear(name);
    unescape(quoted, name);
    return !name->failed && put_in(members, buf_bytes(name), value);
}

bool members_merge(struct members *members, struct bytes object)
{
    struct reader in = { object.ptr, object.ptr + object.len };
    if (!take(&in, '{'))
        return false;
    if (take(&in, '}'))
        return true;
    struct buf name;
    buf_init(&name, object.len);
    bool good;
    do
        good = merge_member(members, &in, &name);
    while (good && take(&in, ','));
    buf_release(&name);
    return good && take(&in, '}');
}

struct bytes members_get(const struct members *members, struct bytes name)
{
    bool found;
    size_t place = place_of(members, name, &found);
    return found ? members->items[place].value : BYTES_NONE;
}

/* ------------------------------------------------------------------------------ writing JSON */

void members_put_string(struct bytes text, struct buf *out)
{
    buf_put_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '"' || c == '\\') {
            buf_put_char(out, '\\');
            buf_put_char(out, (char)c);
        } else if (c < 0x20) {
            buf_printf(out, "\\u%04x", c);
        } else {
            buf_put_char(out, (char)c);
        }
    }
    buf_put_char(out, '"');
}

void members_put(const struct members *members, struct buf *out)
{
    buf_put_char(out, '{');
    for (size_t i = 0; i < members->count; i++) {
        if (i > 0)
            buf_put_char(out, ',');
        members_put_string(members->items[i].name, out);
        buf_put_char(out, ':');
        buf_put(out, members->items[i].value);
    }
    buf_put_char(out, '}');
}
