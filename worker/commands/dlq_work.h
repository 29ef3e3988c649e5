/*
 * What the parts of `dlq` share: the words of the command line, and a session.
 *
 *     dlq.c         the words, and which part does what
 *     dlq_look.c    list, show
 *     dlq_settle.c  discard, and which of the named letters are still open
 *     dlq_replay.c  replay
 *     dlq_accept.c  accept
 */
#ifndef WORKER_COMMANDS_DLQ_WORK_H
#define WORKER_COMMANDS_DLQ_WORK_H

#include "worker/postgres/pg_client.h"
#include "worker/settings.h"

#include <jansson.h>

struct dlq {
    const struct settings *settings;
    const char *topic, *partition, *reason, *raw, *limit; /* as given; NULL: not given */
    bool all, open, again, yes, json;
    char **words; /* what is left: ids, or a place in the log */
    int word_count;
    char *ids; /* of the words, for PostgreSQL: "{7,12}"; NULL without any */
    struct pg_client *db;
    bool unreported; /* memory was too short to remember what became of a letter */
};

/* Each returns the exit code. */
int dlq_list(struct dlq *dlq);
int dlq_show(struct dlq *dlq);
int dlq_discard(struct dlq *dlq);
int dlq_replay(struct dlq *dlq);
int dlq_accept(struct dlq *dlq);

bool dlq_connect(struct dlq *dlq, bool replica_ok, struct err *err);

/*
 * Says on stderr which of the named letters are not open, and why; with JSON it fills `skipped`
 * instead. `again` lets replayed and discarded ones pass. Gives how many are left.
 */
bool dlq_sift(struct dlq *dlq, bool again, json_t *skipped, size_t *ret_left, struct err *err);

#endif
