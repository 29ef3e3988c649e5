/*
 * A UUID as 16 bytes (RFC 9562), read only from its canonical lower-case text.
 *
 * One spelling is accepted, because Kafka partitions by the bytes of the text while PostgreSQL
 * compares the value: two spellings of one id would be two partitions and one row.
 */
#ifndef COMMON_UUID_H
#define COMMON_UUID_H

#include "common/bytes.h"

#include <stdint.h>

#define UUID_TEXT_LEN 36

struct uuid {
    uint8_t bytes[16];
};

/* True for 8-4-4-4-12 lower-case hex digits other than the nil UUID; sets `*ret` only then. */
bool uuid_parse(struct bytes text, struct uuid *ret);

/* Writes 36 characters and a NUL. Returns `text`. */
char *uuid_format(const struct uuid *uuid, char text[static UUID_TEXT_LEN + 1]);

static inline int uuid_compare(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

static inline bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
    return uuid_compare(a, b) == 0;
}

#endif
