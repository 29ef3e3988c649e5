/*
 * Our settings for librdkafka: what is fixed, what may be chosen, what is secret.
 *
 * Some properties decide whether an exam can be lost (auto.offset.reset, check.crcs, acks, ...).
 * They are fixed here, an attempt to override one is refused with a sentence, and after a client
 * has been made the values in force are read back and compared. Everything else is the operator's,
 * by `-X property=value`.
 *
 * Nothing here owns the strings of `struct kafka_options`: they must outlive the clients made from
 * it. librdkafka's own types appear under their struct names, so that only worker/kafka/ includes
 * rdkafka.h.
 */
#ifndef WORKER_KAFKA_KAFKA_CONF_H
#define WORKER_KAFKA_KAFKA_CONF_H

#include "common/err.h"
#include "worker/engine/ports.h"
#include "worker/events/record.h"

#include <stdbool.h>
#include <stddef.h>

/* After so long without a heartbeat the group gives a member's partitions to others. */
#define KAFKA_SESSION_TIMEOUT_MS 10000

#define OUTLET_COUNT         2
#define KAFKA_TOPIC_NAME_MAX 249

struct rd_kafka_s;
struct rd_kafka_conf_s;

/* The full names of our topics: prefix and default name. */
struct kafka_names {
    char topics[TOPIC_COUNT][KAFKA_TOPIC_NAME_MAX + 1];
    char outlets[OUTLET_COUNT][KAFKA_TOPIC_NAME_MAX + 1];
};

/* False (ERR_HALT) when a name would be too long or has characters that Kafka does not take. */
bool kafka_names_init(struct kafka_names *names, const char *prefix, struct err *err);

struct kafka_options {
    const char *bootstrap_servers; /* "host:port,host:port" */
    const char *group;             /* consumer group */
    const char *client_id;         /* NULL for "attemptd" */
    const struct kafka_names *names;
    const char *const *properties; /* "name=value" each, as given to -X; later ones win */
    size_t property_count;
    int prefetch_kbytes; /* per partition, from kafka_prefetch_kbytes(); 0 for librdkafka's own */
};

enum kafka_role {
    KAFKA_CONSUMER,  /* the worker's group member */
    KAFKA_PUBLISHER, /* invalidations and outcomes: acks=all, without idempotence, because these
                        messages may repeat and need no order, and 2.0.2's idempotent producer
                        can end in a fatal error */
    KAFKA_PRODUCER,  /* produce, simulate, dlq replay: acks=all and idempotent */
    KAFKA_READER,    /* plain reading and administration, in no group */
    KAFKA_WATCHER    /* the same without reading: to it a log ends at its high watermark, not where
                        the first open transaction begins */
};

/* Checks the -X properties alone; false (ERR_HALT) names the first that is refused. */
bool kafka_options_check(const struct kafka_options *options, struct err *err);

/* True when -X debug=... asks for librdkafka's own lines on stderr. */
bool kafka_options_debug(const struct kafka_options *options);

/* A configuration for rd_kafka_new(), which takes it over; NULL and ERR_HALT when refused. */
struct rd_kafka_conf_s *kafka_conf_new(const struct kafka_options *options, enum kafka_role role,
                                       struct err *err);

/* Makes the client and compares the fixed settings with those in force. Takes `conf`. */
struct rd_kafka_s *kafka_client_start(struct rd_kafka_conf_s *conf, enum kafka_role role,
                                      struct err *err);

/* True when the value of this property must never be shown. */
bool kafka_property_is_secret(const char *name);

/*
 * queued.max.messages.kbytes for a budget: librdkafka counts it per partition, since our partition
 * queues are split, and counts keys and values alone; with its own book-keeping a small record
 * takes nearly twice that. 2.0.2's fetcher does not notice that a queue was drained: it looks again
 * when its next request is answered, or after up to a second. So what counts is the sum over all
 * partitions, which lasts for that second, and for one hot partition among idle ones
 * fetch.wait.max.ms, which we set to 100 ms. Measured on a real broker with 446-byte events and 12
 * partitions, in thousands of events a second:
 *
 *     kbytes                   512   1,024   2,048   4,096   8,192
 *     all partitions           175             262     230     253
 *     one hot, wait 500 ms              11      11    > 29    > 29
 *     one hot, wait 100 ms            > 29    > 29    > 29    > 29
 *
 * Above 65,536 nothing is gained. A fetch takes no more of a partition than may wait of it, or it
 * would pass the threshold by its whole size. queued.min.messages stays librdkafka's own.
 *
 * False (ERR_HALT, code "memory") when the budget is too small; the text has the figure needed.
 */
#define KAFKA_PREFETCH_OVERHEAD   2
#define KAFKA_PREFETCH_KBYTES_MIN 384
#define KAFKA_PREFETCH_KBYTES_MAX 65536

/* The smallest budget. */
static inline size_t kafka_prefetch_bytes_min(size_t partitions)
{
    return partitions * KAFKA_PREFETCH_KBYTES_MIN * 1024 * KAFKA_PREFETCH_OVERHEAD;
}

bool kafka_prefetch_kbytes(size_t budget_bytes, size_t partitions, int *ret_kbytes,
                           struct err *err);

#endif
