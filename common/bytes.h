/*
 * A view of bytes: pointer and length, never owned, never terminated.
 *
 * Everything that comes from outside (record keys, values, headers, JSON members) travels as
 * `struct bytes`, so that a NUL inside it is a byte like any other. `ptr == NULL` means "absent",
 * which is not the same as empty.
 */
#ifndef COMMON_BYTES_H
#define COMMON_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct bytes {
    const char *ptr;
    size_t len;
};

/* A string literal as bytes. */
#define BYTES(literal)                                                                             \
    (struct bytes)                                                                                 \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

#define BYTES_NONE                                                                                 \
    (struct bytes)                                                                                 \
    {                                                                                              \
        NULL, 0                                                                                    \
    }

/* For printf("%.*s", BYTES_FMT(b)). */
#define BYTES_FMT(b) (int)(b).len, ((b).ptr ? (b).ptr : "")

static inline struct bytes bytes_of(const char *string)
{
    return (struct bytes){ string, string ? strlen(string) : 0 };
}

static inline bool bytes_present(struct bytes b)
{
    return b.ptr != NULL;
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool bytes_starts_with(struct bytes b, struct bytes prefix)
{
    return b.len >= prefix.len && memcmp(b.ptr, prefix.ptr, prefix.len) == 0;
}

/* Order by bytes, as PostgreSQL's "C" collation and jsonb-independent sorting do. */
static inline int bytes_compare(struct bytes a, struct bytes b)
{
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared == 0 ? 0 : memcmp(a.ptr, b.ptr, shared);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

#endif
