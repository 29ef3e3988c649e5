#include "worker/events/record.h"

#include "common/hash.h"

/* The length goes first, so that bytes cannot wander between key and value; absent is no length. */
static void add_part(struct hash *hash, struct bytes part)
{
    hash_add_u64(hash, bytes_present(part) ? (uint64_t)part.len : UINT64_MAX);
    hash_add(hash, part);
}

void record_hash(const struct record *record, uint8_t ret_hash[static RECORD_HASH_BYTES])
{
    struct hash hash;
    hash_start(&hash, RECORD_HASH_BYTES);
    add_part(&hash, record->key);
    add_part(&hash, record->value);
    hash_end(&hash, ret_hash, RECORD_HASH_BYTES);
}
