#include "tests/unit/kept_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static int64_t monotonic_ms(void *self)
{
    return ((struct kept_log *)self)->now_ms;
}

static int64_t wall_us(void *self)
{
    (void)self;
    return 0;
}

void kept_log_begin(struct kept_log *kept)
{
    kept->now_ms = 1000;
    kept->file = memfd_create("log", 0);
    assert_true(kept->file >= 0);
    log_sink_init(&kept->sink, kept->file);
    log_init(&kept->log, &kept->sink, "human", "info");
    kept->log.clock =
        (struct clock){ .self = kept, .monotonic_ms = monotonic_ms, .wall_us = wall_us };
}

void kept_log_end(struct kept_log *kept)
{
    log_sink_release(&kept->sink);
    (void)close(kept->file);
}

const char *kept_log_lines(struct kept_log *kept, int count)
{
    ssize_t len = pread(kept->file, kept->lines, sizeof kept->lines - 1, 0);
    assert_true(len >= 0);
    kept->lines[len] = '\0';
    int found = 0;
    for (const char *c = kept->lines; *c != '\0'; c++)
        found += *c == '\n';
    if (found != count)
        fail_msg("%d lines instead of %d: %s", found, count, kept->lines);
    return kept->lines;
}
