/*
 * JSON as slices: check a text once and strictly, then walk it without building anything.
 *
 * json_check() is the gate: RFC 8259 and, beyond it, no duplicate keys, no \u0000, no lone
 * surrogates, bounded depth and numbers. What has passed can be walked by cursors, which trust the
 * grammar (but never read outside their bytes, so that a mistake is a wrong slice, not a crash).
 * Nothing is copied: keys and values are slices of the text, values raw as they were written. (The
 * names keep clear of jansson's, which the control plane uses beside it.)
 *
 *     if (json_check(text, &rules, NULL) == JSON_SOUND && json_kind(text) == JSON_KIND_OBJECT) {
 *         struct json_cursor cursor = json_open(text);
 *         struct json_member member;
 *         while (json_next_member(&cursor, &member))
 *             if (json_key_is(&member, BYTES("id")))
 *                 ... member.value ...
 *     }
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include "common/arena.h"
#include "common/buf.h"
#include "common/bytes.h"

#include <stdbool.h>
#include <stdint.h>

/* -------------------------------------------------------------------------------------- check */

enum json_fault {
    JSON_SOUND,         /* the text may be walked */
    JSON_SYNTAX,        /* not JSON, \u0000, a lone surrogate, or bytes after the end */
    JSON_UTF8,          /* the bytes are not UTF-8; said before any other fault of the text */
    JSON_DUPLICATE_KEY, /* equal keys in one object, compared after unescaping */
    JSON_DEPTH,         /* nested deeper than depth_max */
    JSON_NUMBER,        /* more digits or a larger exponent than the rules allow */
    JSON_TOO_LONG,      /* 4 GiB or more */
    JSON_NO_MEMORY      /* nothing was decided */
};

/* The scanner is recursive; whatever the rules say, it goes no deeper. */
#define JSON_DEPTH_CEILING 512

struct json_rules {
    unsigned depth_max;    /* the outermost container counts 1 */
    unsigned digits_max;   /* of a number as written, its exponent not counted */
    unsigned exponent_max; /* of its absolute value */
    bool duplicates;       /* let equal keys pass: to look for ids in a refused text */
    uint64_t hash_seed[2]; /* random, or a sender can choose keys that collide */
};

/*
 * The first fault of `text`, which must be one JSON value with nothing but white space around it.
 * `ret_at` (may be NULL) gets the byte offset where a fault was noticed. Takes memory of its own
 * only for objects with more than JSON_NEAR_KEYS keys, and gives it back.
 */
enum json_fault json_check(struct bytes text, const struct json_rules *rules, size_t *ret_at);

/*
 * What the check learns about the outermost containers of a text as it passes, so that a walk right
 * afterwards need not learn it again.
 */
#define JSON_MARKS 8

struct json_mark {
    const char *from; /* the opening bracket */
    const char *to;   /* behind the closing one */
    size_t members;   /* of an object ... */
    size_t key_min;   /* ... and its shortest and longest key, in bytes as written */
    size_t key_max;
};

struct json_marks {
    unsigned count;
    struct json_mark items[JSON_MARKS];
};

/* The mark of a container of the text; NULL when it has none. */
static inline const struct json_mark *json_mark_of(const struct json_marks *marks, const char *from)
{
    for (unsigned i = 0; i < marks->count; i++)
        if (marks->items[i].from == from)
            return &marks->items[i];
    return NULL;
}

/* json_check() that also sets `*ret_marks`, of use only for a sound text. */
enum json_fault json_check_marking(struct bytes text, const struct json_rules *rules,
                                   struct json_marks *ret_marks, size_t *ret_at);

/* Whether the bytes are UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool json_is_utf8(struct bytes text);

/* Whether there is nothing but JSON's white space. */
bool json_is_blank(struct bytes text);

/* --------------------------------------------------------------------------------------- walk */

enum json_kind {
    JSON_KIND_NONE, /* an empty slice */
    JSON_KIND_OBJECT,
    JSON_KIND_ARRAY,
    JSON_KIND_STRING,
    JSON_KIND_NUMBER,
    JSON_KIND_TRUE,
    JSON_KIND_FALSE,
    JSON_KIND_NULL
};

/* By the first byte of a value; white space before it is skipped. */
enum json_kind json_kind(struct bytes value);

/* Of a checked value as cursors give it, without white space. */
static inline bool json_is_null_value(struct bytes value)
{
    return value.len == 4 && value.ptr[0] == 'n';
}

/* The value without white space around it. */
struct bytes json_trim(struct bytes text);

struct json_cursor {
    const char *at;
    const char *end;
    const struct json_marks *marks; /* of the text that is walked; NULL for none */
};

struct json_member {
    struct bytes key;   /* without its quotes, escapes as written */
    bool key_escaped;   /* there are escapes in it */
    struct bytes value; /* raw, with the quotes of a string */
};

/* Before the first member or element of an object or array. */
struct json_cursor json_open(struct bytes container);
struct json_cursor json_open_marked(struct bytes container, const struct json_marks *marks);

/* The next member of an object, or element of an array; false at the end. */
bool json_next_member(struct json_cursor *cursor, struct json_member *ret);
bool json_next_element(struct json_cursor *cursor, struct bytes *ret_value);

/* Whether a key with escapes in it is `name`, which has at most 64 bytes. */
bool json_escaped_key_is(struct bytes key, struct bytes name);

/* Compares after unescaping. */
static inline bool json_key_is(const struct json_member *member, struct bytes name)
{
    return member->key_escaped ? json_escaped_key_is(member->key, name)
                               : bytes_equal(member->key, name);
}

/* Finds a member of an object by name; absent when there is none. */
struct bytes json_find(struct bytes object, struct bytes name);

/* ------------------------------------------------------------------------------------ strings */

/* A string value without its quotes, escapes as written. */
struct bytes json_unquote(struct bytes value);

/*
 * Unescapes the inside of a string. `out` needs raw.len bytes. False, with *ret_len unset, for
 * escapes that json_check() would have refused.
 */
bool json_unescape(struct bytes raw, char *out, size_t *ret_len);

/*
 * The text of a string value: a slice of it when there are no escapes, else unescaped into the
 * arena. False when the arena is full (or the value was never checked).
 */
bool json_read_string(struct bytes value, struct arena *arena, struct bytes *ret);

/* How many bytes the inside of a string has after unescaping. */
size_t json_unescaped_len(struct bytes raw);

/* Appends a JSON string: quotes, and only the escapes that JSON requires (short where there is a
 * short one, else \u00xx in lower case). Bytes that are not UTF-8 become U+FFFD. */
void json_put_string(struct buf *buf, struct bytes text);

#endif
