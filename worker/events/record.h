/*
 * A record as it came from the log, before anybody has looked into it.
 *
 * All bytes are borrowed: from the source until its next call, or from the batch's arena once
 * batch_add() has copied them.
 */
#ifndef WORKER_EVENTS_RECORD_H
#define WORKER_EVENTS_RECORD_H

#include "common/bytes.h"

#include <stddef.h>
#include <stdint.h>

enum topic { TOPIC_WRITES, TOPIC_ACTIVITY, TOPIC_REFRESH, TOPIC_COUNT };

/* A topic partition. */
struct tp {
    enum topic topic;
    int32_t partition;
};

static inline bool tp_equal(struct tp a, struct tp b)
{
    return a.topic == b.topic && a.partition == b.partition;
}

struct header {
    struct bytes name;
    struct bytes value; /* absent for a null header value */
};

struct record {
    struct tp tp;
    int64_t offset;
    int64_t timestamp_ms;
    struct bytes key;   /* absent when the record has none */
    struct bytes value; /* absent for a tombstone */
    const struct header *headers;
    size_t header_count;
};

#define RECORD_HASH_BYTES 16

/*
 * What the ledger remembers of a record's contents (the `hash` of an anchor): BLAKE2b-128 over key
 * and value, each with its presence and length before it. Headers are left out, as tools that copy
 * a log may add some.
 */
void record_hash(const struct record *record, uint8_t ret_hash[static RECORD_HASH_BYTES]);

#endif
