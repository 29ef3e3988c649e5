/*
 * What the one-shot commands (status, doctor) ask of PostgreSQL and Kafka, as JSON documents.
 *
 * Each call blocks, a few seconds at most, and fails with a sentence that says what to do.
 */
#ifndef WORKER_COMMANDS_FACTS_H
#define WORKER_COMMANDS_FACTS_H

#include "common/err.h"
#include "worker/kafka/kafka_admin.h"
#include "worker/postgres/pg_client.h"
#include "worker/settings.h"

#include <jansson.h>

/* A session; a replica if `replica_ok` and there is one. NULL with `err`. */
struct pg_client *facts_connect(const struct settings *settings, bool replica_ok, struct err *err);

/* The document that one of worker/postgres/sql's files gives as its single value. NULL with `err`.
 */
json_t *facts_from_database(struct pg_client *client, const char *file, const char *const *params,
                            size_t param_count, struct err *err);

/*
 * A table, a schema or a right that is not there is no fault of the statement: says what to do
 * instead. Every command explains it here, so that an operator reads one sentence everywhere.
 */
void facts_explain_missing(struct err *err, const char *schema);

/* pg_client_run(), explained. */
bool facts_run(struct pg_client *client, const char *file, const char *const *params, size_t count,
               struct pg_rows **ret_rows, struct err *err);

/*
 * { "exists": true, "partitions": 3, "replication_factor": 1, "records": 10,
 *   "logs": [ {"low": 0, "stable_end": 4, "end": 5}, ... ] }, without the logs unless they are
 * asked for. A reader gets what lies before stable_end: an open transaction begins there, if not
 * all was committed.
 */
json_t *facts_from_topic(struct kafka_admin *admin, const char *topic, bool logs, struct err *err);

#endif
