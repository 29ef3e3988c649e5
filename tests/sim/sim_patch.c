/* The engine's JSON, read back by a reader of its own: small, and strict about its few shapes. */
#include "tests/sim/sim_db.h"

#include <stdio.h>
#include <stdlib.h>

struct cursor {
    const char *at, *end;
};

static void skip_space(struct cursor *in)
{
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\n' || *in->at == '\t'))
        in->at++;
}

static bool take(struct cursor *in, char c)
{
    skip_space(in);
    if (in->at >= in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

static bool take_string(struct cursor *in, struct bytes *ret)
{
    if (!take(in, '"'))
        return false;
    const char *begin = in->at;
    while (in->at < in->end && *in->at != '"')
        in->at += *in->at == '\\' ? 2 : 1;
    if (in->at >= in->end)
        return false;
    *ret = (struct bytes){ begin, (size_t)(in->at - begin) };
    in->at++;
    return true;
}

/* The raw text of any value. */
static bool take_value(struct cursor *in, struct bytes *ret)
{
    skip_space(in);
    const char *begin = in->at;
    int depth = 0;
    while (in->at < in->end) {
        char c = *in->at;
        struct bytes ignored;
        if (c == '"') {
            if (!take_string(in, &ignored))
                return false;
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}'))
            break;
        depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        in->at++;
    }
    *ret = (struct bytes){ begin, (size_t)(in->at - begin) };
    return depth == 0 && ret->len > 0;
}

static int value_number(struct bytes value)
{
    size_t i = 0;
    while (i < value.len && (value.ptr[i] < '0' || value.ptr[i] > '9'))
        i++;
    int number = 0;
    for (; i < value.len && value.ptr[i] >= '0' && value.ptr[i] <= '9'; i++)
        number = number * 10 + value.ptr[i] - '0';
    return number;
}

static int key_number(struct bytes key)
{
    if (key.len == 2 && key.ptr[0] == 'q')
        return key.ptr[1] - '0';
    if (key.len == 7 && bytes_starts_with(key, BYTES("\\u0071")))
        return key.ptr[6] - '0';
    return -1;
}

bool patch_read_answers(struct bytes text, int answers[SIM_KEYS])
{
    struct cursor in = { text.ptr, text.ptr + text.len };
    if (!take(&in, '{'))
        return false;
    while (!take(&in, '}')) {
        struct bytes key, value;
        if (!take_string(&in, &key) || !take(&in, ':') || !take_value(&in, &value))
            return false;
        int number = key_number(key);
        if (number < 0 || number >= SIM_KEYS)
            return false;
        answers[number] =
            bytes_starts_with(value, BYTES("null")) ? ANSWER_CLEAR : value_number(value);
        (void)take(&in, ',');
        if (in.at >= in.end)
            return false;
    }
    skip_space(&in);
    return in.at == in.end;
}

bool patch_read_auto_save(struct bytes text, int *ret_value)
{
    *ret_value = value_number(text);
    return bytes_starts_with(text, BYTES("{")) && *ret_value > 0;
}

struct bytes patch_write_document(struct arena *arena, const struct model_row *row)
{
    char text[SIM_KEYS * 24 + 8];
    size_t len = 0;
    text[len++] = '{';
    for (int key = 0; key < SIM_KEYS; key++)
        if (row->answers[key] > 0)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s\"q%d\": %d",
                                    len == 1 ? "" : ", ", key, row->answers[key]);
    text[len++] = '}';
    return arena_copy(arena, (struct bytes){ text, len });
}
