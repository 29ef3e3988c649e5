/*
 * What the simulated students write: ids, times and the data of events.
 *
 * Everything is a function of the seed and of who, so that a record that is sent again needs not
 * be kept: it is made again, and is the same to the byte.
 */
#ifndef WORKER_SIMULATE_CONTENT_H
#define WORKER_SIMULATE_CONTENT_H

#include "common/buf.h"
#include "common/rng.h"
#include "common/uuid.h"

#include <stdint.h>

enum content_id {
    CONTENT_EXAM,
    CONTENT_STUDENT,
    CONTENT_ATTEMPT,
    CONTENT_EVENT,
    CONTENT_ACTIVITY,
};

/* The id of thing number `a`, `b` of its kind: a version 4 UUID. */
struct uuid content_uuid(uint64_t seed, enum content_id kind, uint64_t a, uint64_t b);

/* The random source of one event. */
struct rng content_rng(uint64_t seed, uint64_t student, uint64_t number);

void content_put_uuid(struct buf *out, const struct uuid *id); /* with quotation marks */

/* An RFC 3339 time with quotation marks; `style` chooses among the spellings. */
void content_put_time(struct buf *out, int64_t at_us, uint64_t style);

/* `{"q7":"B",...}`: a few of `questions` questions. */
void content_put_answers(struct buf *out, struct rng *rng, unsigned questions);

/* The members of one activity event but its ids and time: `"event_type":..,"payload":..`. */
void content_put_activity(struct buf *out, struct rng *rng, unsigned questions);

#endif
