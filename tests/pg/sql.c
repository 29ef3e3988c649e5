#include "tests/pg/sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void ignore_notice(void *self, const char *message)
{
    (void)self;
    (void)message;
}

PGconn *sql_connect(const char *url)
{
    PGconn *db = PQconnectdb(url);
    (void)PQsetNoticeProcessor(db, ignore_notice, NULL);
    if (PQstatus(db) == CONNECTION_OK)
        return db;
    print_error("%s", PQerrorMessage(db));
    PQfinish(db);
    return NULL;
}

static PGresult *execute(PGconn *db, const char *sql)
{
    PGresult *result = PQexec(db, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        print_error("%s\n%s", sql, PQresultErrorMessage(result));
        PQclear(result);
        fail_msg("a statement failed");
    }
    return result;
}

void sql_ok(PGconn *db, const char *sql)
{
    PQclear(execute(db, sql));
}

void sql_fails(PGconn *db, const char *sqlstate, const char *sql)
{
    PGresult *result = PQexec(db, sql);
    const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    char found[6] = "none";
    if (code)
        (void)snprintf(found, sizeof found, "%s", code);
    PQclear(result);
    if (strcmp(found, sqlstate) != 0)
        fail_msg("expected SQLSTATE %s, found %s: %s", sqlstate, found, sql);
}

void sql_is(PGconn *db, const char *expected, const char *sql)
{
    PGresult *result = execute(db, sql);
    char found[256] = "";
    bool null = PQntuples(result) == 0 || PQgetisnull(result, 0, 0);
    if (!null)
        (void)snprintf(found, sizeof found, "%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    if (expected ? null || strcmp(found, expected) != 0 : !null)
        fail_msg("expected %s, found %s: %s", expected ? expected : "null", null ? "null" : found,
                 sql);
}

long long sql_number(PGconn *db, const char *sql)
{
    PGresult *result = execute(db, sql);
    long long number = PQntuples(result) > 0 ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : 0;
    PQclear(result);
    return number;
}
