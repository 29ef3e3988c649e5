#include "common/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_MAX 1500
#define VALUE_MAX   1000

/* A line under construction, which keeps room for its end ("}\n"). */
struct line {
    char *ptr;
    size_t len;
    bool full; /* the last piece did not fit */
};

static void put(struct line *line, const char *text, size_t len)
{
    if (line->full || line->len + len > LOG_LINE_MAX - 2) {
        line->full = true;
        return;
    }
    memcpy(line->ptr + line->len, text, len);
    line->len += len;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* Length of the UTF-8 sequence at `s`, 0 when it is none. Surrogates and overlong forms are none.
 */
static size_t utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    size_t len = s[0] >= 0xc2 && s[0] <= 0xdf   ? 2
                 : s[0] >= 0xe0 && s[0] <= 0xef ? 3
                 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                                : 0;
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    bool refused = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
                   (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f);
    return refused ? 0 : len;
}

/* The same escapes in both forms: a value can end neither its line nor its quotes. */
static void put_escaped(struct line *line, const char *text, size_t max)
{
    const unsigned char *at = (const unsigned char *)text;
    for (size_t done = 0; *at != '\0' && !line->full;) {
        if (done >= max) {
            put_text(line, "...");
            return;
        }
        size_t len = utf8_length(at);
        char escape[8];
        if (len == 0) {
            put_text(line, "\\ufffd");
            len = 1;
        } else if (*at == '"' || *at == '\\') {
            (void)snprintf(escape, sizeof escape, "\\%c", *at);
            put_text(line, escape);
        } else if (*at == '\n') {
            put_text(line, "\\n");
        } else if (*at < 0x20 || *at == 0x7f) {
            (void)snprintf(escape, sizeof escape, "\\u%04x", *at);
            put_text(line, escape);
        } else {
            put(line, (const char *)at, len);
        }
        at += len;
        done += len;
    }
}

static void put_time(struct line *line, int64_t wall_us)
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm tm;
    char text[48];
    if (gmtime_r(&seconds, &tm) == NULL)
        return;
    size_t len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(text + len, sizeof text - len, ".%03dZ", (int)(wall_us / 1000 % 1000));
    put_text(line, text);
}

static void put_value(struct line *line, const struct log_field *field, bool quoted)
{
    char number[24];
    if (field->is_number) {
        (void)snprintf(number, sizeof number, "%lld", (long long)field->number);
        put_text(line, number);
        return;
    }
    if (quoted)
        put_text(line, "\"");
    put_escaped(line, field->text, VALUE_MAX);
    if (quoted)
        put_text(line, "\"");
}

static void put_field_json(struct line *line, const struct log_field *field)
{
    put_text(line, ",\"");
    put_escaped(line, field->key, VALUE_MAX);
    put_text(line, "\":");
    put_value(line, field, true);
}

static void put_field_human(struct line *line, const struct log_field *field)
{
    put_text(line, " ");
    put_text(line, field->key);
    put_text(line, "=");
    bool plain = field->text != NULL && *field->text != '\0' && !strpbrk(field->text, " =\"\t\n");
    put_value(line, field, !plain);
}

static void put_fields(const struct log *log, struct line *line, const struct log_field *fields)
{
    for (; fields != NULL && fields->key != NULL; fields++) {
        if (!fields->is_number && fields->text == NULL)
            continue;
        size_t before = line->len;
        if (log->form == LOG_FORM_JSON)
            put_field_json(line, fields);
        else
            put_field_human(line, fields);
        if (line->full)
            line->len = before;
        line->full = false;
    }
}

size_t log_format(const struct log *log, enum log_level level, const char *message,
                  const struct log_field *fields, char text[static LOG_LINE_MAX])
{
    struct line line = { .ptr = text };
    bool json = log->form == LOG_FORM_JSON;
    put_text(&line, json ? "{\"time\":\"" : "");
    put_time(&line, clock_wall_us(&log->clock));
    put_text(&line, json ? "\",\"level\":\"" : " ");
    put_text(&line, log_level_name(level));
    put_text(&line, json                                         ? "\",\"message\":\""
                    : level == LEVEL_INFO || level == LEVEL_WARN ? "  "
                                                                 : " ");
    put_escaped(&line, message, MESSAGE_MAX);
    put_text(&line, json ? "\"" : "");
    put_fields(log, &line, fields);
    put_fields(log, &line, log->context);
    /* put() has kept these two bytes free. */
    if (json)
        text[line.len++] = '}';
    text[line.len++] = '\n';
    return line.len;
}

void log_line(const struct log *log, enum log_level level, const char *message,
              const struct log_field *fields)
{
    if (level < log->level)
        return;
    char line[LOG_LINE_MAX];
    uint64_t lost = log->sink->lost;
    if (!log_sink_ready(log->sink))
        return;
    if (lost > 0) {
        size_t len = log_format(log, LEVEL_WARN, "lines are missing here: nobody read the log",
                                FIELDS(FIELD_INT("lines", lost)), line);
        log->sink->lost = 0;
        log_sink_write(log->sink, line, len);
    }
    log_sink_write(log->sink, line, log_format(log, level, message, fields, line));
}

const char *log_level_name(enum log_level level)
{
    switch (level) {
    case LEVEL_DEBUG:
        return "debug";
    case LEVEL_INFO:
        return "info";
    case LEVEL_WARN:
        return "warn";
    case LEVEL_ERROR:
        return "error";
    }
    return "info";
}

void log_init(struct log *log, struct log_sink *sink, const char *form, const char *level)
{
    *log = (struct log){ .sink = sink, .level = LEVEL_INFO, .clock = clock_system() };
    log->form = form != NULL       ? strcmp(form, "json") == 0 ? LOG_FORM_JSON : LOG_FORM_HUMAN
                : isatty(sink->fd) ? LOG_FORM_HUMAN
                                   : LOG_FORM_JSON;
    for (enum log_level l = LEVEL_DEBUG; level != NULL && l <= LEVEL_ERROR; l++) {
        if (strcmp(log_level_name(l), level) == 0)
            log->level = l;
    }
}
