/*
 * Fairness: a partition with a record waiting is read within a bounded number of flushes, however
 * large the backlog of the others is. A batch has a share for eight partitions, or for as many as
 * it may hold records, and turns go on from batch to batch.
 */
#ifndef TESTS_SIM_SIM_FAIR_H
#define TESTS_SIM_SIM_FAIR_H

#include "tests/sim/sim_source.h"
#include "worker/engine/engine.h"

/* Of one worker. */
struct sim_fair {
    struct {
        bool waits;
        int64_t position;   /* where it waits to be read ... */
        uint64_t since;     /* ... since so many flushes ... */
        size_t batch_least; /* ... with batches of at least so many records */
    } tps[SIM_TPS];
};

/* Between two steps of a worker that reads. */
void sim_fair_look(struct sim_fair *fair, struct sim_source *source,
                   const struct engine_status *status);

#endif
