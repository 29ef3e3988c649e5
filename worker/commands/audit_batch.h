/*
 * Expected rows on their way to PostgreSQL: a JSON array that grows until it is worth a statement,
 * which gives back what differs.
 */
#ifndef WORKER_COMMANDS_AUDIT_BATCH_H
#define WORKER_COMMANDS_AUDIT_BATCH_H

#include "common/buf.h"
#include "common/uuid.h"
#include "worker/postgres/pg_client.h"

struct audit_batch {
    struct buf text;
    size_t rows;
};

void audit_batch_init(struct audit_batch *batch);
void audit_batch_release(struct audit_batch *batch);

/* Begins a row with a member of text, and ends it. In between come the others. */
void audit_batch_row(struct audit_batch *batch, const char *name, struct bytes text);
void audit_batch_row_end(struct audit_batch *batch);

void audit_batch_uuid(struct audit_batch *batch, const char *name, const struct uuid *id);
void audit_batch_int(struct audit_batch *batch, const char *name, int64_t value);
void audit_batch_text(struct audit_batch *batch, const char *name, struct bytes text);
void audit_batch_json(struct audit_batch *batch, const char *name, struct bytes json);

/* Worth a statement. */
bool audit_batch_is_full(const struct audit_batch *batch);

/* Runs the embedded statement `file` with the rows as its $1 and forgets them. */
bool audit_batch_run(struct audit_batch *batch, struct pg_client *db, const char *file,
                     struct pg_rows **ret_rows, struct err *err);

#endif
