/* One-line assertions about SQL. Each fails the running cmocka test, naming the statement. */
#ifndef TESTS_PG_SQL_H
#define TESTS_PG_SQL_H

#include <libpq-fe.h>

/* NULL (and a line on standard error) when that failed. */
PGconn *sql_connect(const char *url);

/* The statement succeeds. */
void sql_ok(PGconn *db, const char *sql);

/* The statement fails with that SQLSTATE; outside a transaction block nothing else changes. */
void sql_fails(PGconn *db, const char *sqlstate, const char *sql);

/* The first column of the first row is that text; expected NULL: null, or no row at all. */
void sql_is(PGconn *db, const char *expected, const char *sql);

/* The first column of the first row as a number. */
long long sql_number(PGconn *db, const char *sql);

#endif
