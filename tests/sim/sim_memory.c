#include "tests/sim/sim_memory.h"

#include <stddef.h>

static struct {
    bool inside, failed;
    uint64_t count, fail_at;
} memory;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *piece, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *piece, size_t bytes);

void memory_reset(void)
{
    memory.inside = memory.failed = false;
    memory.count = memory.fail_at = 0;
}

uint64_t memory_count(void)
{
    return memory.count;
}

void memory_fail_at(uint64_t n)
{
    memory.fail_at = n;
    memory.failed = false;
}

bool memory_failed(void)
{
    return memory.failed;
}

void memory_enter(void)
{
    memory.inside = true;
}

void memory_leave(void)
{
    memory.inside = false;
}

static bool fails(void)
{
    if (!memory.inside || ++memory.count != memory.fail_at)
        return false;
    memory.failed = true;
    return true;
}

void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *piece, size_t bytes)
{
    return fails() ? NULL : __real_realloc(piece, bytes);
}
