#include "worker/commands/command.h"
#include "worker/commands/migrate.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define NAME_MAX_BYTES 48

static const char skeleton[] = "-- What changes, and why.\n"
                               "\n"
                               "-- migrate:up\n"
                               "\n"
                               "-- migrate:down\n";

/* The highest version among the files of the folder; -1 when it cannot be read. */
static int64_t last_version(const char *dir)
{
    DIR *folder = opendir(dir);
    if (!folder)
        return -1;
    int64_t last = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        int64_t version = strtoll(entry->d_name, NULL, 10);
        last = version > last ? version : last;
    }
    (void)closedir(folder);
    return last;
}

int migrate_new(const char *dir, const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > NAME_MAX_BYTES ||
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != len)
        return command_usage("migrate", "a name has 1 to %d of a-z, 0-9 and _", NAME_MAX_BYTES);
    int64_t last = last_version(dir);
    if (last < 0) {
        (void)fprintf(stderr, "attemptd migrate: cannot read %s: %s; is this the source tree?\n",
                      dir, strerror(errno));
        return EX_NOINPUT;
    }
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%04" PRId64 "_%s.sql", dir, last + 1, name);
    FILE *file = fopen(path, "wx");
    bool ok = file && fputs(skeleton, file) >= 0;
    if (file)
        ok = fclose(file) == 0 && ok;
    if (!ok) {
        (void)fprintf(stderr, "attemptd migrate: cannot write %s: %s\n", path, strerror(errno));
        return EX_CANTCREAT;
    }
    (void)printf("%s\n", path);
    return EX_OK;
}
