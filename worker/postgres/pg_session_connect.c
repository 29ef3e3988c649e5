/* The way to a session: libpq's connect, step by step, then the settings of the session. */
#include "worker/postgres/pg_session_inside.h"

#include "worker/postgres/conninfo.h"
#include "worker/postgres/sqlstate.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

static void fail_connect(struct pg_session *session)
{
    const char *message = PQerrorMessage(session->conn);
    char sqlstate[SQLSTATE_LEN + 1] = "";
    enum err_action action = ERR_LOST;
    if (sqlstate_find(message, sqlstate))
        action = sqlstate_action(sqlstate, false);
    else if (PQconnectionNeedsPassword(session->conn))
        action = ERR_HALT;
    else if (sqlstate_is_read_only(message))
        memcpy(sqlstate, SQLSTATE_READ_ONLY, sizeof sqlstate);
    struct err err;
    err_set(&err, action, sqlstate[0] != '\0' ? sqlstate : "connect",
            "cannot connect to PostgreSQL: %.*s", pg_session_line_length(message), message);
    pg_session_fail_err(session, &err);
}

static const char *notice_field(const PGresult *notice, int code)
{
    const char *value = PQresultErrorField(notice, code);
    return value != NULL ? value : "";
}

static void on_notice(void *self, const PGresult *notice)
{
    struct pg_session *session = self;
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (severity == NULL || strcmp(severity, "WARNING") != 0 ||
        strcmp(notice_field(notice, PG_DIAG_SQLSTATE), "01000") != 0)
        return;
    session->warned = true;
    (void)snprintf(session->warning, sizeof session->warning, "%s",
                   notice_field(notice, PG_DIAG_MESSAGE_PRIMARY));
}

/* What stands before `dbname` here is a default, which the connection string may overrule. */
#define CONNECT_KEYWORDS_MAX 16

static void connect_start(struct pg_session *session)
{
    const struct pg_session_options *o = &session->options;
    bool has_conninfo = o->conninfo != NULL && o->conninfo[0] != '\0';
    const char *keywords[CONNECT_KEYWORDS_MAX] = {
        "application_name",     "keepalives",       "keepalives_idle",
        "keepalives_interval",  "keepalives_count", "tcp_user_timeout",
        "target_session_attrs", "client_encoding",  has_conninfo ? "dbname" : NULL
    };
    const char *values[CONNECT_KEYWORDS_MAX] = { o->application_name,
                                                 "1",
                                                 "30",
                                                 "10",
                                                 "3",
                                                 "30000",
                                                 o->standby_ok ? "any" : "read-write",
                                                 "UTF8",
                                                 has_conninfo ? o->conninfo : NULL };
    session->conn = PQconnectStartParams(keywords, values, 1);
    if (session->conn == NULL) {
        pg_session_fail(session, ERR_RESOURCE, "memory",
                        "no memory for a connection to PostgreSQL");
        return;
    }
    (void)PQsetNoticeReceiver(session->conn, on_notice, session);
    /* A failed connect has its SQLSTATE only in a verbose message. */
    (void)PQsetErrorVerbosity(session->conn, PQERRORS_VERBOSE);
    if (PQstatus(session->conn) == CONNECTION_BAD) {
        fail_connect(session);
        return;
    }
    session->connect_wants = PGRES_POLLING_WRITING;
    session->phase = CONNECTING;
}

void pg_session_connect(struct pg_session *session)
{
    pg_session_close(session);
    session->first = (struct err){ 0 };
    session->warned = false;
    session->connect_until_ms =
        clock_monotonic_ms(&session->clock) + session->options.connect_timeout_ms;
    const char *conninfo = session->options.conninfo;
    if (!conninfo_valid(conninfo))
        pg_session_fail(session, ERR_HALT, "conninfo", CONNINFO_UNREADABLE);
    else
        connect_start(session);
}

/* An identifier in double quotes, so that any name of a schema is taken as it is written. */
static void put_quoted(struct buf *buf, const char *name)
{
    buf_put_char(buf, '"');
    for (const char *c = name; *c != '\0'; c++) {
        if (*c == '"')
            buf_put_char(buf, '"');
        buf_put_char(buf, *c);
    }
    buf_put_char(buf, '"');
}

