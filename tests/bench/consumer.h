/*
 * Reading a segment of the log with librdkafka and nothing else, the way the worker does: one queue
 * per partition, asked in turn without waiting, and an eventfd that says when there is more.
 */
#ifndef TESTS_BENCH_CONSUMER_H
#define TESTS_BENCH_CONSUMER_H

#include "tests/bench/bench.h"

struct consumer;
struct rd_kafka_s;
struct rd_kafka_message_s;

/* A client with these settings; the bench ends aloud when librdkafka refuses one. */
struct rd_kafka_s *bench_client(const char *const (*settings)[2], size_t count);

/* Connected, but reads nothing yet. */
struct consumer *consumer_new(const struct bench *bench, const struct feed *feed);
void consumer_free(struct consumer *consumer);

/* From here on librdkafka fetches. */
void consumer_start(struct consumer *consumer);

/* The next record; its message is the caller's to destroy. False at the end of the segment. */
bool consumer_next(struct consumer *consumer, struct rd_kafka_message_s **ret, struct tp *ret_tp);

/* The message as a record: valid as long as the message, and until the next call. */
void consumer_map(struct consumer *consumer, const struct rd_kafka_message_s *message, struct tp tp,
                  struct record *ret_record);

/* Commits what has been read so far to the group, in the background. */
void consumer_commit(struct consumer *consumer);

#endif
