#include "worker/postgres/pg_client.h"

#include "common/embedded.h"
#include "worker/postgres/conninfo.h"
#include "worker/postgres/sqlstate.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_SCHEMA            "public"
#define DEFAULT_CONNECT_TIMEOUT_S 10
#define NUMBER_BYTES              16
#define KNOCK_MS                  2000

struct pg_client {
    PGconn *conn;
    char *schema;
    size_t error_at;
    char message[200];
};

/* A PGresult under a name that says what may be done with it. */
struct pg_rows;

static PGresult *result_of(const struct pg_rows *rows)
{
    return (PGresult *)(uintptr_t)rows;
}

static const char *statement_text(const char *file)
{
    for (const struct embedded_file *f = statements_embedded; f->name; f++)
        if (strcmp(f->name, file) == 0)
            return f->text;
    return NULL;
}

/* Positions of PostgreSQL count characters from 1; ours count bytes from 0. */
static size_t byte_position(const char *sql, const char *position)
{
    long characters = position ? strtol(position, NULL, 10) : 0;
    size_t at = 0;
    while (characters > 1 && sql[at]) {
        at++;
        characters -= ((unsigned char)sql[at] & 0xc0u) != 0x80u;
    }
    return at;
}

static bool fail_result(struct pg_client *client, const char *what, const char *sql,
                        const PGresult *result, struct err *err)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (!message)
        message = PQerrorMessage(client->conn);
    (void)snprintf(client->message, sizeof client->message, "%.*s", (int)strcspn(message, "\n"),
                   message);
    client->error_at = byte_position(sql, PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION));
    enum err_action action = sqlstate_action(sqlstate, PQstatus(client->conn) == CONNECTION_OK);
    return err_set(err, action, sqlstate ? sqlstate : "connection", "PostgreSQL, %s: %s%s%s%s",
                   what, client->message, sqlstate ? " (SQLSTATE " : "", sqlstate ? sqlstate : "",
                   sqlstate ? ")" : "");
}

/* The parameters of a connection; `values` as `keywords` has them. */
struct target {
    char timeout[NUMBER_BYTES];
    const char *keywords[6];
    const char *values[6];
};

/*
 * Why a server refuses: a code is only in the message if that was asked for before it came, which
 * PQconnectdb does not allow. So this knocks once more, for a moment.
 */
static void find_refusal(const struct target *target, char ret_sqlstate[static SQLSTATE_LEN + 1])
{
    PGconn *conn = PQconnectStartParams(target->keywords, target->values, 1);
    if (!conn)
        return;
    (void)PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (state == PGRES_POLLING_READING || state == PGRES_POLLING_WRITING) {
        struct pollfd fd = { .fd = PQsocket(conn),
                             .events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT };
        if (poll(&fd, 1, KNOCK_MS) <= 0)
            break;
        state = PQconnectPoll(conn);
    }
    if (state == PGRES_POLLING_FAILED)
        (void)sqlstate_find(PQerrorMessage(conn), ret_sqlstate);
    PQfinish(conn);
}

static bool fail_connect(const PGconn *conn, const struct target *target, struct err *err)
{
    const char *message = PQerrorMessage(conn);
    char sqlstate[SQLSTATE_LEN + 1] = "";
    enum err_action action = ERR_LOST;
    find_refusal(target, sqlstate);
    if (sqlstate[0])
        action = sqlstate_action(sqlstate, false);
    else if (PQconnectionNeedsPassword(conn))
        action = ERR_HALT;
    else if (sqlstate_is_read_only(message))
        memcpy(sqlstate, SQLSTATE_READ_ONLY, sizeof sqlstate);
    const char *advice = sqlstate_advice(sqlstate);
    return err_set(err, action, sqlstate[0] ? sqlstate : "connect",
                   "cannot connect to PostgreSQL: %.*s; %s", (int)strcspn(message, "\n"), message,
                   advice ? advice : "is DATABASE_URL right and the server up?");
}

static void ignore_notice(void *self, const PGresult *result)
{
    (void)self;
    (void)result;
}

static void aim(const struct pg_client_options *options, struct target *ret)
{
    (void)snprintf(ret->timeout, sizeof ret->timeout, "%d",
                   options->connect_timeout_s > 0 ? options->connect_timeout_s
                                                  : DEFAULT_CONNECT_TIMEOUT_S);
    const char *name = options->application_name ? options->application_name : "attemptd";
    /* What stands behind "dbname" wins over what stands before it: the operator's URL comes last,
     * the encoding, which our code depends on, after it. */
    const char *pairs[][2] = { { "connect_timeout", ret->timeout },
                               { "fallback_application_name", name },
                               { "target_session_attrs",
                                 options->standby_ok ? "any" : "read-write" },
                               { "dbname", options->url ? options->url : "" },
                               { "client_encoding", "UTF8" },
                               { NULL, NULL } };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        ret->keywords[i] = pairs[i][0];
        ret->values[i] = pairs[i][1];
    }
}

