/*
 * Bytes to event, strictly: everything DESIGN 1.3 lets in, and nothing else.
 *
 * The decoder is pure and total: for any record it either sets `*ret_event`, or sets
 * `*ret_refusal`, or says that the arena is full; it never half-decodes. PostgreSQL accepts
 * whatever passes (no \u0000, no lone surrogates, numbers within jsonb's range), so that one record
 * cannot fail a whole batch. schemas/ says the same to producers, and both are held to the same
 * corpus.
 *
 * What is looked at, in this order, and the reason of a refusal; the first fault decides:
 *
 *     value absent                                                              tombstone
 *     value empty, or nothing but white space                                   empty
 *     value larger than value_bytes_max                                         limits
 *     content-type of CloudEvents in a format other than JSON, or twice         envelope
 *     the text: not UTF-8 (said before all other faults of the text)            utf8
 *         not JSON, \u0000, a lone surrogate, bytes after the end               json
 *         equal keys in one object                                              duplicate_key
 *         too deep; a number too long, or its exponent too large                depth, number
 *     value not an object (structured, bare)                                    json
 *     data_base64, in any form; binary and structured: not a CloudEvent 1.0
 *         (specversion, id, source or type is absent, null or twice, or
 *         specversion or source is not what it must be)                         envelope
 *     bare: type or id is absent or null; structured and bare: data is          missing
 *     type not known, not of this topic, or no text                             type
 *     id not a canonical lower-case UUID, or no text                            uuid
 *     data not an object                                                        json
 *     then member by member:
 *         a required one absent or null                                         missing
 *         *_id not a canonical lower-case UUID, or no text                      uuid
 *         the record's key is not the attempt id (refresh: not the view)        key
 *         expected_version not an integer in range, or no number                version
 *         *_at not a time as the contract writes it, or no text                 time
 *         any other member of the wrong JSON type                               json
 *         answers: too many keys, or one of 0 or > name_bytes_max bytes;
 *         events: none, or too many; event_type, view: 0 or too many bytes      limits
 *
 * The ids in a refusal are looked for whatever the fault was, also in a text that is refused for
 * its numbers, its depth or its duplicate keys.
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
