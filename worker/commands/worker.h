/*
 * One worker process: the engine between its adapters, on one event loop.
 *
 * The loop sleeps until a descriptor, a timer or a signal wakes it and then takes one turn
 * (worker_turn() in worker.c), in which the same things happen in the same order whatever woke it.
 */
#ifndef WORKER_COMMANDS_WORKER_H
#define WORKER_COMMANDS_WORKER_H

#include "common/log.h"
#include "worker/commands/supervised.h"
#include "worker/settings.h"

#include <stdbool.h>

struct worker_options {
    const struct settings *settings;
    const struct log *log;
    struct supervised *supervised; /* `on` is false without a supervisor */
    bool drain;                    /* end when drained; with a supervisor that is its business */
};

/*
 * Runs until a signal, the supervisor, --drain or wrong settings end it. Returns the exit code;
 * *ret_restart says that the process should be started anew (only without a supervisor). When there
 * is no time to wait for threads (a second signal, an end that takes too long), it does not return.
 */
int worker_run(const struct worker_options *options, bool *ret_restart);

#endif
