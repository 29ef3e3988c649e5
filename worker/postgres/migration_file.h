/*
 * One migration's text: its checksum and its two scripts. Inside of migrate.h.
 */
#ifndef WORKER_POSTGRES_MIGRATION_FILE_H
#define WORKER_POSTGRES_MIGRATION_FILE_H

#include "worker/postgres/migrate.h"

#define MIGRATE_UP         "-- migrate:up"
#define MIGRATE_DOWN       "-- migrate:down"
#define CHECKSUM_HEX_BYTES 65
#define REPEATABLE_PREFIX  "R__"

/* BLAKE2b-256 of the whole text, in hex. */
void migration_checksum(const struct embedded_file *file, char ret_hex[static CHECKSUM_HEX_BYTES]);

/* What stands below a marker, a view into the file's text; false if the marker is missing. */
bool migration_section(const struct embedded_file *file, const char *marker,
                       struct bytes *ret_script);

/* Does the marker's line say that the script cannot run in a transaction (transaction:false)? */
bool migration_is_bare(const struct embedded_file *file, const char *marker);

/* Is it one of those that are applied again when their text changes? */
bool migration_is_repeatable(const struct embedded_file *file);

#endif
