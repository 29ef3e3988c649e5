/*
 * Questions to a broker that are asked again.
 *
 * For a while after a client has begun, a broker has come back or a partition has lost its leader,
 * librdkafka's answer is "unknown partition", "no leader", "timed out"; soon after it is the right
 * one. Its word for all of them may be _UNKNOWN_PARTITION, also where there is a partition, and it
 * keeps such an answer in a cache. So a command asks on until its time is up, with fresh metadata
 * each time. What fails then says whether waiting could have helped: ERR_RETRY, or ERR_HALT for a
 * partition of which Kafka says that it does not exist.
 */
#ifndef WORKER_KAFKA_KAFKA_ASK_H
#define WORKER_KAFKA_KAFKA_ASK_H

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

struct rd_kafka_s;

/* How long Kafka may go on saying that there is no such partition: its brokers hear of a new one
 * at different times. */
#define KAFKA_ASK_MISSING_MS 3000

/* First offset and end of a log, as the client's isolation level sees it. Deadlines are
 * clock_now_ms()'s. */
bool kafka_ask_log(struct rd_kafka_s *rk, const char *topic, int32_t partition, int64_t deadline_ms,
                   int64_t *ret_low, int64_t *ret_high, struct err *err);

/* After any other question: true, after a pause, when its answer may pass and there is time. */
bool kafka_ask_again(int code, int64_t deadline_ms);

/* What such a question may take: the time that is left, and a moment in any case, because
 * librdkafka takes 0 for "do not wait at all". */
int kafka_ask_left_ms(int64_t deadline_ms);

#endif
