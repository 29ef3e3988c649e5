#include "worker/commands/escape.h"

#include "common/utf8.h"

#include <stdio.h>

/* One piece of escaped text is at most a pair of \uNNNN. */
#define PIECE_BYTES 13

static struct bytes escape_byte(unsigned char c, char piece[PIECE_BYTES])
{
    if (c == '\\')
        return BYTES("\\\\");
    if (c == '\n')
        return BYTES("\\n");
    if (c == '\r')
        return BYTES("\\r");
    if (c == '\t')
        return BYTES("\\t");
    bool plain = c >= 0x20 && c < 0x7f;
    int len = snprintf(piece, PIECE_BYTES, plain ? "%c" : "\\x%02x", c);
    return (struct bytes){ piece, (size_t)len };
}

void escape_bytes(struct buf *out, struct bytes bytes)
{
    char piece[PIECE_BYTES];
    for (size_t i = 0; i < bytes.len; i++)
        buf_put(out, escape_byte((unsigned char)bytes.ptr[i], piece));
}

static void print(struct bytes piece)
{
    (void)fwrite(piece.ptr, 1, piece.len, stdout);
}

void escape_print_bytes(struct bytes bytes)
{
    char piece[PIECE_BYTES];
    for (size_t i = 0; i < bytes.len; i++)
        print(escape_byte((unsigned char)bytes.ptr[i], piece));
}

static uint32_t code_point(const char *at, size_t len)
{
    static const unsigned char masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    uint32_t code = (unsigned char)at[0] & masks[len];
    for (size_t i = 1; i < len; i++)
        code = code << 6 | ((unsigned char)at[i] & 0x3fu);
    return code;
}

/* The character at `*at`, which is moved past it. */
static struct bytes escape_character(const char **at, const char *end, char piece[PIECE_BYTES])
{
    size_t len = utf8_sequence(*at, end);
    int written;
    if (len <= 1) {
        /* DEL, and what is no UTF-8, do not come from a JSON column */
        unsigned char c = (unsigned char)*(*at)++;
        bool plain = c == '\n' || (c >= 0x20 && c < 0x7f);
        written = snprintf(piece, PIECE_BYTES, plain ? "%c" : "\\u%04x", c);
        return (struct bytes){ piece, (size_t)written };
    }
    uint32_t code = code_point(*at, len);
    if (code >= 0x10000)
        written = snprintf(piece, PIECE_BYTES, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
                           0xdc00 + ((code - 0x10000) & 0x3ff));
    else
        written = snprintf(piece, PIECE_BYTES, "\\u%04x", code);
    *at += len;
    return (struct bytes){ piece, (size_t)written };
}

void escape_json(struct buf *out, struct bytes json)
{
    char piece[PIECE_BYTES];
    for (const char *at = json.ptr, *end = json.ptr + json.len; at < end;)
        buf_put(out, escape_character(&at, end, piece));
}

void escape_print_json(struct bytes json)
{
    char piece[PIECE_BYTES];
    for (const char *at = json.ptr, *end = json.ptr + json.len; at < end;)
        print(escape_character(&at, end, piece));
    (void)putchar('\n');
}
