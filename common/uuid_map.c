#include "common/uuid_map.h"

#define FIRST_SLOTS 64

void uuid_map_init(struct uuid_map *map, struct arena *arena, uint64_t secret)
{
    *map = (struct uuid_map){ .arena = arena, .secret = secret };
}

/* One 64x64 multiplication folded to 64 bits, over both halves mixed with the secret. */
static size_t hash(const struct uuid_map *map, const struct uuid *key)
{
    uint64_t low, high;
    memcpy(&low, key->bytes, sizeof low);
    memcpy(&high, key->bytes + sizeof low, sizeof high);
    low ^= map->secret;
    high ^= map->secret * 0x9e3779b97f4a7c15u + 1;
    __extension__ typedef unsigned __int128 u128;
    u128 product = (u128)low * (high | 1);
    uint64_t folded = (uint64_t)product ^ (uint64_t)(product >> 64) ^ high;
    folded *= 0xbf58476d1ce4e5b9u;
    return (size_t)(folded ^ folded >> 32);
}

/* The slot of the key, or the empty one where it belongs. */
static struct uuid_slot *find(const struct uuid_map *map, const struct uuid *key)
{
    size_t at = hash(map, key) & (map->slot_count - 1);
    while (map->slots[at].value != NULL && !uuid_equal(&map->slots[at].key, key))
        at = (at + 1) & (map->slot_count - 1);
    return &map->slots[at];
}

void *uuid_map_get(const struct uuid_map *map, const struct uuid *key)
{
    return map->slot_count == 0 ? NULL : find(map, key)->value;
}

static bool grow(struct uuid_map *map)
{
    size_t count = map->slot_count == 0 ? FIRST_SLOTS : map->slot_count * 2;
    struct uuid_slot *slots = arena_calloc(map->arena, count, sizeof *slots);
    if (slots == NULL)
        return false;
    struct uuid_map bigger = *map;
    bigger.slots = slots;
    bigger.slot_count = count;
    for (size_t i = 0; i < map->slot_count; i++)
        if (map->slots[i].value != NULL)
            *find(&bigger, &map->slots[i].key) = map->slots[i];
    *map = bigger;
    return true;
}

void **uuid_map_place(struct uuid_map *map, const struct uuid *key)
{
    if (map->used * 4 >= map->slot_count * 3 && !grow(map))
        return NULL;
    struct uuid_slot *slot = find(map, key);
    if (slot->value == NULL) {
        slot->key = *key;
        map->used++;
    }
    return &slot->value;
}
