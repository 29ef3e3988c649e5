/*
 * The strict scanner against jansson: they take the same texts, and read the same values in them.
 * Where they may differ is written down: ours has limits, which are looked for in the text by a
 * third, simpler reader; theirs has a largest double.
 */
#include "common/json.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DEPTH_MAX    64
#define DIGITS_MAX   300
#define EXPONENT_MAX 250

/* The largest of everything in a text that is sound but for our limits. */
struct extent {
    unsigned depth, digits, exponent;
};

static unsigned larger(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

/* The digits of the exponent are counted by themselves. */
static size_t measure_number(struct bytes text, size_t at, struct extent *extent)
{
    unsigned digits[2] = { 0, 0 }, exponent = 0;
    bool in_exponent = false;
    for (; at < text.len && strchr("0123456789.eE+-", text.ptr[at]) != NULL; at++) {
        char c = text.ptr[at];
        in_exponent = in_exponent || c == 'e' || c == 'E';
        if (!isdigit((unsigned char)c))
            continue;
        digits[in_exponent]++;
        if (in_exponent)
            exponent = exponent > 100000 ? exponent : exponent * 10 + (unsigned)(c - '0');
    }
    extent->digits = larger(extent->digits, larger(digits[0], digits[1]));
    extent->exponent = larger(extent->exponent, exponent);
    return at;
}

static struct extent measure(struct bytes text)
{
    struct extent extent = { 0, 0, 0 };
    unsigned depth = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '"') {
            for (i++; i < text.len && text.ptr[i] != '"'; i++)
                i += text.ptr[i] == '\\';
        } else if (c == '[' || c == '{') {
            extent.depth = larger(extent.depth, ++depth);
        } else if (c == ']' || c == '}') {
            depth -= depth > 0;
        } else if (c == '-' || isdigit((unsigned char)c)) {
            i = measure_number(text, i, &extent) - 1;
        }
    }
    return extent;
}

static bool same_value(struct bytes value, const json_t *theirs, struct arena *arena);

static bool same_object(struct bytes value, const json_t *theirs, struct arena *arena)
{
    struct json_cursor cursor = json_open(value);
    struct json_member member;
    size_t count = 0;
    for (; json_next_member(&cursor, &member); count++) {
        char *key = arena_alloc(arena, member.key.len + 1);
        size_t len;
        if (key == NULL || !json_unescape(member.key, key, &len))
            return false;
        key[len] = '\0';
        const json_t *other = json_object_get(theirs, key);
        if (other == NULL || !same_value(member.value, other, arena) ||
            (len <= 64 && !json_key_is(&member, (struct bytes){ key, len })))
            return false;
    }
    return count == json_object_size(theirs);
}

static bool same_array(struct bytes value, const json_t *theirs, struct arena *arena)
{
    struct json_cursor cursor = json_open(value);
    struct bytes element;
    size_t count = 0;
    for (; json_next_element(&cursor, &element); count++) {
        const json_t *other = json_array_get(theirs, count);
        if (other == NULL || !same_value(element, other, arena))
            return false;
    }
    return count == json_array_size(theirs);
}

static bool same_string(struct bytes value, const json_t *theirs, struct arena *arena)
{
    struct bytes text;
    return json_read_string(value, arena, &text) &&
           bytes_equal(text,
                       (struct bytes){ json_string_value(theirs), json_string_length(theirs) });
}

static bool same_number(struct bytes value, const json_t *theirs, struct arena *arena)
{
    char *text = arena_alloc(arena, value.len + 1), *end;
    if (text == NULL)
        return false;
    memcpy(text, value.ptr, value.len);
    text[value.len] = '\0';
    double number = strtod(text, &end);
    return *end == '\0' && !(number < json_real_value(theirs)) &&
           !(number > json_real_value(theirs));
}

static bool same_value(struct bytes value, const json_t *theirs, struct arena *arena)
{
    switch (json_kind(value)) {
    case JSON_KIND_OBJECT:
        return json_is_object(theirs) && same_object(value, theirs, arena);
    case JSON_KIND_ARRAY:
        return json_is_array(theirs) && same_array(value, theirs, arena);
    case JSON_KIND_STRING:
        return json_is_string(theirs) && same_string(value, theirs, arena);
    case JSON_KIND_NUMBER:
        return json_is_real(theirs) && same_number(value, theirs, arena);
    case JSON_KIND_TRUE:
        return json_is_true(theirs) && bytes_equal(value, BYTES("true"));
    case JSON_KIND_FALSE:
        return json_is_false(theirs) && bytes_equal(value, BYTES("false"));
    case JSON_KIND_NULL:
        return json_is_null(theirs) && json_is_null_value(value);
    default:
        return false;
    }
}

/* Whether the two may say different things of this text. */
static bool may_differ(enum json_fault fault, struct extent extent, const json_error_t *error)
{
    if (fault == JSON_SOUND)
        return json_error_code(error) == json_error_numeric_overflow;
    return (fault == JSON_NUMBER &&
            (extent.digits > DIGITS_MAX || extent.exponent > EXPONENT_MAX)) ||
           (fault == JSON_DEPTH && extent.depth > DEPTH_MAX);
}

static void check_against(struct bytes text, enum json_fault fault)
{
    json_error_t error = { 0 };
    json_t *theirs =
        json_loadb(text.ptr, text.len,
                   JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &error);
    struct extent extent = measure(text);
    if ((fault == JSON_SOUND) != (theirs != NULL) && !may_differ(fault, extent, &error))
        abort();
    if (fault == JSON_SOUND &&
        (extent.depth > DEPTH_MAX || extent.digits > DIGITS_MAX || extent.exponent > EXPONENT_MAX))
        abort();
    if (fault == JSON_SOUND && theirs != NULL) {
        struct arena arena;
        arena_init(&arena, 4096, 0);
        if (!same_value(json_trim(text), theirs, &arena))
            abort();
        arena_release(&arena);
    }
    json_decref(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct json_rules rules = { .depth_max = DEPTH_MAX,
                                      .digits_max = DIGITS_MAX,
                                      .exponent_max = EXPONENT_MAX,
                                      .hash_seed = { 1, 2 } };
    struct bytes text = { (const char *)data, size };
    enum json_fault fault = json_check(text, &rules, NULL);
    json_t *as_string = json_stringn(text.ptr, text.len);
    if ((fault == JSON_UTF8) != (as_string == NULL))
        abort();
    json_decref(as_string);
    if (memchr(data, '\0', size) == NULL)
        check_against(text, fault);
    else if (fault == JSON_SOUND) /* jansson sees the end there */
        abort();
    return 0;
}
