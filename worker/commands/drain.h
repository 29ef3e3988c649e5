/*
 * --drain: is everything that was in the topics at the start settled and published?
 *
 * The ends of the logs are noted once; then the ledger is asked, because it knows the partitions
 * of all members of the group and survives their crashes. A topic that does not exist is empty. A
 * partition that is halted will not get there: when all others have, the answer is "halted". The
 * end of a log is where it ends for readers: what a transaction that is open then holds back is not
 * waited for, because that may be for ever, but told of in the log when it is still not settled at
 * the end.
 */
#ifndef WORKER_COMMANDS_DRAIN_H
#define WORKER_COMMANDS_DRAIN_H

#include "common/err.h"
#include "common/log.h"
#include "worker/settings.h"

#include <jansson.h>

struct drain;

enum drain_state { DRAIN_GOING, DRAIN_SETTLED, DRAIN_HALTED };

/*
 * Asks Kafka for the ends, which blocks: up to KAFKA_ADMIN_TIMEOUT_MS, and as long again for each
 * partition that is out of reach. A signal ends the process meanwhile (interrupt.h), so call it
 * before anything is begun. NULL with `err` when Kafka does not answer. Settings and log must
 * outlive it.
 */
struct drain *drain_new(const struct settings *settings, const struct log *log, struct err *err);
void drain_free(struct drain *drain);

/* Never blocks; call it every DRAIN_STEP_MS until it is not going on any more. `status` is the
 * document of worker/http/pages.h. */
#define DRAIN_STEP_MS 100
enum drain_state drain_step(struct drain *drain, const json_t *status);

/*
 * Says that a signal came first. A signal ends with 0 as a finished drain does: a line in the log
 * is all that tells the two apart.
 */
void drain_cut_short(const struct log *log);

/* What is left, for the log. */
int64_t drain_records_left(const struct drain *drain);

#endif
