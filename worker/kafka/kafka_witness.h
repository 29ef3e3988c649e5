/*
 * The witness of the ledger, as the metadata of a group's offset.
 *
 * Kafka keeps a short text beside each committed offset, for whoever commits it. Ours says where
 * the ledger was seen when the offset was committed: "attemptd generation=3 next=812". Tools that
 * move offsets leave another text, or none, and are then no witness. Text is never trusted: what is
 * not exactly ours is absent.
 */
#ifndef WORKER_KAFKA_KAFKA_WITNESS_H
#define WORKER_KAFKA_KAFKA_WITNESS_H

#include "worker/engine/ports.h"

#include <librdkafka/rdkafka.h>

/* Puts the witness, if there is one, beside an offset that is to be committed. False: no memory. */
bool kafka_witness_put(rd_kafka_topic_partition_t *offset, const struct witness *witness);

/* What is beside an offset that was committed. */
struct witness kafka_witness_get(const rd_kafka_topic_partition_t *offset);

#endif
