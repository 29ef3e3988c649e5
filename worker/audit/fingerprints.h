/*
 * A set of 64-bit fingerprints: "was this seen before?" for tens of millions of things.
 *
 * Eight bytes a member, and a chance of a false "yes" of n^2 / 2^65 over all n members: for ten
 * million, one in 400,000. Members are never taken out.
 */
#ifndef WORKER_AUDIT_FINGERPRINTS_H
#define WORKER_AUDIT_FINGERPRINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero is the empty set. */
struct fingerprints {
    uint64_t *slots; /* 0 is a free one */
    size_t capacity; /* a power of two */
    size_t count;
};

void fingerprints_release(struct fingerprints *set);

/* Sets `*ret_new` to whether it was not in the set. False when memory is short. */
bool fingerprints_add(struct fingerprints *set, uint64_t fingerprint, bool *ret_new);

#endif
