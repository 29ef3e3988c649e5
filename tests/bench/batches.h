/*
 * Batches and plans made by the engine's own hands, without the engine: for what is measured
 * without Kafka or without a database.
 */
#ifndef TESTS_BENCH_BATCHES_H
#define TESTS_BENCH_BATCHES_H

#include "tests/bench/bench.h"
#include "worker/engine/planner.h"
#include "worker/engine/ports.h"

/* Where each partition of the two topics stands. */
struct ledger {
    struct ledger_entry *entries; /* writes, then activity */
    int32_t partitions;
};

void ledger_init(struct ledger *ledger, const struct bench *bench);
void ledger_release(struct ledger *ledger);
const struct ledger_entry *ledger_find(void *self, struct tp tp);

struct prepared {
    struct batch batch;
    struct arena arena; /* of the plan */
    struct planned planned;
    struct decode_limits limits;
};

void prepared_init(struct prepared *prepared);
void prepared_release(struct prepared *prepared);
void prepared_clear(struct prepared *prepared); /* keeps memory */
void prepared_add(struct prepared *prepared, const struct record *record);
void prepared_plan(struct prepared *prepared, const struct ledger *ledger);

/* Adds up to `count` events of the feed, each with its offset. Returns how many there were. */
uint64_t prepared_fill(struct prepared *prepared, struct feed *feed, uint64_t count);

/*
 * Many of them, as many as MEMORY allows at a time, so that making them falls outside of what is
 * measured.
 */
struct shelf {
    struct prepared *items;
    size_t count, capacity;
};

void shelf_init(struct shelf *shelf);
void shelf_release(struct shelf *shelf);

/* Fills it anew. False at the end of the feed. */
bool shelf_fill(struct shelf *shelf, struct feed *feed, const struct ledger *ledger,
                uint64_t batch_events);

#endif
