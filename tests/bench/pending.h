/*
 * Which events are on their way, and since when: filled by the producer before it sends, emptied by
 * the two observers, each for itself.
 *
 * By place: an event is visible when its partition's ledger has passed its offset, which is known
 * beforehand, because nobody else writes to the log. By attempt and version: an event is told when
 * an invalidation names its attempt with its version or a later one.
 */
#ifndef TESTS_BENCH_PENDING_H
#define TESTS_BENCH_PENDING_H

#include "common/uuid_map.h"
#include "tests/bench/bench.h"
#include "tests/bench/hist.h"

#include <pthread.h>

struct pending_event {
    int64_t intended_ns; /* when it should have been sent */
    int64_t version;     /* that the attempt has afterwards */
    struct pending_event *next_of_attempt;
    bool counts; /* false while warming up */
};

struct pending {
    pthread_mutex_t mutex;
    struct pending_event *events; /* in the order of sending */
    uint64_t sent, seen, told;
    int32_t partitions;
    int64_t *from;                  /* by partition: the first offset; borrowed from the feed */
    struct pending_event ***places; /* by partition and offset - from */
    int64_t *sent_to, *seen_to;     /* by partition: how many of them */
    struct arena arena;
    struct uuid_map attempts; /* id to struct pending_attempt */
    struct hist visible, published;
};

void pending_init(struct pending *pending, const struct bench *bench, const struct feed *feed);
void pending_release(struct pending *pending);

/* Before sending: this event is to go now. */
void pending_sent(struct pending *pending, const struct flood_event *event,
                  const struct uuid *attempt_id, int64_t intended_ns, bool counts);

/* The ledger of this partition stands at `next`. */
void pending_seen(struct pending *pending, int32_t partition, int64_t next, int64_t now);

/* An invalidation of this attempt with this version has come. */
void pending_told(struct pending *pending, const struct uuid *attempt_id, int64_t version,
                  int64_t now);

/* Everything that was sent was seen and told. */
bool pending_empty(struct pending *pending);

#endif
