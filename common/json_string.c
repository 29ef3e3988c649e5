/*
 * Strings of JSON: escapes undone and written.
 */
#include "common/json.h"
#include "common/utf8.h"

struct bytes json_unquote(struct bytes value)
{
    if (value.len < 2)
        return (struct bytes){ value.ptr, 0 };
    return (struct bytes){ value.ptr + 1, value.len - 2 };
}

static unsigned hex4(const char *at)
{
    unsigned value = 0;
    for (unsigned i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)at[i];
        value = value << 4 | ((c <= '9' ? c - 0u - '0' : (c | 0x20u) - 'a' + 10u) & 15u);
    }
    return value;
}

static size_t put_utf8(unsigned code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* The \uXXXX (or pair of them) at `*at`, which is behind the `u`; moved past it. */
static bool take_unicode(const char **at, const char *end, unsigned *ret_code)
{
    if (end - *at < 4)
        return false;
    unsigned code = hex4(*at);
    *at += 4;
    if (code >= 0xd800 && code <= 0xdbff) {
        if (end - *at < 6)
            return false;
        code = 0x10000 + ((code & 0x3ff) << 10) + (hex4(*at + 2) & 0x3ff);
        *at += 6;
    }
    *ret_code = code;
    return true;
}

bool json_unescape(struct bytes raw, char *out, size_t *ret_len)
{
    static const char names[] = "\"\\/bfnrt";
    static const char meant[] = "\"\\/\b\f\n\r\t";
    const char *at = raw.ptr;
    const char *end = raw.ptr + raw.len;
    char *to = out;
    while (at < end) {
        if (*at != '\\') {
            *to++ = *at++;
            continue;
        }
        if (end - at < 2)
            return false;
        char kind = at[1];
        at += 2;
        if (kind == 'u') {
            unsigned code;
            if (!take_unicode(&at, end, &code))
                return false;
            to += put_utf8(code, to);
            continue;
        }
        const char *name = kind == '\0' ? NULL : strchr(names, kind);
        if (name == NULL)
            return false;
        *to++ = meant[name - names];
    }
    *ret_len = (size_t)(to - out);
    return true;
}

bool json_read_string(struct bytes value, struct arena *arena, struct bytes *ret)
{
    struct bytes raw = json_unquote(value);
    if (raw.len == 0 || memchr(raw.ptr, '\\', raw.len) == NULL) {
        *ret = raw;
        return true;
    }
    char *text = arena_alloc(arena, raw.len);
    size_t len = 0;
    if (text == NULL || !json_unescape(raw, text, &len))
        return false;
    *ret = (struct bytes){ text, len };
    return true;
}

size_t json_unescaped_len(struct bytes raw)
{
    size_t len = 0;
    const char *at = raw.ptr;
    const char *end = raw.ptr + raw.len;
    while (at < end) {
        if (*at != '\\' || end - at < 2) {
            at++;
            len++;
            continue;
        }
        bool unicode = at[1] == 'u';
        at += 2;
        unsigned code = 0;
        char utf8[4];
        if (unicode && !take_unicode(&at, end, &code))
            return len;
        len += unicode ? put_utf8(code, utf8) : 1;
    }
    return len;
}

bool json_is_utf8(struct bytes text)
{
    if (text.len == 0)
        return true;
    const char *end = text.ptr + text.len;
    for (const char *at = text.ptr; at < end;) {
        size_t len = utf8_sequence(at, end);
        if (len == 0)
            return false;
        at += len;
    }
    return true;
}

static void put_escape(struct buf *buf, unsigned char c)
{
    static const char names[] = "\"\\bfnrt";
    static const char meant[] = "\"\\\b\f\n\r\t";
    const char *found = c == '\0' ? NULL : strchr(meant, c);
    if (found == NULL) {
        buf_printf(buf, "\\u%04x", c);
        return;
    }
    buf_put_char(buf, '\\');
    buf_put_char(buf, names[found - meant]);
}

void json_put_string(struct buf *buf, struct bytes text)
{
    if (text.ptr == NULL)
        text = BYTES("");
    buf_put_char(buf, '"');
    const char *at = text.ptr;
    const char *end = text.ptr + text.len;
    const char *plain = at;
    while (at < end) {
        unsigned char c = (unsigned char)*at;
        bool is_plain = c >= ' ' && c != '"' && c != '\\';
        size_t len = c < 0x80 ? 1 : utf8_sequence(at, end);
        if (len != 0 && is_plain) {
            at += len;
            continue;
        }
        buf_put(buf, (struct bytes){ plain, (size_t)(at - plain) });
        if (len == 0)
            buf_put(buf, BYTES("\xef\xbf\xbd"));
        else
            put_escape(buf, c);
        plain = ++at;
    }
    buf_put(buf, (struct bytes){ plain, (size_t)(at - plain) });
    buf_put_char(buf, '"');
}
