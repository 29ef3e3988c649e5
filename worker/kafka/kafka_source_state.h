/*
 * The inside of the source, shared by its two files: kafka_source.c does what the engine asks for,
 * kafka_source_news.c takes in what librdkafka reports and tells it by next().
 *
 * Callbacks and messages only leave marks here; next() turns marks into news, in a fixed order.
 */
#ifndef WORKER_KAFKA_KAFKA_SOURCE_STATE_H
#define WORKER_KAFKA_KAFKA_SOURCE_STATE_H

#include "worker/kafka/kafka_error.h"
#include "worker/kafka/kafka_message.h"
#include "worker/kafka/kafka_partitions.h"
#include "worker/kafka/kafka_source.h"
#include "worker/kafka/kafka_survey.h"

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

struct kafka_source {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue; /* of rebalances, errors, replies; never of records */
    const struct kafka_names *names;
    int wake_fd;

    struct kafka_partitions partitions;
    struct kafka_survey survey;
    struct kafka_troubles troubles;

    rd_kafka_topic_partition_list_t *given; /* by the group, and not ours yet; NULL: none */
    bool unanswered;                        /* the rebalance: tell librdkafka again */

    bool revoked_news, assigned_news; /* in this order */
    bool suspect_news;                /* all partitions */
    bool lost_told; /* people know that brokers were lost, not yet of their return */

    bool prints_debug;         /* -X debug: librdkafka's lines go to stderr */
    atomic_bool leader_denied; /* set by librdkafka's threads: a fetch was refused */

    rd_kafka_message_t *held; /* the record that the engine is looking at */
    struct kafka_headers headers;
};

/* Lets go of the record that the engine was looking at. */
void kafka_source_drop_held(struct kafka_source *source);

/* Sets the callbacks of rebalances, errors, commits and log lines. */
void kafka_source_listen(struct kafka_source *source, rd_kafka_conf_t *conf);

/* A message with an error, from a partition's own queue; afterwards it may be stopped. */
void kafka_source_take_error(struct kafka_source *source, struct kafka_partition *partition,
                             const rd_kafka_message_t *message);

/* Marks the partition as not to be read on from where it is. */
void kafka_source_stop(struct kafka_source *source, struct kafka_partition *partition,
                       const char *code, const char *what);

/* A record that cannot be mapped: stops the partition, or is passed over in view.refresh. */
void kafka_source_refuse(struct kafka_source *source, struct kafka_partition *partition,
                         int64_t offset, const struct err *why);

/* After a refused fetch: nothing more from any partition until it is assigned again. */
void kafka_source_check_leaders(struct kafka_source *source);

/*
 * Positions for librdkafka, NULL to give them back. The first call after a rebalance is also the
 * answer that the group waits for.
 */
rd_kafka_resp_err_t kafka_source_tell(struct kafka_source *source,
                                      const rd_kafka_topic_partition_list_t *list);

/* Forgets partitions that were not taken in yet. */
void kafka_source_drop_given(struct kafka_source *source);

/* The `next` of the port. */
void kafka_source_next(void *self, struct source_event *ret);

#endif
