#include "worker/postgres/migrate.h"

#include "common/clock.h"
#include "worker/postgres/migration_file.h"
#include "worker/postgres/sql_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LOCK_WAIT_MS  (INT64_C(10) * 60 * 1000)
#define LOCK_RETRY_MS 200

static void tell(const struct migrate_options *options, enum migrate_step step,
                 const struct migration *migration)
{
    if (options->note)
        options->note(options->self, step, migration);
}

/* ------------------------------------------------------------------------------------- lock */

static bool try_lock(struct pg_client *client, bool *ret_locked, struct err *err)
{
    const char *schema = pg_client_schema(client);
    struct pg_rows *rows = NULL;
    if (!pg_client_run(client, "migrate_lock.sql", &schema, 1, &rows, err))
        return false;
    *ret_locked = pg_rows_bool(rows, 0, 0);
    pg_rows_free(rows);
    return true;
}

/* Asks again and again: a blocked statement would hold a snapshot, which others wait for. */
static bool lock(struct pg_client *client, const struct migrate_options *options, struct err *err)
{
    int64_t wait_ms = options->lock_wait_ms > 0 ? options->lock_wait_ms : LOCK_WAIT_MS;
    int64_t deadline_ms = clock_now_ms() + wait_ms;
    bool locked = false;
    bool told = false;
    /* If we are killed, the server notices in the middle of a statement. Not every server can. */
    (void)pg_client_run(client, "migrate_session.sql", NULL, 0, NULL, NULL);
    while (try_lock(client, &locked, err)) {
        if (locked)
            return true;
        if (!told)
            tell(options, MIGRATE_WAITING, NULL);
        told = true;
        if (clock_now_ms() >= deadline_ms)
            return err_set(err, ERR_RETRY, "55P03",
                           "another deployer has been migrating for %" PRId64
                           " s: look at pg_stat_activity, then try again",
                           wait_ms / 1000);
        (void)nanosleep(&(struct timespec){ .tv_nsec = LOCK_RETRY_MS * 1000000L }, NULL);
    }
    return false;
}

static void unlock(struct pg_client *client)
{
    const char *schema = pg_client_schema(client);
    (void)pg_client_run(client, "migrate_unlock.sql", &schema, 1, NULL, NULL);
}

/* ------------------------------------------------------------------------------- one script */

/* What to do next, after a statement failed. */
static const char *advice(const struct err *cause, bool bare)
{
    if (bare)
        return "What stands above it is done and stays: undo that (the file begins at its top "
               "again), mend the cause";
    if (cause->action == ERR_LOST || strncmp(cause->code, "57P", 3) == 0)
        return "The server rolls the file back. When it answers";
    return "The file was rolled back. Mend the cause";
}

static bool fail_statement(struct pg_client *client, const struct embedded_file *file,
                           struct bytes statement, bool bare, const struct err *cause,
                           struct err *err)
{
    size_t at = (size_t)(statement.ptr - file->text) + pg_client_error_at(client);
    size_t line_len = strcspn(statement.ptr, "\n");
    size_t shown = line_len < statement.len ? line_len : statement.len;
    /* Who is gone gives no code; this one is the standard's word for it. */
    const char *code = cause->action == ERR_LOST ? "08006" : cause->code;
    return err_set(err, cause->action, cause->code,
                   "%s line %zu: %.72s (SQLSTATE %.10s), in '%.*s'. %s, migrate again", file->name,
                   sql_text_line(file->text, at), pg_client_error_message(client), code,
                   (int)(shown < 36 ? shown : 36), statement.ptr, advice(cause, bare));
}

/* What is not the file's own: BEGIN, the record of it, COMMIT. */
static bool fail_around(const struct migration *migration, const char *what,
                        const struct err *cause, struct err *err)
{
    return err_set(err, cause->action, cause->code, "%s, %s: %.120s. %s, migrate again",
                   migration->name, what, cause->text,
                   strcmp(what, "COMMIT") == 0 && cause->action == ERR_LOST
                       ? "Whether it is applied `attemptd migrate status` says; then"
                       : "The file was rolled back. Mend the cause");
}

/* One by one, so that an error has a line. */
static bool run_script(struct pg_client *client, const struct embedded_file *file,
                       struct bytes script, bool bare, struct err *err)
{
    size_t at = 0;
    struct bytes statement;
    while (sql_text_next(script, &at, &statement)) {
        char *sql = strndup(statement.ptr, statement.len);
        if (!sql)
            return err_set(err, ERR_RESOURCE, "ENOMEM", "no memory for %s", file->name);
        struct err cause = { 0 };
        bool ok = pg_client_execute(client, file->name, sql, &cause);
        free(sql);
        if (!ok)
            return fail_statement(client, file, statement, bare, &cause, err);
    }
    return true;
}

