/*
 * The log: one line for each event that matters, for people or for machines.
 *
 *     2026-03-01T09:00:00.123Z warn  the database does not answer next_try_ms=500
 *     {"time":"2026-03-01T09:00:00.123Z","level":"warn","message":"...","next_try_ms":500}
 *
 * A line is at most 4 KiB, whole (fields that do not fit are left out, never cut in the middle of
 * the JSON) and written by one write(2), so that lines of several processes do not mix. Control
 * characters are escaped: no value can forge a line. Payloads, keys and passwords do not belong in
 * it. Only the upper floors log; the lower ones return errors.
 *
 *     log_line(log, LEVEL_WARN, "the database does not answer",
 *              FIELDS(FIELD_INT("next_try_ms", 500)));
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "common/clock.h"
#include "common/log_sink.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LEVEL_DEBUG, LEVEL_INFO, LEVEL_WARN, LEVEL_ERROR };
enum log_form { LOG_FORM_HUMAN, LOG_FORM_JSON };

/* One key=value. A text of NULL leaves the field out. */
struct log_field {
    const char *key; /* NULL ends a list */
    const char *text;
    int64_t number;
    bool is_number;
};

#define FIELD_TEXT(name, value)                                                                    \
    {                                                                                              \
        .key = (name), .text = (value)                                                             \
    }
#define FIELD_INT(name, value)                                                                     \
    {                                                                                              \
        .key = (name), .number = (int64_t)(value), .is_number = true                               \
    }
#define FIELDS(...)                                                                                \
    (const struct log_field[])                                                                     \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            .key = NULL                                                                            \
        }                                                                                          \
    }

struct log {
    struct log_sink *sink;
    enum log_form form;
    enum log_level level; /* lines below it are not written */
    struct clock clock;
    const struct log_field *context; /* in every line, after the others; NULL for none */
};

/*
 * Words as in the settings: form "human", "json" or NULL (human on a terminal), level "debug",
 * "info", "warn", "error" (anything else is info). Owns nothing: `sink` must outlive the log.
 */
void log_init(struct log *log, struct log_sink *sink, const char *form, const char *level);

/* `fields` is made with FIELDS(), or NULL. */
void log_line(const struct log *log, enum log_level level, const char *message,
              const struct log_field *fields);

/* The line itself, ending in \n; for tests. Returns its length; at most `size` bytes. */
#define LOG_LINE_MAX 4096
size_t log_format(const struct log *log, enum log_level level, const char *message,
                  const struct log_field *fields, char line[static LOG_LINE_MAX]);

const char *log_level_name(enum log_level level);

#endif
