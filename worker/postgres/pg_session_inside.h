/* The inside of pg_session: what its two files share. */
#ifndef WORKER_POSTGRES_PG_SESSION_INSIDE_H
#define WORKER_POSTGRES_PG_SESSION_INSIDE_H

#include "common/clock.h"
#include "worker/postgres/pg_session.h"

#include <libpq-fe.h>

enum phase {
    CLOSED,
    CONNECTING, /* PQconnectPoll */
    SETTING_UP, /* the settings are in flight */
    IDLE,
    WORKING /* a round is being put together or in flight */
};

/* A statement whose result has not come yet. */
struct pending {
    const char *file;
    pg_on_result *on_result;
    void *self;
};

struct pg_session {
    struct pg_session_options options;
    struct clock clock;
    PGconn *conn; /* NULL when closed */
    enum phase phase;
    PostgresPollingStatusType connect_wants;
    int64_t connect_until_ms;
    bool flush_wanted; /* the socket took only a part */
    bool synced;
    struct err first; /* of this round, or why the session is closed */
    bool warned;
    char warning[160];
    struct pending *pending;
    size_t pending_count, pending_done, pending_capacity;
    struct pg_params params; /* of our own statements */
    struct buf search_path;
};

/* The first error of a round is the cause; the rest are its echoes. */
void pg_session_fail_err(struct pg_session *session, const struct err *err);
void pg_session_fail(struct pg_session *session, enum err_action action, const char *code,
                     const char *text);

void pg_session_close(struct pg_session *session);

/* First line only: the rest of a verbose message is the server's source code. */
int pg_session_line_length(const char *text);

/* In phase CONNECTING: the next step, up to sending the settings. */
void pg_session_step_connecting(struct pg_session *session);

#endif
