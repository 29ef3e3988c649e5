#include "worker/commands/escape.h"

#include "common/utf8.h"

#include <stdio.h>

#define SHOWN_BYTES_MAX ((size_t)256 << 20)

void escape_bytes(struct buf *out, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        if (c == '\\')
            buf_put(out, BYTES("\\\\"));
        else if (c == '\n')
            buf_put(out, BYTES("\\n"));
        else if (c == '\r')
            buf_put(out, BYTES("\\r"));
        else if (c == '\t')
            buf_put(out, BYTES("\\t"));
        else if (c >= 0x20 && c < 0x7f)
            buf_put_char(out, (char)c);
        else
            buf_printf(out, "\\x%02x", c);
    }
}

static uint32_t code_point(const char *at, size_t len)
{
    static const unsigned char masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    uint32_t code = (unsigned char)at[0] & masks[len];
    for (size_t i = 1; i < len; i++)
        code = code << 6 | ((unsigned char)at[i] & 0x3fu);
    return code;
}

void escape_json(struct buf *out, struct bytes json)
{
    const char *at = json.ptr, *end = json.ptr + json.len;
    while (at < end) {
        size_t len = utf8_sequence(at, end);
        if (len <= 1) {
            /* DEL, and what is no UTF-8, do not come from a JSON column */
            unsigned char c = (unsigned char)*at++;
            if (c == '\n' || (c >= 0x20 && c < 0x7f))
                buf_put_char(out, (char)c);
            else
                buf_printf(out, "\\u%04x", c);
            continue;
        }
        uint32_t code = code_point(at, len);
        if (code >= 0x10000)
            buf_printf(out, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
                       0xdc00 + ((code - 0x10000) & 0x3ff));
        else
            buf_printf(out, "\\u%04x", code);
        at += len;
    }
}

void escape_print_json(struct bytes json)
{
    struct buf out;
    buf_init(&out, SHOWN_BYTES_MAX);
    escape_json(&out, json);
    (void)fwrite(buf_bytes(&out).ptr, 1, out.len, stdout);
    (void)putchar('\n');
    buf_release(&out);
}