#define SETTINGS_MAX 16

static size_t base_settings(struct pg_session *session, struct pg_setting settings[SETTINGS_MAX],
                            char numbers[3][16])
{
    const struct pg_session_options *o = &session->options;
    struct buf *path = &session->search_path;
    buf_clear(path);
    put_quoted(path, o->schema != NULL ? o->schema : "public");
    buf_put(path, BYTES(", pg_temp"));
    buf_put_char(path, '\0');
    (void)snprintf(numbers[0], 16, "%d", o->statement_timeout_ms);
    (void)snprintf(numbers[1], 16, "%d", o->lock_timeout_ms);
    (void)snprintf(numbers[2], 16, "%d", o->idle_in_transaction_ms);
    const struct pg_setting base[] = {
        { "search_path", path->ptr },
        { "statement_timeout", numbers[0] },
        { "lock_timeout", numbers[1] },
        { "idle_in_transaction_session_timeout", numbers[2] },
        { "plan_cache_mode", "force_generic_plan" },
        { "jit", "off" },
        { "DateStyle", "ISO" },
        { "TimeZone", "UTC" },
        /* The server's side of the same question: is anybody there? */
        { "tcp_keepalives_idle", "30" },
        { "tcp_keepalives_interval", "10" },
        { "tcp_keepalives_count", "3" },
        { "tcp_user_timeout", "30000" },
    };
    _Static_assert(sizeof base / sizeof base[0] <= SETTINGS_MAX, "room for the base settings");
    memcpy(settings, base, sizeof base);
    return sizeof base / sizeof base[0];
}

static void set_up(struct pg_session *session)
{
    struct pg_setting base[SETTINGS_MAX];
    char numbers[3][16];
    size_t count = base_settings(session, base, numbers);
    if (session->search_path.failed) {
        /* With any other path it would find no table, or somebody else's. */
        pg_session_fail(session, ERR_RESOURCE, "memory", "no memory for the search path");
        return;
    }
    const struct pg_session_options *o = &session->options;
    struct pg_params *params = &session->params;
    pg_params_clear(params);
    pg_array_begin(params, PG_TEXT);
    for (size_t i = 0; i < count + o->setting_count; i++)
        pg_array_text(params, bytes_of(i < count ? base[i].name : o->settings[i - count].name));
    pg_array_end(params);
    pg_array_begin(params, PG_TEXT);
    for (size_t i = 0; i < count + o->setting_count; i++)
        pg_array_text(params, bytes_of(i < count ? base[i].value : o->settings[i - count].value));
    pg_array_end(params);
    session->phase = IDLE;
    pg_session_send_once(session, "session_settings.sql", params, NULL, NULL);
    pg_session_sync(session);
    session->phase = SETTING_UP;
}

static bool ready(const struct pg_session *session)
{
    struct pollfd fd = { pg_session_fd(session), pg_session_events(session), 0 };
    return poll(&fd, 1, 0) > 0;
}

void pg_session_step_connecting(struct pg_session *session)
{
    /* PQconnectPoll() takes being called for the socket being ready. */
    if (!ready(session))
        return;
    session->connect_wants = PQconnectPoll(session->conn);
    if (session->connect_wants == PGRES_POLLING_FAILED) {
        fail_connect(session);
        return;
    }
    if (session->connect_wants != PGRES_POLLING_OK)
        return;
    if (PQsetnonblocking(session->conn, 1) != 0 || PQenterPipelineMode(session->conn) != 1) {
        pg_session_fail(session, ERR_LOST, "connect", "libpq refused pipeline mode");
        return;
    }
    set_up(session);
}

void pg_session_server(const struct pg_session *session, char out[static PG_SERVER_MAX])
{
    if (session->conn == NULL || session->phase == CONNECTING) {
        (void)snprintf(out, PG_SERVER_MAX, "nothing at present");
        return;
    }
    const char *host = PQhost(session->conn), *address = PQhostaddr(session->conn);
    bool resolved = *address != '\0' && strcmp(address, host) != 0;
    (void)snprintf(out, PG_SERVER_MAX, "%s:%s%s%s%s", host, PQport(session->conn),
                   resolved ? " (" : "", resolved ? address : "", resolved ? ")" : "");
}
