/*
 * A little libpq for the parts that are no worker: a connection, files of SQL, and statements that
 * must succeed.
 */
#ifndef TESTS_BENCH_PQ_H
#define TESTS_BENCH_PQ_H

#include "tests/bench/bench.h"
#include "worker/postgres/pg_params.h"

#include <libpq-fe.h>

PGconn *pq_connect(const struct bench *bench);

/* The text of tests/bench/FILE, the caller's to free. */
char *pq_file(const struct bench *bench, const char *file);

/* Ends the program unless the result is one of success; returns it, the caller's to PQclear. */
PGresult *pq_check(PGconn *db, PGresult *result, const char *what);

/* Prepares the contents of FILE under its own name. */
void pq_prepare(PGconn *db, const struct bench *bench, const char *file);

/* Sends one prepared statement of a pipeline with binary parameters. */
void pq_send(PGconn *db, const char *name, const struct pg_params *params);

#endif
