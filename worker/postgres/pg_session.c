#include "worker/postgres/pg_session_inside.h"

#include "common/embedded.h"
#include "worker/postgres/sqlstate.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct pg_session_options pg_session_options_default(void)
{
    return (struct pg_session_options){
        .application_name = "attemptd",
        .connect_timeout_ms = 10000,
        .statement_timeout_ms = 30000,
        .lock_timeout_ms = 5000,
        .idle_in_transaction_ms = 15000,
    };
}

const char *pg_statement_text(const char *file)
{
    for (const struct embedded_file *f = statements_embedded; f->name != NULL; f++)
        if (strcmp(f->name, file) == 0)
            return f->text;
    return NULL;
}

/* ------------------------------------------------------------------------------------- errors */

void pg_session_fail_err(struct pg_session *session, const struct err *err)
{
    if (session->first.action == ERR_NONE)
        session->first = *err;
}

void pg_session_fail(struct pg_session *session, enum err_action action, const char *code,
                     const char *text)
{
    struct err err;
    err_set(&err, action, code, "%s", text);
    pg_session_fail_err(session, &err);
}

int pg_session_line_length(const char *text)
{
    return (int)strcspn(text, "\n");
}

static struct err not_connected(void)
{
    struct err err;
    err_set(&err, ERR_LOST, "connect", "not connected to PostgreSQL");
    return err;
}

/*
 * The primary message of a data error may end in the offending value, after a colon and a quote:
 * that is the student's answer, and stays out of logs.
 */
static int safe_length(const char *message, enum err_action action)
{
    const char *quote = action == ERR_REJECT ? strstr(message, ": \"") : NULL;
    return quote != NULL ? (int)(quote - message) : pg_session_line_length(message);
}

static const char *field(const PGresult *result, int code)
{
    const char *value = PQresultErrorField(result, code);
    return value != NULL ? value : "";
}

/*
 * The function in which a trigger raised: the context's first line, "PL/pgSQL function name() line
 * 3 at RAISE". Other kinds of context quote statements and values.
 */
static int raiser_length(const char *context)
{
    return strncmp(context, "PL/", 3) == 0 ? pg_session_line_length(context) : 0;
}

static void fail_result(struct pg_session *session, const char *file, const PGresult *result)
{
    const char *sqlstate = field(result, PG_DIAG_SQLSTATE);
    enum err_action action = sqlstate_action(sqlstate, PQstatus(session->conn) == CONNECTION_OK);
    const char *message = field(result, PG_DIAG_MESSAGE_PRIMARY);
    if (message[0] == '\0')
        message = PQresultErrorMessage(result);
    const char *constraint = field(result, PG_DIAG_CONSTRAINT_NAME);
    const char *table = field(result, PG_DIAG_TABLE_NAME);
    const char *context = field(result, PG_DIAG_CONTEXT);
    int raiser = raiser_length(context);
    struct err err;
    err_set(&err, action, sqlstate[0] != '\0' ? sqlstate : "connection",
            "PostgreSQL, %s: %.*s%s%s%s%s%s%.*s", file, safe_length(message, action), message,
            constraint[0] != '\0' ? "; constraint " : "", constraint,
            table[0] != '\0' ? "; table " : "", table, raiser > 0 ? "; " : "", raiser, context);
    pg_session_fail_err(session, &err);
}

void pg_session_close(struct pg_session *session)
{
    if (session->conn != NULL)
        PQfinish(session->conn);
    session->conn = NULL;
    session->phase = CLOSED;
    session->pending_count = session->pending_done = 0;
    session->flush_wanted = false;
}

/* ------------------------------------------------------------------------------------ life */

struct pg_session *pg_session_new(const struct pg_session_options *options)
{
    struct pg_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    session->options = *options;
    session->clock = clock_system();
    session->phase = CLOSED;
    pg_params_init(&session->params);
    buf_init(&session->search_path, 1024);
    session->first = not_connected();
    return session;
}

void pg_session_free(struct pg_session *session)
{
    if (session == NULL)
        return;
    pg_session_close(session);
    pg_params_release(&session->params);
    buf_release(&session->search_path);
    free(session->pending);
    free(session);
}

/* PQfinish() would first try to send what is still in its buffer, a COMMIT perhaps. */
static void hang_up(struct pg_session *session)
{
    if (session->conn != NULL && PQsocket(session->conn) >= 0)
        (void)shutdown(PQsocket(session->conn), SHUT_RDWR);
}

void pg_session_abandon(struct pg_session *session)
{
    hang_up(session);
    pg_session_close(session);
    err_set(&session->first, ERR_LOST, "abandoned", "the connection to PostgreSQL was given up");
}

