/*
 * The publisher port of one worker: a bounded queue, confirmed in order and late.
 *
 * Messages wait in the order they were offered, are delivered one after the other, and are
 * confirmed some time after that. A crash loses whatever was not delivered.
 */
#ifndef TESTS_SIM_SIM_PUBLISHER_H
#define TESTS_SIM_SIM_PUBLISHER_H

#include "tests/sim/sim_oracle.h"

#define PUBLISHER_QUEUE 256

struct sim_message {
    uint64_t ticket;
    struct telling telling;
    int64_t confirmed_ms;
};

struct sim_publisher {
    struct sim *sim;
    struct sim_oracle *oracle;
    const bool *crashed;
    void (*on_call)(void *worker);
    void *worker;
    struct sim_message queue[PUBLISHER_QUEUE]; /* a ring */
    int first, count, room;
    int64_t stalled_until; /* no confirmation before */
};

void sim_publisher_init(struct sim_publisher *publisher, struct sim *sim,
                        struct sim_oracle *oracle);
struct publisher sim_publisher_port(struct sim_publisher *publisher);
void sim_publisher_crash(struct sim_publisher *publisher);

/* When the next confirmation is due; INT64_MAX for never. */
int64_t sim_publisher_due_ms(const struct sim_publisher *publisher);

#endif
