/*
 * A real broker for the tests of this folder, started by compose/kafka in a folder of its own.
 *
 * Tests run from the top of the checkout (as make does). KAFKA_LIBS may name the broker's jars.
 */
#ifndef TESTS_KAFKA_PRIVATE_KAFKA_H
#define TESTS_KAFKA_PRIVATE_KAFKA_H

#include <stdbool.h>

struct private_kafka {
    char dir[64];
    char address[64]; /* host:port */
};

bool private_kafka_start(struct private_kafka *kafka);

/* `signal` is "TERM" or "KILL". The port stays. */
bool private_kafka_stop(struct private_kafka *kafka, const char *signal);
bool private_kafka_restart(struct private_kafka *kafka, const char *signal);

/* Stops it and removes its folder. */
void private_kafka_release(struct private_kafka *kafka);

/* For a whole group of tests: one broker, whose struct is the group's state. */
int private_kafka_setup(void **state);
int private_kafka_teardown(void **state);

#endif
