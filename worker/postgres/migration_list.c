#include "common/hash.h"
#include "worker/postgres/migration_file.h"
#include "worker/postgres/sql_text.h"

#include <stdio.h>
#include <stdlib.h>

const char *migration_state_name(enum migration_state state)
{
    switch (state) {
    case MIGRATION_PENDING:
        return "pending";
    case MIGRATION_APPLIED:
        return "applied";
    case MIGRATION_CHANGED:
        return "changed";
    case MIGRATION_UNKNOWN:
        break;
    }
    return "unknown";
}

void migration_checksum(const struct embedded_file *file, char ret_hex[static CHECKSUM_HEX_BYTES])
{
    uint8_t hash[HASH_256_BYTES];
    hash_256(bytes_of(file->text), hash);
    for (size_t i = 0; i < sizeof hash; i++)
        (void)snprintf(ret_hex + 2 * i, 3, "%02x", hash[i]);
}

bool migration_section(const struct embedded_file *file, const char *marker,
                       struct bytes *ret_script)
{
    const char *begin = strstr(file->text, marker);
    if (!begin)
        return false;
    begin += strcspn(begin, "\n");
    const char *end = strstr(begin, "-- migrate:");
    *ret_script = (struct bytes){ begin, end ? (size_t)(end - begin) : strlen(begin) };
    return true;
}

static bool has_statement(const struct embedded_file *file, const char *marker)
{
    struct bytes script;
    struct bytes statement;
    size_t at = 0;
    return migration_section(file, marker, &script) && sql_text_next(script, &at, &statement);
}

bool migrate_validate(const struct embedded_file *files, struct err *err)
{
    if (!files)
        files = migrations_embedded;
    for (const struct embedded_file *file = files; file->name; file++) {
        size_t digits = strspn(file->name, "0123456789");
        size_t word = strspn(file->name + digits, "abcdefghijklmnopqrstuvwxyz0123456789_");
        if (digits < 4 || file->name[digits] != '_' ||
            strcmp(file->name + digits + word, ".sql") != 0)
            return err_set(err, ERR_HALT, "MIGRATION", "%s: the name is not NNNN_lower_case.sql",
                           file->name);
        for (const struct embedded_file *other = files; other < file; other++)
            if (strtoll(other->name, NULL, 10) == strtoll(file->name, NULL, 10))
                return err_set(err, ERR_HALT, "MIGRATION", "%s and %s have the same version",
                               other->name, file->name);
        if (!has_statement(file, MIGRATE_UP) || !has_statement(file, MIGRATE_DOWN))
            return err_set(err, ERR_HALT, "MIGRATION",
                           "%s needs '" MIGRATE_UP "' and '" MIGRATE_DOWN
                           "', each with statements below",
                           file->name);
    }
    return true;
}

static int by_version(const void *a, const void *b)
{
    int64_t left = ((const struct migration *)a)->version;
    int64_t right = ((const struct migration *)b)->version;
    return (left > right) - (left < right);
}

static bool collect_files(const struct embedded_file *files, size_t room,
                          struct migration_list *list, struct err *err)
{
    list->items = calloc(room, sizeof *list->items);
    if (!list->items)
        return err_set(err, ERR_RESOURCE, "ENOMEM", "no memory for the list of migrations");
    for (const struct embedded_file *file = files; file->name; file++) {
        struct migration *m = &list->items[list->count++];
        m->version = strtoll(file->name, NULL, 10);
        m->file = file;
        (void)snprintf(m->name, sizeof m->name, "%s", file->name);
    }
    qsort(list->items, list->count, sizeof *list->items, by_version);
    return true;
}

static struct migration *find(struct migration_list *list, int64_t version)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].version == version)
            return &list->items[i];
    return NULL;
}

static void mark_applied(struct migration_list *list, const struct pg_rows *rows, size_t row)
{
    int64_t version = pg_rows_int(rows, row, 0);
    const char *checksum = pg_rows_text(rows, row, 2, NULL);
    struct migration *m = find(list, version);
    if (!m) {
        m = &list->items[list->count++];
        m->version = version;
        m->state = MIGRATION_UNKNOWN;
        (void)snprintf(m->name, sizeof m->name, "%s", pg_rows_text(rows, row, 1, "?"));
    } else {
        char ours[CHECKSUM_HEX_BYTES];
        migration_checksum(m->file, ours);
        bool same = !checksum || strcmp(checksum, ours) == 0;
        m->state = same ? MIGRATION_APPLIED : MIGRATION_CHANGED;
    }
    m->has_checksum = checksum != NULL;
    m->duration_ms = pg_rows_int(rows, row, 4);
    (void)snprintf(m->applied_at, sizeof m->applied_at, "%s", pg_rows_text(rows, row, 3, ""));
}

/* NULL rows when there is no table yet. */
static bool read_applied(struct pg_client *client, struct pg_rows **ret, struct err *err)
{
    const char *schema = pg_client_schema(client);
    struct pg_rows *ready = NULL;
    if (!pg_client_run(client, "migrate_ready.sql", &schema, 1, &ready, err))
        return false;
    bool has_table = pg_rows_bool(ready, 0, 2);
    bool is_ours = pg_rows_bool(ready, 0, 3);
    pg_rows_free(ready);
    *ret = NULL;
    return !has_table ||
           pg_client_run(client, is_ours ? "migrate_applied.sql" : "migrate_applied_dbmate.sql",
                         NULL, 0, ret, err);
}

bool migrate_list(struct pg_client *client, const struct embedded_file *files,
                  struct migration_list *ret, struct err *err)
{
    if (!files)
        files = migrations_embedded;
    struct pg_rows *applied = NULL;
    if (!read_applied(client, &applied, err))
        return false;
    size_t room = pg_rows_count(applied) + 1;
    for (const struct embedded_file *file = files; file->name; file++)
        room++;
    struct migration_list list = { 0 };
    bool ok = collect_files(files, room, &list, err);
    for (size_t i = 0; ok && i < pg_rows_count(applied); i++)
        mark_applied(&list, applied, i);
    pg_rows_free(applied);
    if (!ok)
        return false;
    qsort(list.items, list.count, sizeof *list.items, by_version);
    *ret = list;
    return true;
}

void migration_list_free(struct migration_list *list)
{
    free(list->items);
    *list = (struct migration_list){ 0 };
}
