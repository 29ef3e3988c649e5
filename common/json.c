#include "common/json.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline const char *skip_blank(const char *at, const char *end)
{
    /* One comparison says that there is none, as there mostly is. */
    while (at < end && *at <= ' ' && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

/* ----------------------------------------------------------------------------- skipping values */

static inline const char *to_quote_or_escape(const char *at, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i escape = _mm_set1_epi8('\\');
    for (; end - at >= 16; at += 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
        int mask = _mm_movemask_epi8(
            _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, escape)));
        if (mask != 0)
            return at + __builtin_ctz((unsigned)mask);
    }
#endif
    while (at < end && *at != '"' && *at != '\\')
        at++;
    return at;
}

/* From behind the opening quote to behind the closing one. */
static inline const char *skip_string(const char *at, const char *end, bool *ret_escaped)
{
    *ret_escaped = false;
    for (;;) {
        at = to_quote_or_escape(at, end);
        if (at >= end)
            return end;
        if (*at == '"')
            return at + 1;
        if (end - at < 2)
            return end;
        *ret_escaped = true;
        at += 2;
    }
}

/* A bit for each byte of a block, the first byte's the lowest. */
#define BLOCK 64

struct block {
    uint64_t quotes;
    uint64_t escapes;
    uint64_t opens;  /* { and [ */
    uint64_t closes; /* } and ] */
};

static inline struct block block_of(const char *at)
{
    struct block block = { 0 };
#ifdef __SSE2__
    const __m128i fold = _mm_set1_epi8(0x20); /* [ and ] become { and } */
    for (unsigned i = 0; i < BLOCK; i += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(at + i));
        __m128i folded = _mm_or_si128(bytes, fold);
        int quotes = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')));
        int escapes = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
        int opens = _mm_movemask_epi8(_mm_cmpeq_epi8(folded, _mm_set1_epi8('{')));
        int closes = _mm_movemask_epi8(_mm_cmpeq_epi8(folded, _mm_set1_epi8('}')));
        block.quotes |= (uint64_t)(unsigned)quotes << i;
        block.escapes |= (uint64_t)(unsigned)escapes << i;
        block.opens |= (uint64_t)(unsigned)opens << i;
        block.closes |= (uint64_t)(unsigned)closes << i;
    }
#else
    for (unsigned i = 0; i < BLOCK; i++) {
        block.quotes |= (uint64_t)(at[i] == '"') << i;
        block.escapes |= (uint64_t)(at[i] == '\\') << i;
        block.opens |= (uint64_t)((at[i] | 0x20) == '{') << i;
        block.closes |= (uint64_t)((at[i] | 0x20) == '}') << i;
    }
#endif
    return block;
}

/* The bytes that a backslash takes away; `*carry`: the one before the block takes the first. */
static uint64_t escaped_bytes(uint64_t escapes, bool *carry)
{
    uint64_t escaped = *carry;
    *carry = false;
    for (uint64_t rest = escapes; rest != 0; rest &= rest - 1) {
        unsigned at = (unsigned)__builtin_ctzll(rest);
        if ((escaped >> at & 1) != 0)
            continue;
        if (at == BLOCK - 1)
            *carry = true;
        else
            escaped |= (uint64_t)2 << at;
    }
    return escaped;
}

/* Each bit becomes the parity of itself and all lower ones: from quotes, what is inside of them. */
static inline uint64_t parity_below(uint64_t bits)
{
    for (unsigned shift = 1; shift < BLOCK; shift *= 2)
        bits ^= bits << shift;
    return bits;
}

struct container_skip {
    size_t depth;
    uint64_t in_string; /* all ones when the block before ended inside a string */
    bool carry;
};

/* Where in the block the container ends, or BLOCK. */
static inline unsigned skip_block(struct container_skip *skip, struct block block)
{
    if (block.escapes != 0 || skip->carry)
        block.quotes &= ~escaped_bytes(block.escapes, &skip->carry);
    uint64_t strings = parity_below(block.quotes) ^ skip->in_string;
    skip->in_string = strings >> (BLOCK - 1) != 0 ? UINT64_MAX : 0;
    uint64_t opens = block.opens & ~strings;
    for (uint64_t rest = opens | (block.closes & ~strings); rest != 0; rest &= rest - 1) {
        unsigned at = (unsigned)__builtin_ctzll(rest);
        if ((opens >> at & 1) != 0)
            skip->depth++;
        else if (--skip->depth == 0)
            return at;
    }
    return BLOCK;
}

/* `at` is the opening bracket. */
static const char *skip_container(const char *at, const char *end)
{
    struct container_skip skip = { .depth = 0 };
    for (; end - at >= BLOCK; at += BLOCK) {
        unsigned closed = skip_block(&skip, block_of(at));
        if (closed < BLOCK)
            return at + closed + 1;
    }
    char rest[BLOCK] = { 0 };
    memcpy(rest, at, (size_t)(end - at));
    unsigned closed = skip_block(&skip, block_of(rest));
    return closed < BLOCK ? at + closed + 1 : end;
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
    bool escaped;
    if (*at == '"')
        return skip_string(at + 1, end, &escaped);
    return *at == '{' || *at == '[' ? skip_container(at, end) : skip_scalar(at, end);
}

/* ------------------------------------------------------------------------------------- walking */

enum json_kind json_kind(struct bytes value)
{
    if (value.len == 0)
        return JSON_KIND_NONE;
    const char *end = value.ptr + value.len;
    const char *at = skip_blank(value.ptr, end);
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

struct json_cursor json_open_marked(struct bytes container, const struct json_marks *marks)
{
    struct bytes inside = json_trim(container);
    if (inside.len < 2)
        return (struct json_cursor){ inside.ptr, inside.ptr, marks };
    return (struct json_cursor){ inside.ptr + 1, inside.ptr + inside.len - 1, marks };
}

struct json_cursor json_open(struct bytes container)
{
    return json_open_marked(container, NULL);
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
    const struct json_mark *mark = NULL;
    if (cursor->marks != NULL && from < cursor->end && (*from == '{' || *from == '['))
        mark = json_mark_of(cursor->marks, from);
    cursor->at = mark != NULL ? mark->to : skip_value(from, cursor->end);
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
    const char *at = skip_string(key, cursor->end, &ret->key_escaped);
    if (at == key)
        return false;
    ret->key = (struct bytes){ key, (size_t)(at - 1 - key) };
    at = skip_blank(at, cursor->end);
    if (at < cursor->end && *at == ':')
        at = skip_blank(at + 1, cursor->end);
    cursor->at = at;
    ret->value = take_value(cursor);
    return ret->value.len != 0;
}

bool json_escaped_key_is(struct bytes key, struct bytes name)
{
    char text[6 * 64];
    size_t len = 0;
    /* Escaped it is at most six times as long. */
    return key.len <= sizeof text && name.len <= 64 && json_unescape(key, text, &len) &&
           bytes_equal((struct bytes){ text, len }, name);
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