bool pg_client_connect(const struct pg_client_options *options, struct pg_client **ret,
                       struct err *err)
{
    if (!conninfo_valid(options->url))
        return err_set(err, ERR_HALT, "conninfo", "%s", CONNINFO_UNREADABLE);
    struct pg_client *client = calloc(1, sizeof *client);
    if (!client)
        return err_set(err, ERR_RESOURCE, "ENOMEM", "no memory for a database connection");
    client->schema = strdup(options->schema ? options->schema : DEFAULT_SCHEMA);
    struct target target;
    aim(options, &target);
    client->conn = PQconnectdbParams(target.keywords, target.values, 1);
    if (!client->schema || PQstatus(client->conn) != CONNECTION_OK) {
        (void)fail_connect(client->conn, &target, err);
        pg_client_free(client);
        return false;
    }
    (void)PQsetErrorVerbosity(client->conn, PQERRORS_TERSE);
    (void)PQsetNoticeReceiver(client->conn, ignore_notice, NULL);
    char statement_ms[NUMBER_BYTES];
    char lock_ms[NUMBER_BYTES];
    (void)snprintf(statement_ms, sizeof statement_ms, "%d", options->statement_timeout_ms);
    (void)snprintf(lock_ms, sizeof lock_ms, "%d", options->lock_timeout_ms);
    const char *params[] = { client->schema, statement_ms, lock_ms };
    if (!pg_client_run(client, "client_settings.sql", params, 3, NULL, err)) {
        pg_client_free(client);
        return false;
    }
    *ret = client;
    return true;
}

void pg_client_free(struct pg_client *client)
{
    if (!client)
        return;
    PQfinish(client->conn);
    free(client->schema);
    free(client);
}

static bool succeeded(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

bool pg_client_run(struct pg_client *client, const char *file, const char *const *params,
                   size_t param_count, struct pg_rows **ret_rows, struct err *err)
{
    const char *sql = statement_text(file);
    if (!sql)
        return err_set(err, ERR_BUG, "STATEMENT", "there is no embedded statement %s", file);
    PGresult *result =
        PQexecParams(client->conn, sql, (int)param_count, NULL, params, NULL, NULL, 0);
    if (!succeeded(result)) {
        (void)fail_result(client, file, sql, result, err);
        PQclear(result);
        return false;
    }
    if (ret_rows)
        *ret_rows = (struct pg_rows *)result;
    else
        PQclear(result);
    return true;
}

bool pg_client_prepare(struct pg_client *client, const char *file, struct err *err)
{
    const char *sql = statement_text(file);
    if (!sql)
        return err_set(err, ERR_BUG, "STATEMENT", "there is no embedded statement %s", file);
    PGresult *result = PQprepare(client->conn, "", sql, 0, NULL);
    bool ok = succeeded(result);
    if (!ok)
        (void)fail_result(client, file, sql, result, err);
    PQclear(result);
    return ok;
}

bool pg_client_execute(struct pg_client *client, const char *what, const char *sql, struct err *err)
{
    PGresult *result = PQexec(client->conn, sql);
    bool ok = succeeded(result);
    if (!ok)
        (void)fail_result(client, what, sql, result, err);
    PQclear(result);
    return ok;
}

size_t pg_client_error_at(const struct pg_client *client)
{
    return client->error_at;
}

const char *pg_client_error_message(const struct pg_client *client)
{
    return client->message;
}

const char *pg_client_schema(const struct pg_client *client)
{
    return client->schema;
}

size_t pg_rows_count(const struct pg_rows *rows)
{
    return rows ? (size_t)PQntuples(result_of(rows)) : 0;
}

struct bytes pg_rows_bytes(const struct pg_rows *rows, size_t row, size_t column)
{
    PGresult *result = result_of(rows);
    if (row >= pg_rows_count(rows) || PQgetisnull(result, (int)row, (int)column))
        return BYTES_NONE;
    return (struct bytes){ PQgetvalue(result, (int)row, (int)column),
                           (size_t)PQgetlength(result, (int)row, (int)column) };
}

const char *pg_rows_text(const struct pg_rows *rows, size_t row, size_t column, const char *absent)
{
    struct bytes value = pg_rows_bytes(rows, row, column);
    return bytes_present(value) ? value.ptr : absent;
}

int64_t pg_rows_int(const struct pg_rows *rows, size_t row, size_t column)
{
    return strtoll(pg_rows_text(rows, row, column, "0"), NULL, 10);
}

bool pg_rows_bool(const struct pg_rows *rows, size_t row, size_t column)
{
    return pg_rows_text(rows, row, column, "f")[0] == 't';
}

void pg_rows_free(struct pg_rows *rows)
{
    PQclear(result_of(rows));
}