/* `duration_ms` may be NULL: it was applied by dbmate. */
static bool record(struct pg_client *client, const struct migration *migration,
                   const char *duration_ms, struct err *err)
{
    char checksum[CHECKSUM_HEX_BYTES];
    migration_checksum(migration->file, checksum);
    if (migration->repeatable) {
        const char *params[] = { migration->name, checksum, duration_ms };
        return pg_client_run(client, "migrate_record_repeatable.sql", params, 3, NULL, err);
    }
    char version[24];
    (void)snprintf(version, sizeof version, "%.*s", (int)strspn(migration->name, "0123456789"),
                   migration->name);
    const char *params[] = { version, migration->name, checksum, duration_ms };
    return pg_client_run(client, "migrate_record.sql", params, 4, NULL, err);
}

static bool forget(struct pg_client *client, const struct migration *migration, struct err *err)
{
    const char *name = migration->name;
    if (migration->repeatable)
        return pg_client_run(client, "migrate_forget_repeatable.sql", &name, 1, NULL, err);
    char version[24];
    (void)snprintf(version, sizeof version, "%" PRId64, migration->version);
    const char *params[] = { version };
    return pg_client_run(client, "migrate_forget.sql", params, 1, NULL, err);
}

/* Into the audit log, where there is one (before its migration and after it is taken back: none).
 */
static bool note_in_audit(struct pg_client *client, const struct migration *migration,
                          const char *marker, struct err *err)
{
    struct pg_rows *rows = NULL;
    if (!pg_client_run(client, "migrate_has_audit.sql", NULL, 0, &rows, err))
        return false;
    bool has_audit = pg_rows_bool(rows, 0, 0);
    pg_rows_free(rows);
    const char *params[] = { migration->name, strcmp(marker, MIGRATE_UP) == 0 ? "up" : "down" };
    return !has_audit || pg_client_run(client, "migrate_audit.sql", params, 2, NULL, err);
}

static bool record_move(struct pg_client *client, const struct migration *migration,
                        const char *marker, struct err *err)
{
    struct err cause = { 0 };
    char duration_ms[24];
    (void)snprintf(duration_ms, sizeof duration_ms, "%" PRId64, migration->duration_ms);
    bool up = strcmp(marker, MIGRATE_UP) == 0;
    if ((up ? record(client, migration, duration_ms, &cause) : forget(client, migration, &cause)) &&
        note_in_audit(client, migration, marker, &cause))
        return true;
    return fail_around(migration, "its record", &cause, err);
}

/* One migration, up or down, and the record of it, in one transaction unless it forbids that. */
static bool carry_out(struct pg_client *client, struct migration *migration, const char *marker,
                      struct err *err)
{
    struct bytes script;
    struct err cause = { 0 };
    if (!migration_section(migration->file, marker, &script))
        return err_set(err, ERR_HALT, "MIGRATION", "%s has no line '%s'", migration->name, marker);
    bool bare = migration_is_bare(migration->file, marker);
    if (!bare && !pg_client_execute(client, migration->name, "BEGIN", &cause))
        return fail_around(migration, "BEGIN", &cause, err);
    int64_t begun_ms = clock_now_ms();
    bool ok = run_script(client, migration->file, script, bare, err);
    migration->duration_ms = clock_now_ms() - begun_ms;
    ok = ok && record_move(client, migration, marker, err);
    if (bare)
        return ok;
    if (ok && !pg_client_execute(client, "COMMIT", "COMMIT", &cause))
        return fail_around(migration, "COMMIT", &cause, err);
    if (!ok)
        (void)pg_client_execute(client, "ROLLBACK", "ROLLBACK", NULL);
    return ok;
}

/* --------------------------------------------------------------------------------- up, down */

static bool prepare(struct pg_client *client, struct err *err)
{
    const char *schema = pg_client_schema(client);
    struct pg_rows *ready = NULL;
    if (!pg_client_run(client, "migrate_ready.sql", &schema, 1, &ready, err))
        return false;
    char sql[160];
    (void)snprintf(sql, sizeof sql, "CREATE SCHEMA IF NOT EXISTS %s",
                   pg_rows_text(ready, 0, 0, "public"));
    bool has_schema = pg_rows_bool(ready, 0, 1);
    bool is_ours = pg_rows_bool(ready, 0, 3) && pg_rows_bool(ready, 0, 4);
    pg_rows_free(ready);
    return (has_schema || pg_client_execute(client, "CREATE SCHEMA", sql, err)) &&
           (is_ours || pg_client_run(client, "migrate_table.sql", NULL, 0, NULL, err));
}

