/*
 * Memory that lives as long as one piece of work (a batch, a request), freed all at once.
 *
 * An arena hands out aligned pieces of a chain of blocks and has a ceiling: an allocation that
 * would pass it returns NULL, which for a batch means "full", an everyday event.
 *
 * What took several blocks takes one after the reset, as large as they were together: an arena that
 * does the same work again and again soon asks the system for nothing, and its memory stays warm.
 */
#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include "common/bytes.h"

#include <stddef.h>
#include <stdint.h>

struct arena_block;

struct arena {
    struct arena_block *first;
    struct arena_block *current; /* where the next piece comes from */
    size_t block_bytes;          /* size of an ordinary block */
    size_t whole_bytes;          /* size of the first block to be made; 0: an ordinary one */
    size_t used_bytes;           /* handed out since the last reset, padding included */
    size_t limit_bytes;          /* ceiling of used_bytes; 0 for none */
};

/* No memory is taken until the first allocation. */
void arena_init(struct arena *arena, size_t block_bytes, size_t limit_bytes);

/* Frees every block; the arena may be used again. */
void arena_release(struct arena *arena);

/* Forgets everything handed out. */
void arena_reset(struct arena *arena);

/* Aligned for any type, not zeroed; NULL past the ceiling or when the system has no memory. */
void *arena_alloc(struct arena *arena, size_t bytes);

/* The same, zeroed, for `count` members of `size` bytes; NULL also when the product overflows. */
void *arena_calloc(struct arena *arena, size_t count, size_t size);

/* A copy of `b` (at least one byte is taken, so the result is present unless memory ran out). */
struct bytes arena_copy(struct arena *arena, struct bytes b);

/* printf into the arena, terminated; absent when memory ran out. */
struct bytes arena_format(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
