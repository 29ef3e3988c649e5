/*
 * Reading a bounded piece of one partition, record by record, for `audit --replay` and tests.
 *
 * Offsets may have holes (control records, compaction): the piece is finished when everything below
 * its end has been passed, which the broker's end-of-partition report tells when nothing else does.
 * Anything that is wrong in between is a failure; no record is passed over.
 */
#ifndef WORKER_KAFKA_KAFKA_READER_H
#define WORKER_KAFKA_KAFKA_READER_H

#include "worker/kafka/kafka_conf.h"

#include <stdint.h>

#define KAFKA_READ_BEGINNING (-2) /* as `from`: the first record that is there */
#define KAFKA_READ_END       (-1) /* as `to`: the end of the log at the time of the call */

/* Gets each record, borrowed for the call; tp.topic is TOPIC_COUNT for topics that are not read by
 * the worker. False ends the reading early, which is no failure. */
typedef bool kafka_take_record(void *self, const struct record *record);

/* The records with from <= offset < to, in order. */
bool kafka_read_range(const struct kafka_options *options, const char *topic, int32_t partition,
                      int64_t from, int64_t to, kafka_take_record *take, void *self,
                      struct err *err);

#endif
