/*
 * A line that tells a waiting person how far we are: rewritten in place on a terminal, else a new
 * one every two seconds. On stderr, so that stdout stays for results.
 */
#ifndef WORKER_COMMANDS_PROGRESS_H
#define WORKER_COMMANDS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool quiet, terminal;
    bool shown; /* a line on the terminal waits for its end */
    int64_t next_ms;
};

void progress_start(struct progress *progress, bool quiet);

/* Whether it is time for another line: ask before going to the trouble of making one. */
bool progress_due(struct progress *progress, int64_t now_ms);

void progress_show(struct progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Ends the line on a terminal. */
void progress_end(struct progress *progress);

#endif
