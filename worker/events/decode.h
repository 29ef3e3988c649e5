/*
 * Bytes to event, strictly: everything DESIGN 1.3 lets in, and nothing else.
 *
 * The decoder is pure and total: for any record it either sets `*ret_event` and returns true, or
 * sets `*ret_refusal` and returns false; it never half-decodes. PostgreSQL accepts whatever passes
 * (no \u0000, no lone surrogates, numbers within jsonb's range), so that one record cannot fail a
 * whole batch. schemas/ says the same to producers, and both are held to the same corpus.
 */
#ifndef WORKER_EVENTS_DECODE_H
#define WORKER_EVENTS_DECODE_H

#include "common/arena.h"
#include "worker/events/event.h"
#include "worker/events/record.h"

struct decode_limits {
    size_t value_bytes_max;       /* 1 MiB */
    unsigned depth_max;           /* 32: of `data`, its outermost object counting 1 */
    size_t answer_keys_max;       /* 5,000 */
    size_t name_bytes_max;        /* 256: answer keys and event_type, after unescaping */
    size_t activity_events_max;   /* 1,000 in a record */
    unsigned number_digits_max;   /* 1,000 as written */
    unsigned number_exponent_max; /* within +-1,000 */
    uint64_t hash_seed[2];        /* decides nothing: keeps senders from choosing colliding keys */
};

/* The limits of the contract, and a fresh hash_seed. */
struct decode_limits decode_limits_default(void);

enum decode_result {
    DECODE_EVENT,    /* *ret_event is set */
    DECODE_DEAD,     /* *ret_refusal is set */
    DECODE_NO_MEMORY /* the arena is full: nothing was decided, try again in another batch */
};

/*
 * Slices of `*ret_event` point into `record` and `arena`, so both must outlive it.
 */
enum decode_result decode(const struct record *record, const struct decode_limits *limits,
                          struct arena *arena, struct event *ret_event,
                          struct refusal *ret_refusal);

#endif
