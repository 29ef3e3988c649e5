/*
 * The Kafka producer as the engine's publisher (worker/engine/ports.h): invalidations and outcomes
 * as binary CloudEvents.
 *
 * A message that was taken is sent until a broker with acks=all has confirmed it, however long that
 * takes; only then is its ticket handed out by confirmed(). Messages may reach the topic twice and
 * out of order, which their readers expect (revisions decide), so the producer is not idempotent
 * and has no fatal state. What goes wrong meanwhile (a missing topic, no rights, no broker) is told
 * by kafka_publisher_trouble() and mended by somebody else.
 *
 * The publisher owns a copy of each message until its ticket was handed out: at most
 * KAFKA_PUBLISHER_BYTES_MAX of them, with what librdkafka allocates for them.
 */
#ifndef WORKER_KAFKA_KAFKA_PUBLISHER_H
#define WORKER_KAFKA_KAFKA_PUBLISHER_H

#include "worker/engine/ports.h"
#include "worker/kafka/kafka_conf.h"

#define KAFKA_PUBLISHER_MESSAGES_MAX 100000
#define KAFKA_PUBLISHER_BYTES_MAX    (32u << 20)

struct kafka_publisher;

/* NULL on failure; `options` and what it points to must outlive the publisher. */
struct kafka_publisher *kafka_publisher_new(const struct kafka_options *options, struct err *err);

/* Gives up on what is not confirmed; NULL is fine. */
void kafka_publisher_free(struct kafka_publisher *publisher);

struct publisher kafka_publisher_port(struct kafka_publisher *publisher);

/* For the loop: readable when delivery reports or errors wait (an edge, as in kafka_source.h). */
int kafka_publisher_fd(const struct kafka_publisher *publisher);
void kafka_publisher_clear(struct kafka_publisher *publisher);

/*
 * Serves reports and sends again what failed. Call it once a turn of the loop; returns after how
 * many milliseconds it wants to be called again if nothing wakes it, -1 for never.
 */
int64_t kafka_publisher_tend(struct kafka_publisher *publisher);

/* The next thing to tell people; false when there is none. */
bool kafka_publisher_trouble(struct kafka_publisher *publisher, struct err *ret_err);

/* Messages taken whose tickets were not handed out yet. */
size_t kafka_publisher_waiting(const struct kafka_publisher *publisher);

#endif
