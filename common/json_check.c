/*
 * The strict scanner behind json_check(): one pass, recursive by container, nothing built.
 */
#include "common/json.h"
#include "common/json_keys.h"
#include "common/utf8.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* An envelope, its data, and the members of that: deeper ones would only take the places. */
#define MARKED_DEPTH 3

struct scanner {
    const char *end;
    const struct json_rules *rules;
    unsigned depth;
    enum json_fault fault;
    const char *fault_at;
    struct json_marks *marks; /* may be NULL */
    struct json_key_table table;
};

/* Every scan_ function takes where to begin and returns where it ended, or NULL after a fault. */
static const char *scan_value(struct scanner *s, const char *at);

static const char *fault(struct scanner *s, enum json_fault fault, const char *at)
{
    s->fault = fault;
    s->fault_at = at;
    return NULL;
}

static inline bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const char *skip_blank(const char *at, const char *end)
{
    /* One comparison says that there is none, as there mostly is. */
    while (at < end && *at <= ' ' && is_blank(*at))
        at++;
    return at;
}

/* Past the characters of a string that need no look: no quote, escape, control, non-ASCII byte. */
static inline const char *skip_plain(const char *at, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i escape = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(' ');
    while (end - at >= 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
        /* The comparison is signed: bytes above 0x7f are below the space, too. */
        __m128i special =
            _mm_or_si128(_mm_cmplt_epi8(block, space),
                         _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, escape)));
        int mask = _mm_movemask_epi8(special);
        if (mask != 0)
            return at + __builtin_ctz((unsigned)mask);
        at += 16;
    }
#endif
    while (at < end && (signed char)*at >= ' ' && *at != '"' && *at != '\\')
        at++;
    return at;
}

