/*
 * One record as one line of JSON: what `produce` reads and `simulate --dry-run` writes.
 *
 * An event in its bare form, of which `id` may be left out (one is made):
 *
 *     {"type":"attempt.saved.v1","id":"...","data":{"attempt_id":"...",...}}
 *
 * and beside or instead of these a record made by hand:
 *
 *     "topic"      attempt.writes, attempt.activity or view.refresh; an event's type knows its own
 *     "key"        a string; null for no key; an event has its attempt id (or its view)
 *     "partition"  a number; else the key decides
 *     "headers"    {"name":"value",...} or [["name","value"],...]
 *     "value"      a string, taken as it is; null for a tombstone; any other JSON as it is written
 *     "key_base64", "value_base64"   bytes that are no text
 */
#ifndef WORKER_COMMANDS_RECORD_LINE_H
#define WORKER_COMMANDS_RECORD_LINE_H

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "worker/events/record.h"
#include "worker/events/wrap.h"

/* Reused from line to line. */
struct record_line {
    struct record record; /* tp.partition is -1 when the key decides */
    struct wrap wrap;
    struct arena arena;
};

void record_line_init(struct record_line *line);
void record_line_release(struct record_line *line);

/*
 * `prefix` is that of the topics' names, which may be given with or without it. `form` is what
 * events are sent in. False (ERR_REJECT) says what is wrong with the line. The record lives until
 * the next call and borrows from `text`.
 */
bool record_line_read(struct record_line *line, struct bytes text, enum wrap_form form,
                      const char *prefix, struct err *err);

/* Appends the record as a line that record_line_read() turns into the same record. */
void record_line_put(const struct record *record, struct buf *out);

/* "attempt.writes", ...: without any prefix. */
const char *record_line_topic(enum topic topic);

#endif