bool pg_session_connected(const struct pg_session *session)
{
    return session->phase == IDLE || session->phase == WORKING;
}

const char *pg_session_warning(const struct pg_session *session)
{
    return session->warned ? session->warning : NULL;
}

int pg_session_fd(const struct pg_session *session)
{
    return session->conn != NULL ? PQsocket(session->conn) : -1;
}

short pg_session_events(const struct pg_session *session)
{
    if (session->phase == CONNECTING)
        return session->connect_wants == PGRES_POLLING_WRITING ? POLLOUT : POLLIN;
    return (short)(POLLIN | (session->flush_wanted ? POLLOUT : 0));
}

int64_t pg_session_wait_ms(const struct pg_session *session)
{
    if (session->phase != CONNECTING && session->phase != SETTING_UP)
        return -1;
    int64_t left = session->connect_until_ms - clock_monotonic_ms(&session->clock);
    return left > 0 ? left : 0;
}

/* ------------------------------------------------------------------------------------ sending */

static bool may_send(struct pg_session *session)
{
    if (session->phase == IDLE) {
        session->phase = WORKING;
        session->first = (struct err){ 0 };
        session->warned = false;
        session->synced = false;
        session->pending_count = session->pending_done = 0;
    }
    assert(session->phase != WORKING || !session->synced);
    return session->phase == WORKING && session->first.action == ERR_NONE;
}

static bool push_pending(struct pg_session *session, struct pending pending)
{
    if (session->pending_count == session->pending_capacity) {
        size_t capacity = session->pending_capacity == 0 ? 32 : session->pending_capacity * 2;
        struct pending *grown = realloc(session->pending, capacity * sizeof *grown);
        if (grown == NULL) {
            pg_session_fail(session, ERR_RESOURCE, "memory", "no memory to send a statement");
            return false;
        }
        session->pending = grown;
        session->pending_capacity = capacity;
    }
    session->pending[session->pending_count++] = pending;
    return true;
}

static void sent(struct pg_session *session, int accepted)
{
    if (accepted == 1)
        return;
    session->pending_count--;
    if (PQstatus(session->conn) == CONNECTION_BAD)
        pg_session_fail(session, ERR_LOST, "connection", "the connection to PostgreSQL was lost");
    else
        pg_session_fail(session, ERR_RESOURCE, "memory", "libpq had no memory for a statement");
}

static const char *text_of(struct pg_session *session, const char *file)
{
    const char *text = pg_statement_text(file);
    if (text == NULL)
        pg_session_fail(session, ERR_BUG, "statement", file);
    return text;
}

void pg_session_prepare(struct pg_session *session, const char *file)
{
    if (!may_send(session))
        return;
    const char *text = text_of(session, file);
    if (text != NULL && push_pending(session, (struct pending){ file, NULL, NULL }))
        sent(session, PQsendPrepare(session->conn, file, text, 0, NULL));
}

/* libpq's view of parameters: pointers into our buffer, all in binary format. */
struct values {
    int count;
    const char *at[PG_PARAMS_MAX];
    int formats[PG_PARAMS_MAX];
};

static bool values_of(struct pg_session *session, const struct pg_params *params,
                      struct values *ret)
{
    ret->count = 0;
    if (params == NULL)
        return true;
    if (params->bytes.failed) {
        pg_session_fail(session, ERR_RESOURCE, "memory", "no memory for the values of a statement");
        return false;
    }
    const char *base = buf_bytes(&params->bytes).ptr;
    ret->count = (int)params->count;
    for (size_t i = 0; i < params->count; i++) {
        ret->at[i] = params->lengths[i] < 0 ? NULL : base + params->starts[i];
        ret->formats[i] = 1;
    }
    return true;
}

void pg_session_send(struct pg_session *session, const char *file, const struct pg_params *params,
                     pg_on_result *on_result, void *self)
{
    struct values values;
    if (!may_send(session) || !values_of(session, params, &values) ||
        !push_pending(session, (struct pending){ file, on_result, self }))
        return;
    sent(session, PQsendQueryPrepared(session->conn, file, values.count, values.at,
                                      params != NULL ? params->lengths : NULL, values.formats, 1));
}

void pg_session_send_once(struct pg_session *session, const char *file,
                          const struct pg_params *params, pg_on_result *on_result, void *self)
{
    struct values values;
    if (!may_send(session) || !values_of(session, params, &values))
        return;
    const char *text = text_of(session, file);
    if (text == NULL || !push_pending(session, (struct pending){ file, on_result, self }))
        return;
    sent(session, PQsendQueryParams(session->conn, text, values.count, NULL, values.at,
                                    params != NULL ? params->lengths : NULL, values.formats, 1));
}

