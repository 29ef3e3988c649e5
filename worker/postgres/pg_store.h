/*
 * The store of worker/engine/ports.h on PostgreSQL: one connection, one transaction at a time,
 * each step of a transaction one round trip.
 *
 * The steps are documented in ports.h and plan.h; the SQL is in sql/store_*.sql. What this adapter
 * adds to their promises:
 *
 *   - A move that misses fails nothing: OPEN ends with STORE_OK and says so in `hit`. What else the
 *     plan wanted may have been written or not, so such a transaction can only be undone.
 *   - CLOSE with ERR_LOST means that COMMIT may have happened. So does a COMMIT that the server
 *     warned is not replicated yet.
 *   - After ERR_LOST and ERR_HALT the connection is closed; only CONNECT succeeds then, which looks
 *     at schema and settings again, and UNDO, which has nothing to do.
 *   - ERR_HALT has code `schema` for a schema that this build cannot work with, and `settings` for
 *     outcome-deciding settings that differ from the database's; the text says which and what to
 * do.
 *
 * Drive it by the socket: poll() after each event of pg_session_fd(), for the events wanted then.
 */
#ifndef WORKER_POSTGRES_PG_STORE_H
#define WORKER_POSTGRES_PG_STORE_H

#include "worker/engine/ports.h"
#include "worker/postgres/pg_session.h"

/* The strings must outlive the store. */
struct pg_store_options {
    struct pg_session_options session;         /* but for its `settings`, which the store chooses */
    const char *topics[TOPIC_COUNT];           /* full names */
    const char *owner;                         /* who we are; differs from every other worker's */
    const struct pg_setting *outcome_settings; /* must be equal for all workers; may be NULL */
    size_t outcome_setting_count;
    bool accept_settings; /* at the first connect: ours replace the database's */
};

struct pg_store;

/* NULL when memory is short. Nothing is connected before STORE_CONNECT. */
struct pg_store *pg_store_new(const struct pg_store_options *options);
void pg_store_free(struct pg_store *store);

/* The door for the engine. */
struct store pg_store_port(struct pg_store *store);

/* For the event loop: fd, events and wait. */
const struct pg_session *pg_store_session(const struct pg_store *store);

/* The schema version of this build: the highest number of the embedded migrations. */
int64_t pg_schema_version(void);

#endif
