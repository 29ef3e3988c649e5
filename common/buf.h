/*
 * Growing bytes with a ceiling and a sticky failure.
 *
 * A row of buf_put calls is checked once at the end: the first append that fails (ceiling or
 * memory) sets `failed`, after which every append is a no-op. The buffer owns its memory and keeps
 * it over buf_clear(), so that a reused buffer stops allocating.
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include "common/bytes.h"

#include <stdint.h>
#include <string.h>

struct buf {
    char *ptr;
    size_t len;
    size_t capacity;
    size_t limit_bytes;
    bool failed;
};

void buf_init(struct buf *buf, size_t limit_bytes);
void buf_release(struct buf *buf);
void buf_clear(struct buf *buf); /* empty and not failed; memory stays */

void buf_put_int(struct buf *buf, int64_t value); /* decimal text */
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Big-endian integers, for PostgreSQL's binary formats. */
void buf_put_u16(struct buf *buf, uint16_t value);
void buf_put_u32(struct buf *buf, uint32_t value);
void buf_put_u64(struct buf *buf, uint64_t value);

/* Room for `bytes` more, to be filled by the caller; NULL when that failed. */
char *buf_extend(struct buf *buf, size_t bytes);

/* Events are made of many small appends: what fits costs no call. */
static inline void buf_put(struct buf *buf, struct bytes b)
{
    if (b.len == 0)
        return;
    char *at;
    if (!buf->failed && b.len <= buf->capacity - buf->len) {
        at = buf->ptr + buf->len;
        buf->len += b.len;
    } else {
        at = buf_extend(buf, b.len);
    }
    if (at != NULL)
        memcpy(at, b.ptr, b.len);
}

static inline void buf_put_char(struct buf *buf, char c)
{
    buf_put(buf, (struct bytes){ &c, 1 });
}

static inline struct bytes buf_bytes(const struct buf *buf)
{
    return (struct bytes){ buf->ptr ? buf->ptr : "", buf->len };
}

#endif
