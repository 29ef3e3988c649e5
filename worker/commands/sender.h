/*
 * Sending for commands: records to our topics, one after the other, with every delivery report
 * counted. kafka_producer.h tells how they are sent.
 */
#ifndef WORKER_COMMANDS_SENDER_H
#define WORKER_COMMANDS_SENDER_H

#include "worker/events/record.h"
#include "worker/kafka/kafka_producer.h"
#include "worker/settings.h"

struct sender;

/*
 * NULL (with a sentence about what to do) when Kafka does not answer within ten seconds, or has not
 * the topics for writes and activity.
 */
struct sender *sender_new(const struct settings *settings, struct err *err);

/* Forgets what was not delivered; NULL is fine. */
void sender_free(struct sender *sender);

/* Copies the record; waits while the client's queue is full. */
bool sender_send(struct sender *sender, const struct record *record, unsigned tag, struct err *err);

/* True when every record was delivered. */
bool sender_flush(struct sender *sender, int timeout_ms, struct err *err);

/* Takes the delivery reports that have come. */
struct kafka_counts sender_counts(struct sender *sender);

#endif
