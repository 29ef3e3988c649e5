/*
 * The brake of DESIGN 2.5: a schema mistake must not dead-letter a whole exam, one record after the
 * other.
 *
 * A burst of refusals, or two refused submits in a row of different attempts, halts a partition
 * instead of making more letters. What the brake must know to do so survives the process: the
 * letters are in the ledger, so each claim brings what the last ones of its partition say. Whoever
 * crashes, or passes the partition on, lets no further submit through. Letters that somebody has
 * settled (replayed, discarded, accepted) say nothing any more. Pure: time comes in.
 */
#ifndef WORKER_ENGINE_BRAKE_H
#define WORKER_ENGINE_BRAKE_H

#include "worker/engine/partition.h"

#define REFUSALS_PER_MINUTE_MAX 20

/* What one process remembers across its partitions. */
struct brake {
    int64_t window_from_ms;
    unsigned refusals; /* in the window */
    struct tp tp;      /* of the refused submit */
    struct refused_submit last;
};

/* A claim says what was refused before it. */
void brake_claimed(struct partition *partition, const struct claim *claim);

/* True when this refused record must not become a letter: its partition halts. */
bool brake_pulled(struct brake *brake, struct partition *partition, const struct entry *culprit,
                  int64_t now_ms);

/* A flush was committed: submits that were applied end a row of refused ones. */
void brake_committed(struct brake *brake, const struct partition_table *partitions,
                     const struct plan *plan);

#endif
