/*
 * Reading a segment of the log with librdkafka and nothing else, the way the worker does: one queue
 * per partition, asked in turn without waiting, and an eventfd that says when there is more.
 */
#ifndef TESTS_BENCH_CONSUMER_H
#define TESTS_BENCH_CONSUMER_H

#include "tests/bench/bench.h"

struct consumer;
struct rd_kafka_message_s;

/* Connected, but reads nothing yet. */
struct consumer *consumer_new(const struct bench *bench, const struct feed *feed);
void consumer_free(struct consumer *consumer);

/* From here on librdkafka fetches. */
void consumer_start(struct consumer *consumer);

/* The next record; its message is the caller's to destroy. False at the end of the segment. */
bool consumer_next(struct consumer *consumer, struct rd_kafka_message_s **ret, struct tp *ret_tp);

/* Commits what has been read so far to the group, in the background. */
void consumer_commit(struct consumer *consumer);

#endif
