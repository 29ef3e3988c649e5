/*
 * A log whose lines a test can count, on a clock that the test sets.
 *
 * Human format, level info, in memory. Must not move once it is begun.
 */
#ifndef TESTS_UNIT_KEPT_LOG_H
#define TESTS_UNIT_KEPT_LOG_H

#include "common/log.h"

struct kept_log {
    struct log log;
    int64_t now_ms; /* the monotonic clock; the wall clock stands still */
    struct log_sink sink;
    int file;
    char lines[128 * 1024];
};

/* 1 s after the machine was started. Fails the test when there is no memory. */
void kept_log_begin(struct kept_log *kept);
void kept_log_end(struct kept_log *kept);

/* All lines so far, of which there have to be so many, or the test fails. */
const char *kept_log_lines(struct kept_log *kept, int count);

#endif