static bool check_unchanged(const struct migration_list *list, struct err *err)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].state == MIGRATION_CHANGED)
            return err_set(err, ERR_HALT, "CHECKSUM",
                           "%s was changed after it was applied on %s: take its old text back and "
                           "put the change into a new migration",
                           list->items[i].name, list->items[i].applied_at);
    return true;
}

/* The newest migration that only a newer program knows; NULL if there is none. */
static const struct migration *newer(const struct migration_list *list)
{
    const struct migration *found = NULL;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].state == MIGRATION_UNKNOWN && !list->items[i].repeatable)
            found = &list->items[i];
    return found;
}

static bool is_wanted(const struct migrate_options *options, const struct migration_list *list,
                      const struct migration *m)
{
    if (m->state != MIGRATION_PENDING && m->state != MIGRATION_OUTDATED)
        return false;
    if (m->repeatable) /* those of this program belong to all of its migrations */
        return options->up_to == 0 && !newer(list);
    return options->up_to == 0 || m->version <= options->up_to;
}

static bool apply_pending(struct pg_client *client, const struct migrate_options *options,
                          struct migration_list *list, size_t *count, struct err *err)
{
    if (newer(list))
        tell(options, MIGRATE_NEWER, newer(list));
    for (size_t i = 0; i < list->count; i++) {
        struct migration *m = &list->items[i];
        if (m->state == MIGRATION_APPLIED && !m->has_checksum && !options->dry_run &&
            !record(client, m, NULL, err))
            return false;
        if (!is_wanted(options, list, m))
            continue;
        tell(options, MIGRATE_STARTING, m);
        ++*count;
        if (options->dry_run)
            continue;
        if (!carry_out(client, m, MIGRATE_UP, err))
            return false;
        tell(options, MIGRATE_DONE, m);
    }
    return true;
}

static bool take_back_one(struct pg_client *client, const struct migrate_options *options,
                          struct migration *m, struct err *err)
{
    if (m->state == MIGRATION_UNKNOWN)
        return err_set(err, ERR_HALT, "MIGRATION",
                       "%s was applied by a newer program: only that one can take it back",
                       m->name);
    tell(options, MIGRATE_STARTING, m);
    if (options->dry_run)
        return true;
    if (!carry_out(client, m, MIGRATE_DOWN, err))
        return false;
    tell(options, MIGRATE_DONE, m);
    return true;
}

/* Repeatable files stand at the end of the list: they rest on what is taken back after them. */
static bool take_back(struct pg_client *client, const struct migrate_options *options, int64_t to,
                      struct migration_list *list, size_t *count, struct err *err)
{
    size_t left = 0; /* numbered migrations to take back */
    for (size_t i = 0; i < list->count; i++) {
        const struct migration *m = &list->items[i];
        left += !m->repeatable && m->state != MIGRATION_PENDING && m->version > to;
    }
    if (to < 0 && left > 0)
        left = 1;
    for (size_t i = list->count; i-- > 0 && left > 0;) {
        struct migration *m = &list->items[i];
        bool gone_from_files = m->repeatable && m->state == MIGRATION_UNKNOWN;
        if (m->state == MIGRATION_PENDING || gone_from_files)
            continue;
        if (!take_back_one(client, options, m, err))
            return false;
        ++*count;
        left -= !m->repeatable;
    }
    return true;
}

bool migrate_up(struct pg_client *client, const struct migrate_options *options, size_t *ret_count,
                struct err *err)
{
    struct migration_list list = { 0 };
    size_t count = 0;
    if (!options->dry_run && !lock(client, options, err))
        return false;
    bool ok = (options->dry_run || prepare(client, err)) &&
              migrate_list(client, options->files, &list, err) && check_unchanged(&list, err) &&
              apply_pending(client, options, &list, &count, err);
    migration_list_free(&list);
    if (!options->dry_run)
        unlock(client);
    if (ok && ret_count)
        *ret_count = count;
    return ok;
}

bool migrate_down(struct pg_client *client, const struct migrate_options *options, int64_t to,
                  size_t *ret_count, struct err *err)
{
    struct migration_list list = { 0 };
    size_t count = 0;
    if (!options->dry_run && !lock(client, options, err))
        return false;
    bool ok = migrate_list(client, options->files, &list, err) && check_unchanged(&list, err) &&
              take_back(client, options, to, &list, &count, err);
    migration_list_free(&list);
    if (!options->dry_run)
        unlock(client);
    if (ok && ret_count)
        *ret_count = count;
    return ok;
}
