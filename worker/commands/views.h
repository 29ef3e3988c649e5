/*
 * What this process has refreshed and weighed, for the status document: the housekeeper's notes as
 * log lines, and as one JSON object per view and per partition of the ledger.
 */
#ifndef WORKER_COMMANDS_VIEWS_H
#define WORKER_COMMANDS_VIEWS_H

#include "worker/commands/journal.h"
#include "worker/postgres/housekeeper.h"

#include <jansson.h>

struct views {
    struct journal_log *journal;
    json_t *balances; /* of {"topic","partition","difference"} */
    json_t *list;     /* of {"view","refreshes","failures","last_refresh_ms","last_duration_ms"} */
};

/* False when memory is short. */
bool views_init(struct views *views, struct journal_log *journal);
void views_release(struct views *views);

/* For housekeeper_options.note. */
void views_note(struct views *views, const struct housekeeper_note *note);

#endif
