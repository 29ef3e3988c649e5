#include "worker/commands/migrate_dir.h"

#include "common/buf.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX ((size_t)4 * 1024 * 1024)

static int is_sql(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return entry->d_name[0] != '.' && dot && strcmp(dot, ".sql") == 0;
}

/* In the order of bytes, whatever the locale: digits before letters. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* The caller's to free; NULL with errno. */
static char *read_text(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return NULL;
    struct buf text;
    buf_init(&text, FILE_BYTES_MAX);
    char block[4096];
    for (size_t n; (n = fread(block, 1, sizeof block, file)) > 0;)
        buf_put(&text, (struct bytes){ block, n });
    bool ok = !ferror(file) && !text.failed;
    if (ok && text.len > 0 && memchr(text.ptr, '\0', text.len) != NULL) {
        ok = false; /* what stands behind it would not be run */
        errno = EILSEQ;
    }
    (void)fclose(file);
    char *copy = ok ? strndup(text.ptr ? text.ptr : "", text.len) : NULL;
    if (!ok && errno == 0)
        errno = EFBIG;
    buf_release(&text);
    return copy;
}

static bool read_file(const char *folder, const char *name, struct migrate_dir *dir,
                      struct err *err)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    errno = 0;
    char *text = read_text(path);
    char *copy = strdup(name);
    if (text && copy) {
        dir->files[dir->count++] = (struct embedded_file){ copy, text };
        return true;
    }
    (void)err_set(err, ERR_REJECT, "FILE", "cannot read %s: %s", path, strerror(errno));
    free(text);
    free(copy);
    return false;
}

bool migrate_dir_read(const char *path, struct migrate_dir *ret, struct err *err)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_sql, by_name);
    if (count <= 0) {
        free(entries);
        return err_set(err, ERR_REJECT, "FILE", "no migrations in %s: %s", path,
                       count < 0 ? strerror(errno) : "there is no .sql file");
    }
    struct migrate_dir dir = { .files = calloc((size_t)count + 1, sizeof *dir.files) };
    bool ok = dir.files != NULL;
    if (!ok)
        (void)err_set(err, ERR_RESOURCE, "ENOMEM", "no memory for the files of %s", path);
    for (int i = 0; i < count; i++) {
        ok = ok && read_file(path, entries[i]->d_name, &dir, err);
        free(entries[i]);
    }
    free(entries);
    if (ok)
        *ret = dir;
    else
        migrate_dir_release(&dir);
    return ok;
}

void migrate_dir_release(struct migrate_dir *dir)
{
    for (size_t i = 0; i < dir->count; i++) {
        free((char *)(uintptr_t)dir->files[i].name);
        free((char *)(uintptr_t)dir->files[i].text);
    }
    free(dir->files);
    *dir = (struct migrate_dir){ 0 };
}
