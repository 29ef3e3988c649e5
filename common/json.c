#include "common/json.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline const char *skip_blank(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

/* ----------------------------------------------------------------------------- skipping values */

/* From behind the opening quote to behind the closing one. */
static inline const char *skip_string(const char *at, const char *end)
{
    for (;;) {
#ifdef __SSE2__
        const __m128i quote = _mm_set1_epi8('"');
        const __m128i escape = _mm_set1_epi8('\\');
        while (end - at >= 16) {
            __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
            int mask = _mm_movemask_epi8(
                _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, escape)));
            if (mask != 0) {
                at += __builtin_ctz((unsigned)mask);
                break;
            }
            at += 16;
        }
#endif
        while (at < end && *at != '"' && *at != '\\')
            at++;
        if (at >= end)
            return end;
        if (*at == '"')
            return at + 1;
        if (end - at < 2)
            return end;
        at += 2;
    }
}

static inline bool is_bracket(char c)
{
    return c == '{' || c == '}' || c == '[' || c == ']';
}

/* To the next quote or bracket. */
static inline const char *skip_to_structure(const char *at, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i open = _mm_set1_epi8('{');
    const __m128i close = _mm_set1_epi8('}');
    const __m128i fold = _mm_set1_epi8(0x20); /* [ and ] become { and } */
    while (end - at >= 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i folded = _mm_or_si128(block, fold);
        int mask = _mm_movemask_epi8(_mm_or_si128(
            _mm_cmpeq_epi8(block, quote),
            _mm_or_si128(_mm_cmpeq_epi8(folded, open), _mm_cmpeq_epi8(folded, close))));
        if (mask != 0)
            return at + __builtin_ctz((unsigned)mask);
        at += 16;
    }
#endif
    while (at < end && *at != '"' && !is_bracket(*at))
        at++;
    return at;
}

static const char *skip_container(const char *at, const char *end)
{
    size_t depth = 0;
    while ((at = skip_to_structure(at, end)) < end) {
        char c = *at++;
        if (c == '"')
            at = skip_string(at, end);
        else if (c == '{' || c == '[')
            depth++;
        else if (depth <= 1)
            return at;
        else
            depth--;
    }
    return end;
}

static const char *skip_scalar(const char *at, const char *end)
{
    while (at < end && *at != ',' && *at != '}' && *at != ']' && *at != ' ' && *at != '\n' &&
           *at != '\r' && *at != '\t')
        at++;
    return at;
}

static inline const char *skip_value(const char *at, const char *end)
{
    if (at >= end)
        return end;
    if (*at == '"')
        return skip_string(at + 1, end);
    return *at == '{' || *at == '[' ? skip_container(at, end) : skip_scalar(at, end);
}

/* ------------------------------------------------------------------------------------- walking */

enum json_kind json_kind(struct bytes value)
{
    const char *end = value.ptr + value.len;
    const char *at = value.len == 0 ? end : skip_blank(value.ptr, end);
    if (at == end)
        return JSON_KIND_NONE;
    switch (*at) {
    case '{':
        return JSON_KIND_OBJECT;
    case '[':
        return JSON_KIND_ARRAY;
    case '"':
        return JSON_KIND_STRING;
    case 't':
        return JSON_KIND_TRUE;
    case 'f':
        return JSON_KIND_FALSE;
    case 'n':
        return JSON_KIND_NULL;
    default:
        return JSON_KIND_NUMBER;
    }
}

struct bytes json_trim(struct bytes text)
{
    if (text.len == 0)
        return text;
    const char *end = text.ptr + text.len;
    const char *at = skip_blank(text.ptr, end);
    while (end > at && (end[-1] == ' ' || end[-1] == '\n' || end[-1] == '\r' || end[-1] == '\t'))
        end--;
    return (struct bytes){ at, (size_t)(end - at) };
}

struct json_cursor json_open(struct bytes container)
{
    struct bytes inside = json_trim(container);
    if (inside.len < 2)
        return (struct json_cursor){ inside.ptr, inside.ptr };
    return (struct json_cursor){ inside.ptr + 1, inside.ptr + inside.len - 1 };
}

/* To the value at the cursor, over a comma; false at the end. */
static inline bool to_next(struct json_cursor *cursor)
{
    cursor->at = skip_blank(cursor->at, cursor->end);
    if (cursor->at < cursor->end && *cursor->at == ',')
        cursor->at = skip_blank(cursor->at + 1, cursor->end);
    return cursor->at < cursor->end;
}

static inline struct bytes take_value(struct json_cursor *cursor)
{
    const char *from = cursor->at;
    cursor->at = skip_value(from, cursor->end);
    return (struct bytes){ from, (size_t)(cursor->at - from) };
}

bool json_next_element(struct json_cursor *cursor, struct bytes *ret_value)
{
    if (!to_next(cursor))
        return false;
    *ret_value = take_value(cursor);
    return ret_value->len != 0;
}

bool json_next_member(struct json_cursor *cursor, struct json_member *ret)
{
    if (!to_next(cursor) || *cursor->at != '"')
        return false;
    const char *key = cursor->at + 1;
    const char *at = skip_string(key, cursor->end);
    if (at == key)
        return false;
    ret->key = (struct bytes){ key, (size_t)(at - 1 - key) };
    ret->key_escaped = ret->key.len != 0 && memchr(key, '\\', ret->key.len) != NULL;
    at = skip_blank(at, cursor->end);
    if (at < cursor->end && *at == ':')
        at = skip_blank(at + 1, cursor->end);
    cursor->at = at;
    ret->value = take_value(cursor);
    return ret->value.len != 0;
}

bool json_key_is(const struct json_member *member, struct bytes name)
{
    if (!member->key_escaped)
        return bytes_equal(member->key, name);
    char text[6 * 64];
    size_t len = 0;
    /* Escaped it is at most six times as long. */
    return member->key.len <= sizeof text && name.len <= 64 &&
           json_unescape(member->key, text, &len) && bytes_equal((struct bytes){ text, len }, name);
}

struct bytes json_find(struct bytes object, struct bytes name)
{
    struct json_cursor cursor = json_open(object);
    struct json_member member;
    while (json_next_member(&cursor, &member))
        if (json_key_is(&member, name))
            return member.value;
    return BYTES_NONE;
}
