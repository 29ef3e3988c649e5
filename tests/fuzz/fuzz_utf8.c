/*
 * UTF-8 and what escapes it: jansson finds the same bytes valid; a string that is written is read
 * back; and nothing that is shown on a terminal can move its cursor.
 */
#include "common/json.h"
#include "worker/commands/escape.h"

#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct json_rules rules = { .depth_max = 4, .digits_max = 9, .exponent_max = 9 };

static void check_string(struct bytes text, bool valid, struct buf *out, struct arena *arena)
{
    struct bytes back;
    buf_clear(out);
    json_put_string(out, text);
    bool has_nul = text.len > 0 && memchr(text.ptr, '\0', text.len) != NULL;
    if (json_check(buf_bytes(out), &rules, NULL) != (has_nul ? JSON_SYNTAX : JSON_SOUND))
        abort();
    if (!has_nul && (!json_read_string(buf_bytes(out), arena, &back) || !json_is_utf8(back) ||
                     bytes_equal(back, text) != valid))
        abort();
}

static void check_escaped(struct bytes text, struct buf *out)
{
    buf_clear(out);
    escape_bytes(out, text);
    for (size_t i = 0; i < out->len; i++)
        if (out->ptr[i] < ' ' || out->ptr[i] > '~')
            abort();
}

/* As it comes from a JSON column: without white space but the blanks. */
static void check_json(struct buf *string, struct buf *out)
{
    buf_clear(out);
    escape_json(out, buf_bytes(string));
    json_t *before = json_loadb(string->ptr, string->len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    json_t *after = json_loadb(out->ptr, out->len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (before == NULL || !json_equal(before, after))
        abort();
    json_decref(before);
    json_decref(after);
    for (size_t i = 0; i < out->len; i++)
        if (out->ptr[i] < ' ' || out->ptr[i] > '~')
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = { (const char *)data, size };
    json_t *theirs = json_stringn(text.ptr, text.len);
    bool valid = json_is_utf8(text);
    if (valid != (theirs != NULL))
        abort();
    json_decref(theirs);
    struct buf string, out;
    struct arena arena;
    buf_init(&string, 1 << 20);
    buf_init(&out, 1 << 20);
    arena_init(&arena, 4096, 0);
    check_string(text, valid, &string, &arena);
    check_escaped(text, &out);
    check_json(&string, &out);
    arena_release(&arena);
    buf_release(&out);
    buf_release(&string);
    return 0;
}
