#include "worker/audit/fingerprints.h"

#include <stdlib.h>

void fingerprints_release(struct fingerprints *set)
{
    free(set->slots);
    *set = (struct fingerprints){ 0 };
}

/* Where it is, or the free slot where it would be. */
static size_t slot_of(const uint64_t *slots, size_t capacity, uint64_t fingerprint)
{
    size_t i = fingerprint & (capacity - 1);
    while (slots[i] != 0 && slots[i] != fingerprint)
        i = (i + 1) & (capacity - 1);
    return i;
}

static bool grow(struct fingerprints *set)
{
    size_t capacity = set->capacity == 0 ? 1024 : set->capacity * 2;
    uint64_t *slots = calloc(capacity, sizeof *slots);
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < set->capacity; i++) {
        if (set->slots[i] != 0)
            slots[slot_of(slots, capacity, set->slots[i])] = set->slots[i];
    }
    free(set->slots);
    set->slots = slots;
    set->capacity = capacity;
    return true;
}

bool fingerprints_add(struct fingerprints *set, uint64_t fingerprint, bool *ret_new)
{
    if (set->count * 4 >= set->capacity * 3 && !grow(set))
        return false;
    uint64_t member = fingerprint == 0 ? 1 : fingerprint;
    size_t i = slot_of(set->slots, set->capacity, member);
    *ret_new = set->slots[i] == 0;
    if (*ret_new) {
        set->slots[i] = member;
        set->count++;
    }
    return true;
}
