/*
 * Sending events, for produce, simulate, dlq replay and tests: idempotent, acks=all, murmur2.
 *
 * kafka_producer_send() copies and returns at once, or waits while the queue is full; what became
 * of the messages is counted, and kafka_producer_flush() waits until nothing is open. A message
 * that could not be delivered is a failure that the caller must report: nothing is sent again here.
 */
#ifndef WORKER_KAFKA_KAFKA_PRODUCER_H
#define WORKER_KAFKA_KAFKA_PRODUCER_H

#include "worker/kafka/kafka_conf.h"

#include <stdint.h>

struct kafka_producer;

struct kafka_outgoing {
    const char *topic;
    int32_t partition;  /* -1: by the key */
    struct bytes key;   /* absent for a null key */
    struct bytes value; /* absent for a tombstone */
    const struct header *headers;
    size_t header_count;
    int64_t timestamp_ms; /* 0 for now */
    unsigned tag;         /* the caller's: counted in delivered_by; below KAFKA_TAGS */
};

#define KAFKA_TAGS 8

struct kafka_counts {
    uint64_t sent, delivered, failed;
    uint64_t delivered_by[KAFKA_TAGS];
    struct err last_failure; /* if failed > 0 */
};

struct kafka_producer *kafka_producer_new(const struct kafka_options *options, struct err *err);

/* Open messages are lost; flush first. */
void kafka_producer_free(struct kafka_producer *producer);

bool kafka_producer_send(struct kafka_producer *producer, const struct kafka_outgoing *outgoing,
                         struct err *err);

/* Counts so far; also serves delivery reports without waiting. */
struct kafka_counts kafka_producer_counts(struct kafka_producer *producer);

/* True when every message was delivered; false and the first reason otherwise. */
bool kafka_producer_flush(struct kafka_producer *producer, int timeout_ms, struct err *err);

#endif
