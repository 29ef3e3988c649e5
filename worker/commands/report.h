/*
 * A worker's part of the status document (worker/http/pages.h shows the whole).
 */
#ifndef WORKER_COMMANDS_REPORT_H
#define WORKER_COMMANDS_REPORT_H

#include "worker/engine/engine.h"
#include "worker/settings.h"

#include <jansson.h>

struct report_facts {
    const struct settings *settings; /* names of topics */
    int index;                       /* of the worker */
    const char *state;               /* "running", "stopping" */
    int64_t uptime_ms;
    const struct engine_status *engine;
    json_t *views, *balances; /* arrays, borrowed; NULL for none */

    /*
     * Where a log ends by the source's own account, -1 when it does not know. What the engine has
     * seen of it is older while a backlog grows, and ends before a transaction that some producer
     * holds open: lag would show nothing of either. NULL: the engine's word is enough.
     */
    int64_t (*log_end)(const void *source, struct tp tp);
    const void *source;
};

/* A new reference; NULL when memory is short. */
json_t *report_worker(const struct report_facts *facts);

/* The document of a process that has one worker and no supervisor. Steals `worker`. */
json_t *report_document(json_t *worker, int64_t uptime_ms);

#endif
