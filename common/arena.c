#include "common/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct arena_block {
    struct arena_block *next;
    size_t size_bytes;
    size_t used_bytes;
    max_align_t data[];
};

void arena_init(struct arena *arena, size_t block_bytes, size_t limit_bytes)
{
    *arena = (struct arena){ .block_bytes = block_bytes, .limit_bytes = limit_bytes };
}

static void free_blocks(struct arena_block *block)
{
    while (block != NULL) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
}

void arena_release(struct arena *arena)
{
    free_blocks(arena->first);
    arena->first = arena->current = NULL;
    arena->used_bytes = arena->whole_bytes = 0;
}

void arena_reset(struct arena *arena)
{
    arena->used_bytes = 0;
    if (arena->first == NULL)
        return;
    arena->current = arena->first;
    arena->first->used_bytes = 0;
    if (arena->first->next == NULL)
        return;
    arena->whole_bytes = 0;
    for (const struct arena_block *block = arena->first; block != NULL; block = block->next)
        arena->whole_bytes += block->size_bytes;
    free_blocks(arena->first);
    arena->first = arena->current = NULL;
}

static struct arena_block *new_block(size_t size)
{
    if (size > SIZE_MAX - sizeof(struct arena_block))
        return NULL;
    struct arena_block *block = malloc(sizeof *block + size);
    if (block != NULL)
        *block = (struct arena_block){ .size_bytes = size };
    return block;
}

static struct arena_block *add_block(struct arena *arena, size_t bytes)
{
    size_t size = bytes > arena->block_bytes ? bytes : arena->block_bytes;
    struct arena_block *block = NULL;
    if (arena->first == NULL && arena->whole_bytes > size)
        block = new_block(arena->whole_bytes);
    if (block == NULL) /* not so much in one piece, perhaps */
        block = new_block(size);
    if (block == NULL)
        return NULL;
    if (arena->current != NULL)
        arena->current->next = block;
    else
        arena->first = block;
    arena->current = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    const size_t align = sizeof(max_align_t);
    if (bytes > SIZE_MAX - align)
        return NULL;
    size_t padded = bytes == 0 ? align : (bytes + align - 1) / align * align;
    if (arena->limit_bytes != 0 &&
        (padded > arena->limit_bytes || arena->used_bytes > arena->limit_bytes - padded))
        return NULL;
    struct arena_block *block = arena->current;
    if (block == NULL || block->size_bytes - block->used_bytes < padded)
        block = add_block(arena, padded);
    if (block == NULL)
        return NULL;
    void *piece = (char *)block->data + block->used_bytes;
    block->used_bytes += padded;
    arena->used_bytes += padded;
    return piece;
}

void *arena_calloc(struct arena *arena, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    void *piece = arena_alloc(arena, count * size);
    if (piece != NULL)
        memset(piece, 0, count * size);
    return piece;
}

struct bytes arena_copy(struct arena *arena, struct bytes b)
{
    char *piece = arena_alloc(arena, b.len);
    if (piece == NULL)
        return BYTES_NONE;
    if (b.len != 0)
        memcpy(piece, b.ptr, b.len);
    return (struct bytes){ piece, b.len };
}

struct bytes arena_format(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0)
        return BYTES_NONE;
    char *piece = arena_alloc(arena, (size_t)length + 1);
    if (piece == NULL)
        return BYTES_NONE;
    va_start(args, format);
    (void)vsnprintf(piece, (size_t)length + 1, format, args);
    va_end(args);
    return (struct bytes){ piece, (size_t)length };
}
