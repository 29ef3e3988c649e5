#include "common/json_keys.h"

#include "common/hash.h"
#include "common/json.h"

#include <stdlib.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

void json_key_table_init(struct json_key_table *table, const char *text, const uint64_t *seed)
{
    /* Member by member: the 4 KiB of `first` are cleared only when they are needed. */
    table->text = text;
    table->seed = seed;
    table->objects = 0;
    table->slot_count = 0;
    table->used = 0;
    table->slots = table->first;
    table->unescaped[0] = table->unescaped[1] = NULL;
    table->unescaped_bytes[0] = table->unescaped_bytes[1] = 0;
}

void json_key_table_release(struct json_key_table *table)
{
    if (table->slots != table->first)
        free(table->slots);
    free(table->unescaped[0]);
    free(table->unescaped[1]);
}

/* The key as it reads, in one of two rooms of the table unless it has no escapes; absent when
 * there is no memory. */
static struct bytes unescaped(struct json_key_table *table, struct bytes key, unsigned room)
{
    if (memchr(key.ptr, '\\', key.len) == NULL)
        return key;
    if (table->unescaped_bytes[room] < key.len) {
        char *bigger = realloc(table->unescaped[room], key.len * 2);
        if (bigger == NULL)
            return BYTES_NONE;
        table->unescaped[room] = bigger;
        table->unescaped_bytes[room] = key.len * 2;
    }
    size_t len = 0;
    (void)json_unescape(key, table->unescaped[room], &len);
    return (struct bytes){ table->unescaped[room], len };
}

/* Whether the stored key is `key`, which is already unescaped (and may lie in room 0). */
static enum json_key_verdict compare(struct json_key_table *table, struct json_key stored,
                                     struct bytes key)
{
    struct bytes text = unescaped(table, (struct bytes){ table->text + stored.at, stored.len }, 1);
    if (!bytes_present(text))
        return JSON_KEY_NO_MEMORY;
    return bytes_equal(text, key) ? JSON_KEY_KNOWN : JSON_KEY_NEW;
}

/* Enough to tell the keys of ordinary objects apart; equal keys have equal prints. */
static uint32_t print_of(struct bytes key)
{
    uint32_t first = 0;
    uint32_t last = 0;
    if (key.len >= sizeof first) {
        memcpy(&first, key.ptr, sizeof first);
        memcpy(&last, key.ptr + key.len - sizeof last, sizeof last);
    } else {
        for (size_t i = 0; i < key.len; i++)
            first = first << 8 | (unsigned char)key.ptr[i];
    }
    return first ^ (last << 13 | last >> 19) ^ (uint32_t)key.len << 24;
}

/* The next key from `at` on with this print; `count` or more when there is none. */
static inline uint32_t next_print(const struct json_object_keys *object, uint32_t print,
                                  uint32_t at)
{
#ifdef __SSE2__
    const __m128i wanted = _mm_set1_epi32((int)print);
    for (; at + 4 <= object->count; at += 4) {
        __m128i four = _mm_loadu_si128((const __m128i *)(const void *)&object->prints[at]);
        int mask = _mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(four, wanted)));
        if (mask != 0)
            return at + (uint32_t)__builtin_ctz((unsigned)mask);
    }
#endif
    while (at < object->count && object->prints[at] != print)
        at++;
    return at;
}

static bool table_grow(struct json_key_table *table)
{
    if (table->slot_count == 0) {
        memset(table->first, 0, sizeof table->first);
        table->slot_count = JSON_FIRST_SLOTS;
        return true;
    }
    size_t count = table->slot_count * 4;
    struct json_key_slot *slots = calloc(count, sizeof *slots);
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < table->slot_count; i++) {
        if (table->slots[i].key.at == 0)
            continue;
        size_t at = table->slots[i].tag & (count - 1);
        while (slots[at].key.at != 0)
            at = (at + 1) & (count - 1);
        slots[at] = table->slots[i];
    }
    if (table->slots != table->first)
        free(table->slots);
    table->slots = slots;
    table->slot_count = count;
    return true;
}

/* `text` is `key` unescaped. */
static enum json_key_verdict table_add(struct json_key_table *table, uint32_t object,
                                       struct json_key key, struct bytes text)
{
    if (table->used >= table->slot_count / 2 && !table_grow(table))
        return JSON_KEY_NO_MEMORY;
    uint32_t tag = (uint32_t)hash_short(text, table->seed) + object * 0x9e3779b9u;
    size_t at = tag & (table->slot_count - 1);
    for (; table->slots[at].key.at != 0; at = (at + 1) & (table->slot_count - 1)) {
        if (table->slots[at].tag != tag || table->slots[at].object != object)
            continue;
        enum json_key_verdict verdict = compare(table, table->slots[at].key, text);
        if (verdict != JSON_KEY_NEW)
            return verdict;
    }
    table->slots[at] = (struct json_key_slot){ .key = key, .tag = tag, .object = object };
    table->used++;
    return JSON_KEY_NEW;
}

/* The object outgrew the stack: its keys, all different, go into the table. */
static enum json_key_verdict move_to_table(struct json_key_table *table,
                                           struct json_object_keys *object)
{
    object->object = ++table->objects;
    for (uint32_t i = 0; i < JSON_NEAR_KEYS; i++) {
        struct json_key key = object->keys[i];
        struct bytes text = unescaped(table, (struct bytes){ table->text + key.at, key.len }, 0);
        if (!bytes_present(text) || table_add(table, object->object, key, text) != JSON_KEY_NEW)
            return JSON_KEY_NO_MEMORY;
    }
    return JSON_KEY_NEW;
}

enum json_key_verdict json_keys_add(struct json_key_table *table, struct json_object_keys *object,
                                    struct bytes key, bool escaped)
{
    struct json_key slice = { (uint32_t)(key.ptr - table->text), (uint32_t)key.len };
    if (object->count == JSON_NEAR_KEYS) {
        enum json_key_verdict verdict = move_to_table(table, object);
        if (verdict != JSON_KEY_NEW)
            return verdict;
        object->count++;
    }
    struct bytes text = escaped ? unescaped(table, key, 0) : key;
    if (!bytes_present(text))
        return JSON_KEY_NO_MEMORY;
    if (object->count > JSON_NEAR_KEYS)
        return table_add(table, object->object, slice, text);
    uint32_t print = print_of(text);
    for (uint32_t i = next_print(object, print, 0); i < object->count;
         i = next_print(object, print, i + 1)) {
        enum json_key_verdict verdict = compare(table, object->keys[i], text);
        if (verdict != JSON_KEY_NEW)
            return verdict;
    }
    object->prints[object->count] = print;
    object->keys[object->count++] = slice;
    return JSON_KEY_NEW;
}
