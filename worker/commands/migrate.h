/*
 * migrate: brings the schema of the database to this program's version, and back.
 */
#ifndef WORKER_COMMANDS_MIGRATE_H
#define WORKER_COMMANDS_MIGRATE_H

#include "worker/settings.h"

extern const char migrate_help[];
int migrate_command(const struct settings *settings, int argc, char **argv);

/* Makes DIR/NNNN_NAME.sql with the next free number. The exit code. */
int migrate_new(const char *dir, const char *name);

#endif
