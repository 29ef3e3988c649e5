/*
 * A hash table from UUID to pointer, in an arena: open addressing, linear probing, no removal.
 *
 * The hash is keyed: attempt ids come from outside, and nobody who does not know the key can
 * choose ids that collide. Iteration order is not promised; keep a list beside it if you need one.
 */
#ifndef COMMON_UUID_MAP_H
#define COMMON_UUID_MAP_H

#include "common/arena.h"
#include "common/uuid.h"

struct uuid_slot {
    struct uuid key;
    void *value; /* NULL marks an empty slot */
};

struct uuid_map {
    struct arena *arena;
    uint64_t secret;
    struct uuid_slot *slots;
    size_t slot_count; /* a power of two, or 0 before the first insertion */
    size_t used;
};

void uuid_map_init(struct uuid_map *map, struct arena *arena, uint64_t secret);

/* NULL when the key is not there. */
void *uuid_map_get(const struct uuid_map *map, const struct uuid *key);

/*
 * The place of the key's value, made (holding NULL) when it was not there; the caller stores a
 * value that is not NULL before the next call. NULL when memory is short.
 */
void **uuid_map_place(struct uuid_map *map, const struct uuid *key);

#endif
