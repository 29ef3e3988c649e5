/*
 * One connection to PostgreSQL that never blocks: connect, send a round of statements in one
 * pipeline, read their results as they come.
 *
 *     pg_session_connect(s);                           -- then step until PG_DONE
 *     pg_session_prepare(s, "save.sql");               -- a file of worker/postgres/sql
 *     pg_session_sync(s);                              -- then step until PG_DONE
 *
 *     pg_session_send(s, "begin.sql", NULL, NULL, NULL);
 *     pg_session_send(s, "save.sql", &params, on_saved, self);
 *     pg_session_send(s, "commit.sql", NULL, on_commit, self);
 *     pg_session_sync(s);
 *     while ((state = pg_session_step(s, &err)) == PG_BUSY)
 *         wait for pg_session_events(s) on pg_session_fd(s), at most pg_session_wait_ms(s);
 *
 * One round at a time. A failure to send sticks and is reported by step(), as is the first error
 * of a round: what the server says after it ("transaction aborted", "connection closed") only
 * repeats it. After PG_FAILED the session is either idle again (a transaction, if there was one,
 * has to be rolled back) or closed: pg_session_connected() says which. ERR_LOST always closes.
 *
 * Error texts name the statement, the primary message, the constraint, the table and the function
 * that raised it; DETAIL and the rest of CONTEXT, which quote rows, are never looked at.
 *
 * Resolving a host name is the one thing that libpq does not do in the background.
 */
#ifndef WORKER_POSTGRES_PG_SESSION_H
#define WORKER_POSTGRES_PG_SESSION_H

#include "common/err.h"
#include "worker/postgres/pg_params.h"

struct pg_session;

struct pg_setting {
    const char *name;
    const char *value;
};

/* The strings must outlive the session. */
struct pg_session_options {
    const char *conninfo;         /* URL or key=value; NULL or "": the PG* environment */
    const char *application_name; /* a name in `conninfo` comes first */
    const char *schema;           /* search_path, any spelling; NULL: public */
    bool standby_ok;              /* false: of several hosts take the one that can be written to */
    int connect_timeout_ms;
    int statement_timeout_ms;
    int lock_timeout_ms;
    int idle_in_transaction_ms;
    const struct pg_setting *settings; /* further ones for the session, may be NULL */
    size_t setting_count;
};

struct pg_session_options pg_session_options_default(void);

enum pg_state {
    PG_BUSY,  /* wait, then step again */
    PG_DONE,  /* connected, or all results of the round are in */
    PG_FAILED /* *ret_err */
};

/* Takes one successful result. To fail the round it sets `err` and returns false. */
typedef bool pg_on_result(void *self, const struct pg_result *result, struct err *err);

/* NULL when memory is short. Nothing is connected yet. */
struct pg_session *pg_session_new(const struct pg_session_options *options);
void pg_session_free(struct pg_session *session);

/* Drops what there is and connects anew. */
void pg_session_connect(struct pg_session *session);

/* Adds "prepare this file" to the round; pg_session_send() then knows it by its name. */
void pg_session_prepare(struct pg_session *session, const char *file);

/*
 * Adds an execution of a prepared file to the round. `params` may be NULL and is copied;
 * `on_result` may be NULL. Results are in binary format and live during the callback.
 */
void pg_session_send(struct pg_session *session, const char *file, const struct pg_params *params,
                     pg_on_result *on_result, void *self);

/* The same for a file that was not prepared: parsed each time, for what is seldom done. */
void pg_session_send_once(struct pg_session *session, const char *file,
                          const struct pg_params *params, pg_on_result *on_result, void *self);

/* Ends the round. */
void pg_session_sync(struct pg_session *session);

/* Does what can be done without waiting. PG_DONE also when there is nothing to do. */
enum pg_state pg_session_step(struct pg_session *session, struct err *ret_err);

/* Connected and set up. */
bool pg_session_connected(const struct pg_session *session);

/* Where it is connected to, for people: "HOST:PORT", with the address where a name was resolved. */
#define PG_SERVER_MAX 200
void pg_session_server(const struct pg_session *session, char out[static PG_SERVER_MAX]);

/*
 * In a callback: did a WARNING 01000 come since the result before? With COMMIT it says that the
 * commit is not replicated yet. Its primary message, or NULL.
 */
const char *pg_session_warning(const struct pg_session *session);

/* For the event loop, after each call: the socket (-1: none; it may change while connecting),
 * POLLIN and POLLOUT as wanted, and how long to wait at most (-1: for ever). */
int pg_session_fd(const struct pg_session *session);
short pg_session_events(const struct pg_session *session);
int64_t pg_session_wait_ms(const struct pg_session *session);

/* Closes at once, without a word and without a cancel request. step() then fails with ERR_LOST. */
void pg_session_abandon(struct pg_session *session);

/* The text of an embedded statement; NULL when there is none of this name. */
const char *pg_statement_text(const char *file);

#endif
