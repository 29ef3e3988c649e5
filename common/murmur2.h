/*
 * MurmurHash2 (Austin Appleby, public domain) as Java's Kafka client uses it to choose a partition:
 * 32 bits, little-endian, with its seed. No defence against chosen keys.
 */
#ifndef COMMON_MURMUR2_H
#define COMMON_MURMUR2_H

#include "common/bytes.h"

#include <stdint.h>

uint32_t murmur2(struct bytes key);

/* The partition of a key among `count` (positive) partitions. */
static inline int32_t murmur2_partition(struct bytes key, int32_t count)
{
    return (int32_t)((murmur2(key) & 0x7fffffffu) % (uint32_t)count);
}

#endif
