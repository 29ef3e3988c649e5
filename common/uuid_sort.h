/*
 * Sorting things by their UUIDs, in the order of uuid_compare() (which is PostgreSQL's).
 *
 * What is moved about is a key of 24 bytes, compared as two numbers, and not the thing itself. A
 * merge sort: n log n whatever ids a sender chooses, and stable.
 */
#ifndef COMMON_UUID_SORT_H
#define COMMON_UUID_SORT_H

#include "common/uuid.h"

#include <stddef.h>

struct uuid_key {
    uint64_t high, low; /* the bytes as two big-endian numbers */
    void *value;
};

struct uuid_key uuid_key(const struct uuid *uuid, void *value);

/* `scratch` has room for `count` keys, too. Returns the one of the two that holds the result. */
struct uuid_key *uuid_sort(struct uuid_key *keys, struct uuid_key *scratch, size_t count);

#endif
