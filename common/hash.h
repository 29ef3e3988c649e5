/*
 * Hashes, thinly over libsodium: a keyed short one for hash tables, BLAKE2b for identities.
 *
 * hash_init() once at the program's start, before anything that needs libsodium.
 */
#ifndef COMMON_HASH_H
#define COMMON_HASH_H

#include "common/bytes.h"

#include <sodium/crypto_generichash_blake2b.h>
#include <stdbool.h>
#include <stdint.h>

#define HASH_256_BYTES 32
#define HASH_128_BYTES 16

/* False when libsodium cannot work on this machine. May be called again. */
bool hash_init(void);

/* Random bits for hash_short(), so that a sender cannot choose colliding keys. */
void hash_seed(uint64_t ret_seed[static 2]);

/* SipHash-2-4: for tables whose keys come from outside. */
uint64_t hash_short(struct bytes bytes, const uint64_t seed[static 2]);

/* BLAKE2b-256 of `bytes`, without a key. */
void hash_256(struct bytes bytes, uint8_t ret_hash[static HASH_256_BYTES]);

/* BLAKE2b piece by piece. The hash is `size` bytes long (16 to 64), given at the start and again
 * at the end. */
struct hash {
    crypto_generichash_blake2b_state state;
};

void hash_start(struct hash *hash, size_t size);
void hash_add(struct hash *hash, struct bytes bytes);
void hash_add_u64(struct hash *hash, uint64_t value); /* eight bytes, big-endian */
void hash_end(struct hash *hash, uint8_t *ret_hash, size_t size);

#endif
