#include "common/hash.h"
#include "worker/postgres/migration_file.h"
#include "worker/postgres/sql_text.h"

#include <stdio.h>
#include <stdlib.h>

#define VERSION_DIGITS_MAX 18 /* a bigint holds them all */
#define NAME_BYTES_MAX     (sizeof((struct migration *)0)->name - 1)

const char *migration_state_name(enum migration_state state)
{
    switch (state) {
    case MIGRATION_PENDING:
        return "pending";
    case MIGRATION_APPLIED:
        return "applied";
    case MIGRATION_CHANGED:
        return "changed";
    case MIGRATION_OUTDATED:
        return "outdated";
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

bool migration_is_bare(const struct embedded_file *file, const char *marker)
{
    const char *begin = strstr(file->text, marker);
    size_t line_len = begin ? strcspn(begin, "\n") : 0;
    return begin && memmem(begin, line_len, "transaction:false", 17) != NULL;
}

bool migration_is_repeatable(const struct embedded_file *file)
{
    return strncmp(file->name, REPEATABLE_PREFIX, strlen(REPEATABLE_PREFIX)) == 0;
}

struct bytes migration_script(const struct migration *migration, bool up)
{
    struct bytes script = BYTES_NONE;
    if (migration->file)
        (void)migration_section(migration->file, up ? MIGRATE_UP : MIGRATE_DOWN, &script);
    return script;
}

static bool name_is_sound(const struct embedded_file *file)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    size_t digits = strspn(file->name, "0123456789");
    size_t prefix = migration_is_repeatable(file) ? strlen(REPEATABLE_PREFIX) : digits;
    size_t word = strspn(file->name + prefix, letters);
    return (migration_is_repeatable(file) ||
            (digits >= 4 && digits <= VERSION_DIGITS_MAX && file->name[digits] == '_')) &&
           word > 0 && strcmp(file->name + prefix + word, ".sql") == 0 &&
           strlen(file->name) <= NAME_BYTES_MAX;
}

static bool same_place(const struct embedded_file *a, const struct embedded_file *b)
{
    if (migration_is_repeatable(a) || migration_is_repeatable(b))
        return strcmp(a->name, b->name) == 0;
    return strtoll(a->name, NULL, 10) == strtoll(b->name, NULL, 10);
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
        if (!name_is_sound(file))
            return err_set(err, ERR_HALT, "MIGRATION",
                           "%s: the name is neither NNNN_lower_case.sql nor R__lower_case.sql, of "
                           "at most %zu characters and %d digits",
                           file->name, NAME_BYTES_MAX, VERSION_DIGITS_MAX);
        for (const struct embedded_file *other = files; other < file; other++)
            if (same_place(other, file))
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

/* Numbered ones by version, then the repeatable ones by name. */
static int by_place(const void *a, const void *b)
{
    const struct migration *left = a;
    const struct migration *right = b;
    if (left->repeatable != right->repeatable)
        return left->repeatable ? 1 : -1;
    if (left->repeatable)
        return strcmp(left->name, right->name);
    return (left->version > right->version) - (left->version < right->version);
}

static bool collect_files(const struct embedded_file *files, size_t room,
                          struct migration_list *list, struct err *err)
{
    list->items = calloc(room, sizeof *list->items);
    if (!list->items)
        return err_set(err, ERR_RESOURCE, "ENOMEM", "no memory for the list of migrations");
    for (const struct embedded_file *file = files; file->name; file++) {
        struct migration *m = &list->items[list->count++];
        m->repeatable = migration_is_repeatable(file);
        m->version = m->repeatable ? 0 : strtoll(file->name, NULL, 10);
        m->file = file;
        (void)snprintf(m->name, sizeof m->name, "%s", file->name);
    }
    qsort(list->items, list->count, sizeof *list->items, by_place);
    return true;
}

/* By its name if it is repeatable, else by its version. */
static struct migration *find(struct migration_list *list, int64_t version, const char *repeatable)
{
    for (size_t i = 0; i < list->count; i++) {
        struct migration *m = &list->items[i];
        if (repeatable ? m->repeatable && strcmp(m->name, repeatable) == 0
                       : !m->repeatable && m->version == version)
            return m;
    }
    return NULL;
}

static enum migration_state state_of(const struct migration *m, const char *checksum)
{
    char ours[CHECKSUM_HEX_BYTES];
    migration_checksum(m->file, ours);
    if (!checksum || strcmp(checksum, ours) == 0)
        return MIGRATION_APPLIED;
    return m->repeatable ? MIGRATION_OUTDATED : MIGRATION_CHANGED;
}

/* Rows of migrate_applied.sql and of its two siblings. */
static void mark_applied(struct migration_list *list, const struct pg_rows *rows, size_t row,
                         bool repeatable)
{
    int64_t version = pg_rows_int(rows, row, 0);
    const char *name = pg_rows_text(rows, row, 1, "?");
    const char *checksum = pg_rows_text(rows, row, 2, NULL);
    struct migration *m = find(list, version, repeatable ? name : NULL);
    if (m) {
        m->state = state_of(m, checksum);
    } else {
        m = &list->items[list->count++];
        m->version = version;
        m->repeatable = repeatable;
        m->state = MIGRATION_UNKNOWN;
        (void)snprintf(m->name, sizeof m->name, "%s", name);
    }
    m->has_checksum = checksum != NULL;
    m->duration_ms = pg_rows_int(rows, row, 4);
    (void)snprintf(m->applied_at, sizeof m->applied_at, "%s", pg_rows_text(rows, row, 3, ""));
}

/* What the database says is applied; either is NULL when there is no table of it yet. */
struct applied {
    struct pg_rows *numbered, *repeatable;
};

static void applied_release(struct applied *applied)
{
    pg_rows_free(applied->numbered);
    pg_rows_free(applied->repeatable);
}

static bool read_applied(struct pg_client *client, struct applied *ret, struct err *err)
{
    const char *schema = pg_client_schema(client);
    struct pg_rows *ready = NULL;
    if (!pg_client_run(client, "migrate_ready.sql", &schema, 1, &ready, err))
        return false;
    bool has_table = pg_rows_bool(ready, 0, 2);
    bool is_ours = pg_rows_bool(ready, 0, 3);
    bool has_repeatables = pg_rows_bool(ready, 0, 4);
    pg_rows_free(ready);
    const char *numbered = is_ours ? "migrate_applied.sql" : "migrate_applied_dbmate.sql";
    struct applied applied = { 0 };
    if ((!has_table || pg_client_run(client, numbered, NULL, 0, &applied.numbered, err)) &&
        (!has_repeatables || pg_client_run(client, "migrate_applied_repeatables.sql", NULL, 0,
                                           &applied.repeatable, err))) {
        *ret = applied;
        return true;
    }
    applied_release(&applied);
    return false;
}

bool migrate_list(struct pg_client *client, const struct embedded_file *files,
                  struct migration_list *ret, struct err *err)
{
    if (!files)
        files = migrations_embedded;
    struct applied applied = { 0 };
    if (!read_applied(client, &applied, err))
        return false;
    size_t room = pg_rows_count(applied.numbered) + pg_rows_count(applied.repeatable) + 1;
    for (const struct embedded_file *file = files; file->name; file++)
        room++;
    struct migration_list list = { 0 };
    bool ok = collect_files(files, room, &list, err);
    for (size_t i = 0; ok && i < pg_rows_count(applied.numbered); i++)
        mark_applied(&list, applied.numbered, i, false);
    for (size_t i = 0; ok && i < pg_rows_count(applied.repeatable); i++)
        mark_applied(&list, applied.repeatable, i, true);
    applied_release(&applied);
    if (!ok)
        return false;
    qsort(list.items, list.count, sizeof *list.items, by_place);
    *ret = list;
    return true;
}

void migration_list_free(struct migration_list *list)
{
    free(list->items);
    *list = (struct migration_list){ 0 };
}
