/*
 * A message of librdkafka as a record of ours: views into the message, headers mapped.
 */
#ifndef WORKER_KAFKA_KAFKA_MESSAGE_H
#define WORKER_KAFKA_KAFKA_MESSAGE_H

#include "worker/events/record.h"
#include "worker/kafka/kafka_conf.h"

struct rd_kafka_message_s;

/* Room for the headers of one record, reused from record to record. All zero is empty. */
struct kafka_headers {
    struct header *items;
    size_t capacity;
};

void kafka_headers_release(struct kafka_headers *headers);

/*
 * The longest record that is carried, with key and headers: more than any setting lets be applied.
 * The broker looks at batches as they are compressed, so a megabyte of them may be a record of a
 * gigabyte, and to keep that one would take the memory of all others.
 */
#define KAFKA_RECORD_BYTES_MAX ((size_t)32 * 1024 * 1024)

/*
 * The record is valid as long as the message, and until the next call. False without memory, or
 * with the code "corrupt" when it is too long or the headers cannot be read: a record without them
 * is another one.
 */
bool kafka_message_map(const struct rd_kafka_message_s *message, struct tp tp,
                       struct kafka_headers *headers, struct record *ret_record, struct err *err);

/* False for a topic that the worker does not read. */
bool kafka_topic_find(const struct kafka_names *names, const char *name, enum topic *ret_topic);

#endif
