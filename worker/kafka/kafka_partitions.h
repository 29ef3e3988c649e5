/*
 * The partitions that the group has given us, each with its own queue while it is being read.
 *
 * librdkafka puts all records into one queue unless a partition's queue is split off before the
 * partition is assigned. Split queues are our back-pressure: what is not drained is not fetched
 * any further, and neither pause nor resume is needed, which lose or repeat records in 2.0.2.
 * A queue reference lives no longer than the assignment, or librdkafka could not let go of it.
 */
#ifndef WORKER_KAFKA_KAFKA_PARTITIONS_H
#define WORKER_KAFKA_KAFKA_PARTITIONS_H

#include "common/err.h"
#include "worker/events/record.h"

struct rd_kafka_s;
struct rd_kafka_queue_s;

struct kafka_partition {
    struct tp tp;
    struct rd_kafka_queue_s *queue; /* NULL while it is not read */
    int64_t position;               /* no record below it may be delivered */
    int64_t ended_at;               /* where the broker last reported the end; -1: nowhere yet */
    bool stopped;   /* something was wrong in the log: nothing more until assigned */
    bool stop_news; /* ... and the engine has not heard of it yet */
    bool suspect_news;
    struct err err; /* of the stop */
};

struct kafka_partitions {
    struct kafka_partition *items; /* sorted by topic and partition */
    struct tp *tps;                /* the same, for SOURCE_ASSIGNED */
    size_t count;
};

/* All zero is an empty one. */
void kafka_partitions_release(struct kafka_partitions *partitions);

/* Takes `count` new partitions, not read yet, in place of the old ones. False without memory. */
bool kafka_partitions_set(struct kafka_partitions *partitions, const struct tp *tps, size_t count);

/* NULL when it is not ours. Valid until the next set or release. */
struct kafka_partition *kafka_partitions_find(const struct kafka_partitions *partitions,
                                              struct tp tp);

/* Splits the partition's queue off; librdkafka will write to `fd` when it stops being empty. */
bool kafka_partition_open(struct kafka_partition *partition, struct rd_kafka_s *rk,
                          const char *topic, int fd);
void kafka_partition_close(struct kafka_partition *partition);

/* Throws away what is in the queue. Only while the partition is not assigned. */
void kafka_partition_drain(struct kafka_partition *partition);

#endif
