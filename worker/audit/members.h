/*
 * The members of a JSON object, as the auditor's model keeps them: name to raw value.
 *
 * A sorted list and nothing clever, on purpose: it is the yardstick that the engine's merging is
 * held against, and shares no code with it. It takes objects that the decoder has accepted, so
 * that it need not judge them; names are compared unescaped, values are kept as they were written.
 */
#ifndef WORKER_AUDIT_MEMBERS_H
#define WORKER_AUDIT_MEMBERS_H

#include "common/buf.h"
#include "common/bytes.h"

struct member {
    struct bytes name;  /* unescaped */
    struct bytes value; /* raw JSON */
    char *memory;       /* of both */
};

/* All zero is the empty list. */
struct members {
    struct member *items; /* by the bytes of their names */
    size_t count, capacity;
};

void members_release(struct members *members);

/*
 * Puts every member of `object` (raw JSON, accepted by the decoder) in place of the one of the same
 * name; null takes it away. False when memory is short or `object` is not an object after all.
 */
bool members_merge(struct members *members, struct bytes object);

/* The raw value of `name` (unescaped); absent when there is none. */
struct bytes members_get(const struct members *members, struct bytes name);

/* All of them as one JSON object. */
void members_put(const struct members *members, struct buf *out);

/* `text` between quotation marks, escaped where JSON requires it. */
void members_put_string(struct bytes text, struct buf *out);

#endif
