/*
 * Fuzzed bytes as a list of choices: each call takes some from the front. What is used up gives
 * zeros, so that any input makes something. The bytes are copied to the heap, exactly, so that
 * reading past a slice is seen.
 */
#ifndef TESTS_FUZZ_SLICES_H
#define TESTS_FUZZ_SLICES_H

#include "common/bytes.h"

#include <stdint.h>
#include <stdlib.h>

#define SLICES_MAX 64

struct slices {
    const uint8_t *at;
    size_t left;
    char *owned[SLICES_MAX];
    unsigned count;
};

static inline struct slices slices_of(const uint8_t *data, size_t size)
{
    return (struct slices){ .at = data, .left = size };
}

static inline void slices_release(struct slices *slices)
{
    for (unsigned i = 0; i < slices->count; i++)
        free(slices->owned[i]);
}

/* A number below `below`. */
static inline unsigned slices_choice(struct slices *slices, unsigned below)
{
    if (slices->left == 0)
        return 0;
    slices->left--;
    return *slices->at++ % below;
}

/* At most `max` bytes; all that are left with SIZE_MAX. */
static inline struct bytes slices_bytes(struct slices *slices, size_t max)
{
    size_t len = max == SIZE_MAX ? slices->left : slices_choice(slices, 256) % (max + 1);
    len = len < slices->left ? len : slices->left;
    char *copy = malloc(len == 0 ? 1 : len);
    if (copy == NULL || slices->count == SLICES_MAX)
        abort();
    slices->owned[slices->count++] = copy;
    if (len > 0)
        memcpy(copy, slices->at, len);
    slices->at += len;
    slices->left -= len;
    return (struct bytes){ copy, len };
}

#endif