/* Four hex digits, or -1. */
static int hex4(const char *at, const char *end)
{
    if (end - at < 4)
        return -1;
    int value = 0;
    for (unsigned i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* `at` is behind the backslash. */
static const char *scan_escape(struct scanner *s, const char *at)
{
    if (at >= s->end)
        return fault(s, JSON_SYNTAX, at);
    if (*at != 'u')
        return *at != '\0' && strchr("\"\\/bfnrt", *at) != NULL ? at + 1
                                                                : fault(s, JSON_SYNTAX, at);
    int unit = hex4(at + 1, s->end);
    if (unit <= 0 || (unit >= 0xdc00 && unit <= 0xdfff))
        return fault(s, JSON_SYNTAX, at);
    at += 5;
    if (unit < 0xd800 || unit > 0xdbff)
        return at;
    int low = s->end - at >= 6 && at[0] == '\\' && at[1] == 'u' ? hex4(at + 2, s->end) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return fault(s, JSON_SYNTAX, at);
    return at + 6;
}

/* `at` is behind the opening quote; the end is behind the closing one. */
static const char *scan_string(struct scanner *s, const char *at, bool *ret_escaped)
{
    bool escaped = false;
    for (;;) {
        at = skip_plain(at, s->end);
        if (at >= s->end)
            return fault(s, JSON_SYNTAX, at);
        if (*at == '"')
            break;
        if (*at == '\\') {
            escaped = true;
            at = scan_escape(s, at + 1);
            if (at == NULL)
                return NULL;
        } else if ((unsigned char)*at < ' ') {
            return fault(s, JSON_SYNTAX, at);
        } else {
            /* Other scripts come in runs. */
            while (at < s->end && (unsigned char)*at >= 0x80) {
                size_t len = utf8_sequence(at, s->end);
                if (len == 0)
                    return fault(s, JSON_UTF8, at);
                at += len;
            }
        }
    }
    *ret_escaped = escaped;
    return at + 1;
}

static inline const char *skip_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

/* `at` is behind the `e`. */
static const char *scan_exponent(struct scanner *s, const char *at)
{
    if (at < s->end && (*at == '+' || *at == '-'))
        at++;
    const char *from = at;
    at = skip_digits(at, s->end);
    if (at == from)
        return fault(s, JSON_SYNTAX, at);
    unsigned value = 0;
    for (const char *digit = from; digit < at; digit++) {
        value = value * 10 + (unsigned)(*digit - '0');
        if (value > s->rules->exponent_max || digit - from >= s->rules->digits_max)
            return fault(s, JSON_NUMBER, from);
    }
    return at;
}

static const char *scan_number(struct scanner *s, const char *at)
{
    if (*at == '-')
        at++;
    const char *from = at;
    if (at < s->end && *at == '0')
        at++;
    else
        at = skip_digits(at, s->end);
    if (at == from)
        return fault(s, JSON_SYNTAX, at);
    size_t digits = (size_t)(at - from);
    if (at < s->end && *at == '.') {
        const char *point = at++;
        at = skip_digits(at, s->end);
        if (at == point + 1)
            return fault(s, JSON_SYNTAX, at);
        digits += (size_t)(at - point) - 1;
    }
    if (digits > s->rules->digits_max)
        return fault(s, JSON_NUMBER, from);
    if (at < s->end && (*at == 'e' || *at == 'E'))
        return scan_exponent(s, at + 1);
    return at;
}

static const char *scan_literal(struct scanner *s, const char *at, struct bytes literal)
{
    if ((size_t)(s->end - at) < literal.len || memcmp(at, literal.ptr, literal.len) != 0)
        return fault(s, JSON_SYNTAX, at);
    return at + literal.len;
}

/* Behind the comma or the closing bracket that follows a member or element. */
static inline const char *scan_separator(struct scanner *s, const char *at, char close,
                                         bool *ret_closed)
{
    at = skip_blank(at, s->end);
    if (at >= s->end || (*at != ',' && *at != close))
        return fault(s, JSON_SYNTAX, at);
    *ret_closed = *at == close;
    return at + 1;
}

/* What a mark says about an object. */
struct key_facts {
    size_t members, shortest, longest;
};

static inline void note_key(struct key_facts *facts, size_t len)
{
    facts->members++;
    facts->shortest = len < facts->shortest ? len : facts->shortest;
    facts->longest = len > facts->longest ? len : facts->longest;
}

/* A key, the colon and the value. */
static const char *scan_member(struct scanner *s, const char *at, struct json_object_keys *keys,
                               struct key_facts *facts)
{
    at = skip_blank(at, s->end);
    if (at >= s->end || *at != '"')
        return fault(s, JSON_SYNTAX, at);
    const char *key = at + 1;
    bool escaped = false;
    at = scan_string(s, key, &escaped);
    if (at == NULL)
        return NULL;
    struct bytes name = { key, (size_t)(at - 1 - key) };
    note_key(facts, name.len);
    enum json_key_verdict verdict =
        s->rules->duplicates ? JSON_KEY_NEW : json_keys_add(&s->table, keys, name, escaped);
    if (verdict != JSON_KEY_NEW)
        return fault(s, verdict == JSON_KEY_KNOWN ? JSON_DUPLICATE_KEY : JSON_NO_MEMORY, key);
    at = skip_blank(at, s->end);
    if (at >= s->end || *at != ':')
        return fault(s, JSON_SYNTAX, at);
    return scan_value(s, at + 1);
}

/* `mark` may be NULL. */
static const char *scan_object(struct scanner *s, const char *at, struct json_mark *mark)
{
    struct json_object_keys keys;
    struct key_facts facts = { .shortest = SIZE_MAX };
    json_object_keys_init(&keys);
    at = skip_blank(at, s->end);
    bool closed = at < s->end && *at == '}';
    at += closed;
    while (at != NULL && !closed) {
        at = scan_member(s, at, &keys, &facts);
        if (at != NULL)
            at = scan_separator(s, at, '}', &closed);
    }
    if (mark != NULL) {
        mark->members = facts.members;
        mark->key_min = facts.shortest;
        mark->key_max = facts.longest;
    }
    return at;
}

static const char *scan_array(struct scanner *s, const char *at)
{
    at = skip_blank(at, s->end);
    if (at < s->end && *at == ']')
        return at + 1;
    bool closed = false;
    while (at != NULL && !closed) {
        at = scan_value(s, at);
        if (at != NULL)
            at = scan_separator(s, at, ']', &closed);
    }
    return at;
}

static const char *scan_container(struct scanner *s, const char *at)
{
    if (s->depth >= s->rules->depth_max || s->depth >= JSON_DEPTH_CEILING)
        return fault(s, JSON_DEPTH, at);
    struct json_mark *mark = NULL;
    if (s->depth < MARKED_DEPTH && s->marks != NULL && s->marks->count < JSON_MARKS) {
        mark = &s->marks->items[s->marks->count++];
        *mark = (struct json_mark){ .from = at };
    }
    s->depth++;
    at = *at == '{' ? scan_object(s, at + 1, mark) : scan_array(s, at + 1);
    s->depth--;
    if (mark != NULL)
        mark->to = at;
    return at;
}

static const char *scan_value(struct scanner *s, const char *at)
{
    at = skip_blank(at, s->end);
    if (at >= s->end)
        return fault(s, JSON_SYNTAX, at);
    bool escaped;
    switch (*at) {
    case '"':
        return scan_string(s, at + 1, &escaped);
    case '{':
    case '[':
        return scan_container(s, at);
    case 't':
        return scan_literal(s, at, BYTES("true"));
    case 'f':
        return scan_literal(s, at, BYTES("false"));
    case 'n':
        return scan_literal(s, at, BYTES("null"));
    default:
        return scan_number(s, at);
    }
}

static enum json_fault scan_text(struct scanner *s, struct bytes text)
{
    json_key_table_init(&s->table, text.ptr, s->rules->hash_seed);
    const char *at = scan_value(s, text.ptr);
    if (at != NULL) {
        at = skip_blank(at, s->end);
        if (at != s->end)
            (void)fault(s, JSON_SYNTAX, at);
    }
    json_key_table_release(&s->table);
    return s->fault;
}

enum json_fault json_check(struct bytes text, const struct json_rules *rules, size_t *ret_at)
{
    return json_check_marking(text, rules, NULL, ret_at);
}

enum json_fault json_check_marking(struct bytes text, const struct json_rules *rules,
                                   struct json_marks *ret_marks, size_t *ret_at)
{
    if (ret_marks != NULL)
        ret_marks->count = 0;
    if (text.len >= UINT32_MAX)
        return JSON_TOO_LONG;
    if (text.len == 0)
        text = BYTES("");
    struct scanner s;
    s.end = text.ptr + text.len;
    s.rules = rules;
    s.depth = 0;
    s.fault = JSON_SOUND;
    s.fault_at = text.ptr;
    s.marks = ret_marks;
    enum json_fault found = scan_text(&s, text);
    if (found == JSON_SOUND)
        return JSON_SOUND;
    if (ret_at != NULL)
        *ret_at = (size_t)(s.fault_at - text.ptr);
    /* Whoever reads the text must first be able to decode it; so that comes first, too. */
    if (found != JSON_NO_MEMORY && !json_is_utf8(text))
        return JSON_UTF8;
    return found;
}

bool json_is_blank(struct bytes text)
{
    if (text.len == 0)
        return true;
    const char *end = text.ptr + text.len;
    return skip_blank(text.ptr, end) == end;
}
