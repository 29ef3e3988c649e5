/*
 * Parameters of one statement in PostgreSQL's binary format, and the reading of binary results.
 *
 * Values lie behind one another in one growing buffer that is kept over pg_params_clear(), so that
 * a flush of any size allocates nothing once the buffer has grown. A failure (memory, the ceiling)
 * sticks and is found when the statement is sent. Binary values carry their length: a NUL in a
 * payload is a byte like any other.
 *
 *     pg_params_clear(&p);
 *     pg_array_begin(&p, PG_UUID);
 *     for (...)
 *         pg_array_uuid(&p, &id);
 *     pg_array_end(&p);                              -- $1
 *     pg_put_int8(&p, jump_max);                     -- $2
 *     pg_session_send(session, "save.sql", &p, on_saved, self);
 *
 * Parameters come in the order of $1, $2, .... Times are microseconds since 1970 UTC.
 */
#ifndef WORKER_POSTGRES_PG_PARAMS_H
#define WORKER_POSTGRES_PG_PARAMS_H

#include "common/buf.h"
#include "common/uuid.h"

#include <stdint.h>

/* Types by their OIDs, which PostgreSQL never changes. */
enum pg_type {
    PG_BOOL = 16,
    PG_BYTEA = 17,
    PG_INT8 = 20,
    PG_INT4 = 23,
    PG_TEXT = 25,
    PG_TIMESTAMPTZ = 1184,
    PG_UUID = 2950,
    PG_JSONB = 3802
};

#define PG_PARAMS_MAX 24

struct pg_params {
    struct buf bytes;
    size_t count;
    size_t starts[PG_PARAMS_MAX]; /* offsets into `bytes` */
    int lengths[PG_PARAMS_MAX];   /* -1 for null */
    size_t array_at;              /* where the open array begins; valid between begin and end */
    uint32_t array_count;
    bool array_has_null;
};

void pg_params_init(struct pg_params *params);
void pg_params_release(struct pg_params *params);
void pg_params_clear(struct pg_params *params);

/* One plain parameter each. Absent bytes become null. */
void pg_put_int8(struct pg_params *params, int64_t value);
void pg_put_int4(struct pg_params *params, int32_t value);
void pg_put_bool(struct pg_params *params, bool value);
void pg_put_text(struct pg_params *params, struct bytes value);
void pg_put_jsonb(struct pg_params *params, struct bytes value);
void pg_put_uuid(struct pg_params *params, const struct uuid *value);

/* One array parameter: begin, its members, end. The members must be of the type given here. */
void pg_array_begin(struct pg_params *params, enum pg_type member);
void pg_array_end(struct pg_params *params);
void pg_array_null(struct pg_params *params);
void pg_array_int8(struct pg_params *params, int64_t value);
void pg_array_int4(struct pg_params *params, int32_t value);
void pg_array_bool(struct pg_params *params, bool value);
void pg_array_time(struct pg_params *params, int64_t value_us);
void pg_array_uuid(struct pg_params *params, const struct uuid *value);
void pg_array_text(struct pg_params *params, struct bytes value);  /* absent: null */
void pg_array_bytea(struct pg_params *params, struct bytes value); /* absent: null */
void pg_array_jsonb(struct pg_params *params, struct bytes value); /* JSON text; absent: null */

/* As text: the members of a checked JSON object, with a comma before each; absent or without
 * members: the empty text. */
void pg_array_members(struct pg_params *params, struct bytes object);

/* ------------------------------------------------------------------------------------- results */

struct pg_result; /* libpq's PGresult, in binary format */

size_t pg_row_count(const struct pg_result *result);
bool pg_is_null(const struct pg_result *result, size_t row, int column);

/* The column must have the type that the name says and not be null (then: zero, or absent). */
int64_t pg_get_int8(const struct pg_result *result, size_t row, int column);
bool pg_get_bool(const struct pg_result *result, size_t row, int column);
int64_t pg_get_time_us(const struct pg_result *result, size_t row, int column);
struct uuid pg_get_uuid(const struct pg_result *result, size_t row, int column);

/* Text or bytea, valid as long as the result: during the callback. */
struct bytes pg_get_bytes(const struct pg_result *result, size_t row, int column);

/* The last `max` members of a uuid[]. Returns how many. */
size_t pg_get_uuids(const struct pg_result *result, size_t row, int column, struct uuid *ret,
                    size_t max);

/* "UPDATE", "COMMIT", ...: the first word of the command tag. */
bool pg_command_is(const struct pg_result *result, const char *word);

#endif
