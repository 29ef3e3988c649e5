#include "tests/torture/torture.h"

#include <sys/mman.h>

extern const char __executable_start[], etext[];
__typeof__(open) __real_open;
__typeof__(close) __real_close;
__typeof__(PQgetResult) __real_PQgetResult;

static struct torture_file *file;

__attribute__((constructor)) static void torture_begin(void)
{
    const char *path = getenv("TORTURE_FILE");
    int fd = path == NULL ? -1 : __real_open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof *file, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)__real_close(fd);
    if (map != MAP_FAILED)
        file = map;
}

/* FNV-1a over the bytes of a piece. */
static uint64_t mix(uint64_t hash, const void *piece, size_t len)
{
    const unsigned char *bytes = piece;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

/* By frame pointers, up to the first caller that is not ours: a library's need not have any. */
static void walk(void *frame, uint32_t frames[TORTURE_DEPTH])
{
    for (size_t i = 0; i < TORTURE_DEPTH; i++) {
        const char *caller = ((char **)frame)[1];
        if (caller < __executable_start || caller >= etext)
            return;
        frames[i] = (uint32_t)(caller - __executable_start);
        frame = *(void **)frame;
    }
}

static struct torture_position *position_of(const char *call, void *frame)
{
    uint32_t frames[TORTURE_DEPTH] = { 0 };
    walk(frame, frames);
    uint64_t hash = mix(mix(0xcbf29ce484222325u, frames, sizeof frames), call, strlen(call)) | 1;
    for (size_t i = 0; i < TORTURE_POSITIONS; i++) {
        struct torture_position *p = &file->positions[(hash + i) % TORTURE_POSITIONS];
        uint64_t free_slot = 0;
        if (atomic_compare_exchange_strong(&p->hash, &free_slot, hash)) {
            memcpy(p->frames, frames, sizeof frames);
            memcpy(p->call, call, strlen(call) + 1);
            return p;
        }
        if (free_slot == hash)
            return p;
    }
    return NULL;
}

bool torture_fails(const char *call, void *frame)
{
    struct torture_position *p = file == NULL ? NULL : position_of(call, frame);
    if (p == NULL)
        return false;
    uint32_t count = atomic_fetch_add(&p->count, 1) + 1;
    if (p->hash != file->hash || count != file->times)
        return false;
    atomic_store(&file->failed, 1);
    return true;
}

PGresult *torture_lost_result(PGconn *conn)
{
    PGresult *result = __real_PQgetResult(conn);
    if (result == NULL || PQresultStatus(result) == PGRES_PIPELINE_SYNC)
        return result; /* no answer, but the end of answers, which needs no memory */
    PQclear(result);
    return PQmakeEmptyPGresult(conn, PGRES_FATAL_ERROR);
}
