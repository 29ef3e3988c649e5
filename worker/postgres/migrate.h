/*
 * Brings the schema of a database to the version that this program carries, and back.
 *
 * The migrations are files in dbmate's format, compiled in. What is applied stands in
 * schema_migrations (dbmate's table, with more columns: each tool goes on where the other stopped),
 * with a BLAKE2b-256 checksum of the file: a file that was changed after it was applied is refused.
 * One transaction a migration, the record of it included; an advisory lock lets one deployer work
 * while the others wait and then find nothing to do. Whatever happens in the middle (an error, a
 * full disk, a lost connection, a kill of either side), the server rolls the file back. It belongs
 * to the session: connect directly, not through a pooler in transaction mode. `-- migrate:up
 * transaction:false` (or down) is for statements that cannot run in a transaction.
 *
 * Files named R__name.sql are repeatable: functions and views, written so that they can be applied
 * over themselves (CREATE OR REPLACE). They come after all numbered ones, by name, and again when
 * their text changes; schema_repeatables keeps their checksums. Taking back a numbered migration
 * takes them all back first; the next up, of whichever program, brings its own. A program that
 * finds the migrations of a newer one leaves the newer one's repeatables alone.
 */
#ifndef WORKER_POSTGRES_MIGRATE_H
#define WORKER_POSTGRES_MIGRATE_H

#include "common/embedded.h"
#include "common/err.h"
#include "worker/postgres/pg_client.h"

#include <stdint.h>

enum migration_state {
    MIGRATION_PENDING, /* not applied yet */
    MIGRATION_APPLIED,
    MIGRATION_CHANGED,  /* applied, but its file says something else now */
    MIGRATION_OUTDATED, /* the same of a repeatable one: to be applied again */
    MIGRATION_UNKNOWN   /* applied, but this program has no such file: a newer one did it */
};

/* "pending", "applied", "changed", "outdated", "unknown". */
const char *migration_state_name(enum migration_state state);

struct migration {
    int64_t version; /* 0 if repeatable */
    bool repeatable;
    char name[64];                    /* the file's name */
    const struct embedded_file *file; /* NULL if unknown */
    enum migration_state state;
    bool has_checksum;   /* false: applied by dbmate */
    char applied_at[40]; /* RFC 3339, or empty */
    int64_t duration_ms; /* 0 if unknown */
};

/* By version, then the repeatable ones by name. */
struct migration_list {
    struct migration *items;
    size_t count;
};

enum migrate_step {
    MIGRATE_WAITING,  /* for another deployer; said once */
    MIGRATE_NEWER,    /* a newer program was here: the newest migration that only it has */
    MIGRATE_STARTING, /* with a dry run: this would be done */
    MIGRATE_DONE      /* migration->duration_ms */
};

struct migrate_options {
    const struct embedded_file *files; /* NULL: those compiled in */
    bool dry_run;                      /* change nothing, tell what would be done */
    int64_t up_to;                     /* with up: the last version wanted; 0: all */
    int64_t lock_wait_ms;              /* for another deployer; 0: ten minutes */
    void *self;                        /* of note() */
    /* May be NULL. `migration` is NULL while waiting. */
    void (*note)(void *self, enum migrate_step step, const struct migration *migration);
};

/* What there is and what is applied; changes nothing. `files` NULL: those compiled in. */
bool migrate_list(struct pg_client *client, const struct embedded_file *files,
                  struct migration_list *ret, struct err *err);
void migration_list_free(struct migration_list *list);

/* The statements of its file for that direction, a view into the text; absent if there are none. */
struct bytes migration_script(const struct migration *migration, bool up);

/*
 * Are the files in order: names NNNN_name.sql or R__name.sql, no version twice, an up and a down
 * part with statements in each? `err` names the first that is not. Needs no database.
 */
bool migrate_validate(const struct embedded_file *files, struct err *err);

/*
 * Applies what is pending, in order; makes the schema if it is missing. What was applied before a
 * failure stays applied. `*ret_count` (may be NULL): how many files, repeatable ones included.
 */
bool migrate_up(struct pg_client *client, const struct migrate_options *options, size_t *ret_count,
                struct err *err);

/*
 * Takes back all applied migrations above version `to`, newest first; to < 0: only the newest.
 * `*ret_count` counts the repeatable ones that had to go first as well.
 */
bool migrate_down(struct pg_client *client, const struct migrate_options *options, int64_t to,
                  size_t *ret_count, struct err *err);

#endif
