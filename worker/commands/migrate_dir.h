/*
 * Migrations read from a folder instead of those compiled in (migrate --dir): the same table of
 * names and texts, in the order of the names. Other files of the folder (a README) are left alone.
 */
#ifndef WORKER_COMMANDS_MIGRATE_DIR_H
#define WORKER_COMMANDS_MIGRATE_DIR_H

#include "common/embedded.h"
#include "common/err.h"

#include <stddef.h>

struct migrate_dir {
    struct embedded_file *files; /* ended by a null name; NULL before it is read */
    size_t count;
};

/* ERR_REJECT when the folder or a file cannot be read, or there is no .sql file in it. */
bool migrate_dir_read(const char *path, struct migrate_dir *ret, struct err *err);
void migrate_dir_release(struct migrate_dir *dir);

#endif
