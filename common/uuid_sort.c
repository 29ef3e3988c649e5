#include "common/uuid_sort.h"

#define RUN 8 /* so many are sorted by insertion before runs are merged */

static uint64_t big_endian(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < sizeof value; i++)
        value = value << 8 | bytes[i];
    return value;
}

struct uuid_key uuid_key(const struct uuid *uuid, void *value)
{
    return (struct uuid_key){ big_endian(uuid->bytes), big_endian(uuid->bytes + sizeof(uint64_t)),
                              value };
}

static inline bool is_before(const struct uuid_key *a, const struct uuid_key *b)
{
    return a->high != b->high ? a->high < b->high : a->low < b->low;
}

static void sort_run(struct uuid_key *keys, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct uuid_key key = keys[i];
        size_t at = i;
        for (; at > 0 && is_before(&key, &keys[at - 1]); at--)
            keys[at] = keys[at - 1];
        keys[at] = key;
    }
}

/* Two sorted neighbours, [0, middle) and [middle, count), into `to`. */
static void merge(const struct uuid_key *from, size_t middle, size_t count, struct uuid_key *to)
{
    size_t left = 0, right = middle;
    for (size_t at = 0; at < count; at++) {
        bool take_right = left == middle || (right < count && is_before(&from[right], &from[left]));
        to[at] = from[take_right ? right : left];
        right += take_right;
        left += !take_right;
    }
}

struct uuid_key *uuid_sort(struct uuid_key *keys, struct uuid_key *scratch, size_t count)
{
    for (size_t at = 0; at < count; at += RUN)
        sort_run(keys + at, count - at < RUN ? count - at : RUN);
    for (size_t width = RUN; width < count; width *= 2) {
        for (size_t at = 0; at < count; at += 2 * width) {
            size_t both = count - at < 2 * width ? count - at : 2 * width;
            merge(keys + at, both < width ? both : width, both, scratch + at);
        }
        struct uuid_key *sorted = scratch;
        scratch = keys;
        keys = sorted;
    }
    return keys;
}
