/*
 * Looking at a cluster and changing its topics, for doctor, status, audit and tests.
 *
 * Every call blocks for about KAFKA_ADMIN_TIMEOUT_MS, asks again until then where that may help
 * (kafka_ask.h), and fails with a sentence. Results are plain values; strings that a callback gets
 * are its own only while it runs.
 */
#ifndef WORKER_KAFKA_KAFKA_ADMIN_H
#define WORKER_KAFKA_KAFKA_ADMIN_H

#include "worker/engine/ports.h"
#include "worker/kafka/kafka_conf.h"

#include <stdint.h>

#define KAFKA_ADMIN_TIMEOUT_MS 10000

struct kafka_admin;

/* `options` and what it points to must outlive it. */
struct kafka_admin *kafka_admin_new(const struct kafka_options *options, struct err *err);
void kafka_admin_free(struct kafka_admin *admin);

struct kafka_cluster {
    char id[64]; /* empty when the broker does not say */
    int broker_count;
};

/*
 * Also the way to find out whether anybody answers at all, within `timeout_ms`. Who answers may
 * still say until then that there are no brokers, not even itself: KRaft's controller has fenced
 * them all.
 */
bool kafka_admin_cluster(struct kafka_admin *admin, int timeout_ms, struct kafka_cluster *ret,
                         struct err *err);

struct kafka_topic {
    bool exists;
    int32_t partition_count;
    int replication_factor; /* of partition 0 */
};

/* A topic that does not exist is an answer, not a failure. */
bool kafka_admin_topic(struct kafka_admin *admin, const char *topic, struct kafka_topic *ret,
                       struct err *err);

/*
 * First offset and end of one partition's log, as a reader sees them: the end is that of the
 * committed records, behind which nobody gets anything.
 */
bool kafka_admin_log(struct kafka_admin *admin, const char *topic, int32_t partition,
                     int64_t *ret_low, int64_t *ret_high, struct err *err);

/* Both ends of a log. */
struct kafka_log_ends {
    int64_t low;
    int64_t stable; /* where it ends for a reader, as above */
    int64_t high;   /* the high watermark, not before `stable`: what lies between them is a
                       transaction that is open, and what waits behind it */
};

/* For showing: who waits until something gets to the high watermark may wait for ever. */
bool kafka_admin_ends(struct kafka_admin *admin, const char *topic, int32_t partition,
                      struct kafka_log_ends *ret, struct err *err);

/* What the group of the options has committed (-1 for nothing), and the witness beside it. */
bool kafka_admin_committed(struct kafka_admin *admin, const char *topic, int32_t partition,
                           int64_t *ret_offset, struct witness *ret_witness, struct err *err);

struct kafka_setting {
    const char *name, *value;
};

/* Calls `take` for each setting of the topic (retention.ms, cleanup.policy, ...). */
bool kafka_admin_settings(struct kafka_admin *admin, const char *topic,
                          void (*take)(void *self, const struct kafka_setting *setting), void *self,
                          struct err *err);

/* Makes the topic, with the broker's replication factor; one that is there already is fine. */
bool kafka_admin_create(struct kafka_admin *admin, const char *topic, int32_t partitions,
                        const struct kafka_setting *settings, size_t setting_count,
                        struct err *err);

/* Raises the number of partitions to `partitions`. */
bool kafka_admin_grow(struct kafka_admin *admin, const char *topic, int32_t partitions,
                      struct err *err);

bool kafka_admin_delete(struct kafka_admin *admin, const char *topic, struct err *err);

#endif
