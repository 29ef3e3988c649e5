/*
 * Which keys an object already has: the duplicate test of json_check().
 *
 * The first JSON_NEAR_KEYS keys of an object are compared with each other by a fingerprint, on the
 * stack and without hashing. From the next one on they live in one hash table for the whole text
 * (an entry names its object too, so that nothing has to be taken out when an object ends). The
 * table is keyed and its work linear in the text, whatever keys a sender chooses.
 */
#ifndef COMMON_JSON_KEYS_H
#define COMMON_JSON_KEYS_H

#include "common/bytes.h"

#include <stdint.h>

#define JSON_NEAR_KEYS   64
#define JSON_FIRST_SLOTS 256

/* A key: where it is in the text, without its quotes. */
struct json_key {
    uint32_t at;
    uint32_t len;
};

/* The keys of one object that is being scanned. */
struct json_object_keys {
    uint32_t count;
    uint32_t object;                 /* a number of its own, once its keys are in the table */
    uint32_t prints[JSON_NEAR_KEYS]; /* the first `count` are set */
    struct json_key keys[JSON_NEAR_KEYS];
};

struct json_key_slot {
    struct json_key key; /* at == 0: the slot is free, as no key stands at the start of a text */
    uint32_t tag;
    uint32_t object;
};

/* The table of one text. */
struct json_key_table {
    const char *text;
    const uint64_t *seed;
    uint32_t objects;
    size_t slot_count; /* a power of two; 0 before the first use */
    size_t used;
    struct json_key_slot *slots; /* `first`, or from the heap */
    char *unescaped[2];          /* room for two keys, from the heap, only if there are escapes */
    size_t unescaped_bytes[2];
    struct json_key_slot first[JSON_FIRST_SLOTS];
};

enum json_key_verdict { JSON_KEY_NEW, JSON_KEY_KNOWN, JSON_KEY_NO_MEMORY };

void json_key_table_init(struct json_key_table *table, const char *text, const uint64_t *seed);
void json_key_table_release(struct json_key_table *table);

static inline void json_object_keys_init(struct json_object_keys *object)
{
    object->count = 0;
}

/* Notes one key, or says that the object has it already. `escaped`: there are escapes in it. */
enum json_key_verdict json_keys_add(struct json_key_table *table, struct json_object_keys *object,
                                    struct bytes key, bool escaped);

#endif
