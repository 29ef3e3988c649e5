/*
 * Event to record, in any of the three accepted forms: what a producer does (DESIGN 1.3).
 *
 * The counterpart of decode(), for `produce` and `simulate`. It copies `data` as it is and judges
 * nothing, so that a wrong event can be sent on purpose. The record borrows from the wrapper, from
 * what it was given, and lives until the next call.
 */
#ifndef WORKER_EVENTS_WRAP_H
#define WORKER_EVENTS_WRAP_H

#include "common/buf.h"
#include "worker/events/record.h"

enum wrap_form { WRAP_BINARY, WRAP_STRUCTURED, WRAP_BARE };

#define WRAP_HEADERS_MAX 6

struct wrap {
    struct buf value;
    struct header headers[WRAP_HEADERS_MAX];
};

struct wrapping {
    enum wrap_form form;
    struct bytes type, id;
    struct bytes source;      /* CloudEvents `source` */
    struct bytes data;        /* JSON text */
    struct bytes traceparent; /* binary form only; absent when there is none */
};

void wrap_init(struct wrap *wrap, size_t limit_bytes);
void wrap_release(struct wrap *wrap);

/* Sets value and headers of `*ret` and leaves the rest of it alone. False when memory is short. */
bool wrap_event(struct wrap *wrap, const struct wrapping *wrapping, struct record *ret);

#endif
