/*
 * A small client that blocks, for commands and tests: connect, run an embedded statement, read its
 * rows as text.
 *
 * The worker's event path uses pg_session.h instead. One statement at a time; after a failure the
 * client is usable again unless the error says ERR_LOST (inside a transaction: after ROLLBACK).
 * Error texts name the statement and the primary message; DETAIL and CONTEXT, which quote rows, are
 * never looked at.
 */
#ifndef WORKER_POSTGRES_PG_CLIENT_H
#define WORKER_POSTGRES_PG_CLIENT_H

#include "common/bytes.h"
#include "common/err.h"

#include <stdint.h>

struct pg_client;
struct pg_rows;

struct pg_client_options {
    const char *url;              /* URL or key=value; NULL: the PG* environment */
    const char *schema;           /* NULL: public. It need not exist. */
    const char *application_name; /* a name in `url` comes first */
    bool standby_ok;              /* false: of several hosts take the one that can be written to */
    int connect_timeout_s;        /* 0: 10 */
    int statement_timeout_ms;     /* 0: none */
    int lock_timeout_ms;          /* 0: none */
};

/* `*ret` is the caller's to free. */
bool pg_client_connect(const struct pg_client_options *options, struct pg_client **ret,
                       struct err *err);
void pg_client_free(struct pg_client *client);

/*
 * Runs the embedded statement `file` (worker/postgres/sql) with text parameters, NULL for null.
 * `ret_rows` may be NULL; else `*ret_rows` is the caller's to free.
 */
bool pg_client_run(struct pg_client *client, const char *file, const char *const *params,
                   size_t param_count, struct pg_rows **ret_rows, struct err *err);

/* Whether the server takes the embedded statement `file`: are its tables, columns, functions there?
 */
bool pg_client_prepare(struct pg_client *client, const char *file, struct err *err);

/* SQL that is no embedded file: BEGIN, a migration's statement. `what` names it in errors. */
bool pg_client_execute(struct pg_client *client, const char *what, const char *sql,
                       struct err *err);

/* After a failed pg_client_execute(): where in its text, in bytes; 0 when nobody knows. */
size_t pg_client_error_at(const struct pg_client *client);

/* The bare message of the last failure, without its place and code. */
const char *pg_client_error_message(const struct pg_client *client);

/* The schema as given in the options. */
const char *pg_client_schema(const struct pg_client *client);

size_t pg_rows_count(const struct pg_rows *rows);

/* Absent for null, and outside the rows. Valid until pg_rows_free(). */
struct bytes pg_rows_bytes(const struct pg_rows *rows, size_t row, size_t column);

/* The same, terminated; `absent` for null. */
const char *pg_rows_text(const struct pg_rows *rows, size_t row, size_t column, const char *absent);

/* A column of integers; 0 for null. */
int64_t pg_rows_int(const struct pg_rows *rows, size_t row, size_t column);

/* A boolean column; false for null. */
bool pg_rows_bool(const struct pg_rows *rows, size_t row, size_t column);

void pg_rows_free(struct pg_rows *rows);

#endif
