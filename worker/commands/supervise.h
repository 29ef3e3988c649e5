/*
 * The supervisor: N worker processes of the same program, restarted when they die.
 *
 * Between it and each worker is one socket pair. The worker writes its part of the status document
 * as a JSON line, about once a second; the supervisor writes "stop". The end of the pair is news
 * for both: a supervisor learns that a worker is gone, a worker that its supervisor is. The
 * supervisor alone listens on HTTP and shows all workers in one document.
 *
 * A worker that refuses its settings (EX_USAGE, EX_CONFIG) would refuse them again: then all end.
 * Whatever else ends a worker, it is started again, with a backoff. One that was killed has not
 * left its consumer group, which counts it until its session times out; were its successor to join
 * before, all others would have to wait for the dead one. So it waits while others can go on.
 *
 * First SIGTERM, SIGINT or SIGHUP: all workers finish what they have, at most 10 s. Second: at
 * once.
 */
#ifndef WORKER_COMMANDS_SUPERVISE_H
#define WORKER_COMMANDS_SUPERVISE_H

#include "common/log.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct supervise_options {
    const struct log *log;
    const char *program; /* to execute, with argv */
    char **argv;
    size_t workers;
    bool http_on;
    const char *http_host;
    uint16_t http_port;
    int64_t restart_base_ms, restart_cap_ms; /* of the backoff */
    int64_t stop_ms;    /* then workers that do not end are killed; they give up before that */
    int64_t silence_ms; /* a worker that reports nothing for so long is not ready */
    int64_t session_ms; /* how long the group counts a dead member; 0: it does not */

    /*
     * Called a few times a second with the status document; true when the run shall end, with
     * *ret_code. NULL for never. For --drain.
     */
    bool (*settled)(void *self, const json_t *status, int *ret_code);
    void *self;
};

struct supervise_options supervise_options_default(void);

/* Runs until all workers have ended. The worst of their exit codes. */
int supervise(const struct supervise_options *options);

#endif
