/*
 * --drain: is everything that was in the topics at the start settled and published?
 *
 * The ends of the logs are noted once; then the ledger is asked, because it knows the partitions
 * of all members of the group and survives their crashes. A topic that does not exist is empty. A
 * partition that is halted will not get there: when all others have, the answer is "halted".
 */
#ifndef WORKER_COMMANDS_DRAIN_H
#define WORKER_COMMANDS_DRAIN_H

#include "common/err.h"
#include "worker/settings.h"

#include <jansson.h>

struct drain;

enum drain_state { DRAIN_GOING, DRAIN_SETTLED, DRAIN_HALTED };

/* Asks Kafka for the ends, which blocks. NULL with `err` when it does not answer. */
struct drain *drain_new(const struct settings *settings, struct err *err);
void drain_free(struct drain *drain);

/* Never blocks; call it every DRAIN_STEP_MS. `status` is the document of worker/http/pages.h. */
#define DRAIN_STEP_MS 100
enum drain_state drain_step(struct drain *drain, const json_t *status);

/* What is left, for the log. */
int64_t drain_records_left(const struct drain *drain);

#endif
