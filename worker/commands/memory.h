/*
 * How MEMORY_MB is divided: what the engine's two batches and the plan may hold, what the publisher
 * may, and the rest for records that Kafka's client reads ahead, which counts per partition.
 */
#ifndef WORKER_COMMANDS_MEMORY_H
#define WORKER_COMMANDS_MEMORY_H

#include "common/log.h"
#include "worker/commands/kafka_setup.h"

struct memory_plan {
    size_t batch_bytes; /* of one batch */
    int prefetch_kbytes;
};

/*
 * Asks Kafka how many partitions there are, which blocks; when it does not answer, as many as
 * doctor --fix would make are assumed. False (ERR_HALT) when the budget is too small; the text has
 * the figure needed.
 */
bool memory_plan(const struct settings *settings, const struct kafka_options *kafka,
                 const struct log *log, struct memory_plan *ret, struct err *err);

/*
 * How the process keeps the memory it has. Records wander from librdkafka's threads to ours, a
 * megabyte and more at a time: with an arena a thread, and large pieces given back at once, an
 * eighth of the work would be pages that are taken and cleared anew. Call once, before any thread.
 */
void memory_keep(void);

#endif
