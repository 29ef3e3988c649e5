#include "common/hash.h"

#include <assert.h>
#include <sodium.h>

bool hash_init(void)
{
    return sodium_init() >= 0;
}

void hash_seed(uint64_t ret_seed[static 2])
{
    randombytes_buf(ret_seed, 2 * sizeof ret_seed[0]);
}

uint64_t hash_short(struct bytes bytes, const uint64_t seed[static 2])
{
    _Static_assert(crypto_shorthash_KEYBYTES == 2 * sizeof(uint64_t), "the seed is the key");
    uint64_t hash = 0;
    _Static_assert(crypto_shorthash_BYTES == sizeof hash, "one word");
    (void)crypto_shorthash((unsigned char *)&hash, (const unsigned char *)bytes.ptr, bytes.len,
                           (const unsigned char *)seed);
    return hash;
}

void hash_256(struct bytes bytes, uint8_t ret_hash[static HASH_256_BYTES])
{
    struct hash hash;
    hash_start(&hash, HASH_256_BYTES);
    hash_add(&hash, bytes);
    hash_end(&hash, ret_hash, HASH_256_BYTES);
}

void hash_start(struct hash *hash, size_t size)
{
    int failed = crypto_generichash_blake2b_init(&hash->state, NULL, 0, size);
    assert(failed == 0);
    (void)failed;
}

void hash_add(struct hash *hash, struct bytes bytes)
{
    if (bytes.len != 0)
        (void)crypto_generichash_blake2b_update(&hash->state, (const unsigned char *)bytes.ptr,
                                                bytes.len);
}

void hash_add_u64(struct hash *hash, uint64_t value)
{
    char text[8];
    for (unsigned i = 0; i < sizeof text; i++)
        text[i] = (char)(value >> (56 - 8 * i) & 0xff);
    hash_add(hash, (struct bytes){ text, sizeof text });
}

void hash_end(struct hash *hash, uint8_t *ret_hash, size_t size)
{
    (void)crypto_generichash_blake2b_final(&hash->state, ret_hash, size);
}