void pg_session_sync(struct pg_session *session)
{
    /* Also after a failure: what was sent before it has to be read. */
    (void)may_send(session);
    if (session->phase != WORKING)
        return;
    session->synced = true;
    if (PQpipelineSync(session->conn) == 1)
        return;
    /* Without its end the server would never answer this round, whatever is wrong. */
    hang_up(session);
    pg_session_fail(session, ERR_LOST, "connection", "the connection to PostgreSQL was lost");
}

/* ------------------------------------------------------------------------------------ reading */

static void take_result(struct pg_session *session, const PGresult *result)
{
    static const struct pending nobody = { "connection", NULL, NULL };
    const struct pending *pending = session->pending_done < session->pending_count
                                        ? &session->pending[session->pending_done]
                                        : &nobody;
    session->pending_done++;
    switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
        if (session->first.action == ERR_NONE && pending->on_result != NULL) {
            struct err err = { 0 };
            if (!pending->on_result(pending->self, result, &err))
                pg_session_fail_err(session, &err);
        }
        break;
    case PGRES_PIPELINE_ABORTED:
        break;
    default:
        fail_result(session, pending->file, result);
    }
    session->warned = false;
}

/* True when the round is over. */
static bool read_results(struct pg_session *session)
{
    unsigned nothing = 0;
    /* Between two statements stands one NULL; two in a row on a dead connection are its end. */
    while (nothing < 2) {
        if (PQstatus(session->conn) != CONNECTION_BAD && PQisBusy(session->conn))
            return false;
        PGresult *result = PQgetResult(session->conn);
        if (result == NULL) {
            nothing++;
            continue;
        }
        nothing = 0;
        bool end = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
        if (!end)
            take_result(session, result);
        PQclear(result);
        if (end)
            return true;
    }
    return false;
}

static bool is_lost(const struct pg_session *session)
{
    return PQstatus(session->conn) == CONNECTION_BAD;
}

/* After this the session is idle or closed, and the next round starts with a clean sheet. */
static enum pg_state finish(struct pg_session *session, bool lost, struct err *ret_err)
{
    if (lost)
        pg_session_fail(session, ERR_LOST, "connection", "the connection to PostgreSQL was lost");
    struct err first = session->first;
    bool half_connected = session->phase != WORKING && first.action != ERR_NONE;
    session->phase = IDLE;
    if (lost || half_connected || first.action == ERR_LOST) {
        pg_session_close(session);
        session->first = not_connected();
    }
    if (first.action == ERR_NONE)
        return PG_DONE;
    *ret_err = first;
    return PG_FAILED;
}

static enum pg_state step_round(struct pg_session *session, struct err *ret_err)
{
    int flushed = PQflush(session->conn);
    (void)PQconsumeInput(session->conn); /* if it failed, what came before is still to be read */
    session->flush_wanted = flushed != 0;
    bool over = read_results(session);
    bool lost = is_lost(session); /* asked once: a round that is cut short is never done */
    if (over || lost)
        return finish(session, lost, ret_err);
    return PG_BUSY;
}

static enum pg_state step_closed(struct pg_session *session, struct err *ret_err)
{
    *ret_err = session->first;
    pg_session_close(session);
    session->first = not_connected();
    return PG_FAILED;
}

/* Where nobody speaks, libpq has not a word about it either. */
static void fail_late(struct pg_session *session)
{
    const char *host = session->conn != NULL ? PQhost(session->conn) : NULL;
    const char *port = session->conn != NULL ? PQport(session->conn) : NULL;
    struct err err;
    err_set(&err, ERR_LOST, "timeout", "PostgreSQL at %.120s port %.8s did not answer in time%s",
            host != NULL ? host : "?", port != NULL ? port : "?",
            session->phase == CONNECTING ? ", or what listens there is not PostgreSQL" : "");
    pg_session_fail_err(session, &err);
}

enum pg_state pg_session_step(struct pg_session *session, struct err *ret_err)
{
    if (session->phase == CONNECTING)
        pg_session_step_connecting(session);
    if (pg_session_wait_ms(session) == 0) {
        fail_late(session);
        return finish(session, is_lost(session), ret_err);
    }
    switch (session->phase) {
    case CLOSED:
        return step_closed(session, ret_err);
    case CONNECTING:
        return session->first.action != ERR_NONE ? finish(session, is_lost(session), ret_err)
                                                 : PG_BUSY;
    case IDLE:
        return PG_DONE;
    case SETTING_UP:
    case WORKING:
        break;
    }
    return step_round(session, ret_err);
}
