/*
 * Where the log goes, without ever waiting long for whoever reads it.
 *
 * A pipe or a socket whose reader has stopped takes nothing more, and a plain write() would hold
 * up the work until it goes on. So a line that finds no room within LOG_SINK_WAIT_MS is dropped and
 * counted, the lines after it at once, and the first line that finds room again is preceded by one
 * that says how many are missing. A pipe is opened a second time for that, because O_NONBLOCK
 * would else be seen by every process that shares it.
 */
#ifndef COMMON_LOG_SINK_H
#define COMMON_LOG_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_SINK_WAIT_MS 200

struct log_sink {
    int fd;
    bool own; /* fd is ours to close */
    bool socket;
    uint64_t lost; /* lines, since one was written */
};

/* `fd` stays the caller's and must outlive the sink. */
void log_sink_init(struct log_sink *sink, int fd);
void log_sink_release(struct log_sink *sink);

/* True when there is room, or no telling; false after counting a lost line. */
bool log_sink_ready(struct log_sink *sink);

/* One line by one write; an error is nobody's business. A line without room is counted. */
void log_sink_write(struct log_sink *sink, const char *line, size_t len);

#endif
