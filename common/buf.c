#include "common/buf.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *buf, size_t limit_bytes)
{
    *buf = (struct buf){ .limit_bytes = limit_bytes };
}

void buf_release(struct buf *buf)
{
    free(buf->ptr);
    *buf = (struct buf){ .limit_bytes = buf->limit_bytes };
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

static bool reserve(struct buf *buf, size_t more)
{
    if (buf->failed)
        return false;
    if (more > buf->limit_bytes || buf->len > buf->limit_bytes - more) {
        buf->failed = true;
        return false;
    }
    size_t need = buf->len + more;
    if (need <= buf->capacity)
        return true;
    size_t capacity = buf->capacity < 128 ? 256 : buf->capacity * 2;
    if (capacity < need)
        capacity = need;
    if (capacity > buf->limit_bytes)
        capacity = buf->limit_bytes; /* what fits may be put without another look at the limit */
    char *ptr = realloc(buf->ptr, capacity);
    if (ptr == NULL) {
        buf->failed = true;
        return false;
    }
    buf->ptr = ptr;
    buf->capacity = capacity;
    return true;
}

char *buf_extend(struct buf *buf, size_t bytes)
{
    if (!reserve(buf, bytes))
        return NULL;
    char *at = buf->ptr + buf->len;
    buf->len += bytes;
    return at;
}

void buf_put_int(struct buf *buf, int64_t value)
{
    char text[20]; /* INT64_MIN has 19 digits and a sign */
    size_t at = sizeof text;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        text[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (value < 0)
        text[--at] = '-';
    buf_put(buf, (struct bytes){ text + at, sizeof text - at });
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    /* One more for the NUL, which is not part of the contents. */
    if (length < 0 || !reserve(buf, (size_t)length + 1)) {
        buf->failed = true;
        return;
    }
    va_start(args, format);
    (void)vsnprintf(buf->ptr + buf->len, (size_t)length + 1, format, args);
    va_end(args);
    buf->len += (size_t)length;
}

void buf_put_u16(struct buf *buf, uint16_t value)
{
    uint16_t bytes = htobe16(value);
    buf_put(buf, (struct bytes){ (const char *)&bytes, sizeof bytes });
}

void buf_put_u32(struct buf *buf, uint32_t value)
{
    uint32_t bytes = htobe32(value);
    buf_put(buf, (struct bytes){ (const char *)&bytes, sizeof bytes });
}

void buf_put_u64(struct buf *buf, uint64_t value)
{
    uint64_t bytes = htobe64(value);
    buf_put(buf, (struct bytes){ (const char *)&bytes, sizeof bytes });
}
