#include "worker/commands/migrate.h"

#include "worker/commands/command.h"
#include "worker/commands/document.h"
#include "worker/commands/migrate_dir.h"
#include "worker/postgres/migrate.h"

#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define LOCK_TIMEOUT_MS 30000

const char migrate_help[] =
    "Keeps the tables, functions and views of the database at the version that this program\n"
    "carries.\n"
    "\n"
    "  migrate up       apply what is pending; makes the schema if it is missing\n"
    "  migrate down     take back the newest migration, AND THE DATA IN ITS TABLES\n"
    "  migrate status   what is applied and what is not\n"
    "  migrate validate are the files in order, and what is applied unchanged?\n"
    "  migrate reset    down and up again, with --force: ALL DATA GOES; --force twice where\n"
    "                   audit_log shows that the database is in use\n"
    "  migrate new NAME make an empty file for the next migration (in a source tree)\n"
    "\n"
    "Each migration is one transaction. Several deployers may start at once: one works, the others\n"
    "wait and find nothing to do. A file that was changed after it was applied is refused. Files\n"
    "named R__name.sql (functions and views) come last and again when their text changes; a step\n"
    "down takes them back, the next up brings them again.\n"
    "\n"
    "Options:\n"
    "  --to VERSION  with down: take back everything above that version; 0 takes back all;\n"
    "                with up: go no further than that version, without functions and views\n"
    "  --force       with reset: yes, all data\n"
    "  --dir DIR     read the files from there, not from the program (with new: migrations)\n"
    "  --dry-run     print the SQL that would run, change nothing\n"
    "  --json        with status: as JSON\n"
    "\n"
    "Exit codes: 0 done (status: everything is applied), 1 status: something is pending or was\n"
    "changed, 69 the database does not answer, 78 it refused, or validate found a fault.\n"
    "\n"
    "Examples:\n"
    "  attemptd migrate up\n"
    "  attemptd migrate down --to 3 --dry-run\n";

struct migrate {
    const char *verb;
    const char *name; /* of a new one */
    const char *dir;
    int forced;                        /* how often --force was said */
    const struct embedded_file *files; /* NULL: those compiled in */
    int64_t to;
    bool has_to;
    bool dry_run;
    bool json;
    bool downwards; /* what is being done now */
    bool is_newer;  /* than this program is the schema */
};

static bool verb_is(const struct migrate *migrate, const char *verb)
{
    return strcmp(migrate->verb, verb) == 0;
}

static bool parse_version(const char *text, struct migrate *ret)
{
    char *end = NULL;
    ret->to = strtoll(text, &end, 10);
    ret->has_to = true;
    return *text && !*end && ret->to >= 0;
}

/* EX_OK, or the exit code. */
static int parse(int argc, char **argv, struct migrate *ret)
{
    static const struct option options[] = {
        { "to", required_argument, NULL, 't' },  { "dry-run", no_argument, NULL, 'n' },
        { "json", no_argument, NULL, 'j' },      { "force", no_argument, NULL, 'f' },
        { "dir", required_argument, NULL, 'd' }, { 0 },
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 't':
            if (!parse_version(optarg, ret))
                return command_usage("migrate", "--to takes a version, not '%s'", optarg);
            break;
        case 'n':
            ret->dry_run = true;
            break;
        case 'j':
            ret->json = true;
            break;
        case 'f':
            ret->forced++;
            break;
        case 'd':
            ret->dir = optarg;
            break;
        default:
            return command_usage("migrate", "this option is not known");
        }
    }
    if (optind == argc)
        return command_usage("migrate", "say one of up, down, status, validate, reset and new");
    ret->verb = argv[optind++];
    if (verb_is(ret, "new") && optind < argc)
        ret->name = argv[optind++];
    if (verb_is(ret, "new") && !ret->name)
        return command_usage("migrate", "new takes a name, such as add_rooms");
    if (optind < argc)
        return command_usage("migrate", "'%s' is one word too many", argv[optind]);
    if (ret->has_to && !verb_is(ret, "down") && !verb_is(ret, "up"))
        return command_usage("migrate", "--to belongs to up and down");
    if (ret->has_to && verb_is(ret, "up") && ret->to == 0)
        return command_usage("migrate", "up --to takes a version from 1");
    if (verb_is(ret, "reset") && ret->forced == 0 && !ret->dry_run)
        return command_usage("migrate", "reset deletes all data of the schema: say --force");
    return EX_OK;
}

/* The SQL itself, so that it can be read, kept and piped into psql. */
static void print_script(const struct migrate *migrate, const struct migration *migration)
{
    (void)printf("-- would %s %s\n", migrate->downwards ? "take back" : "apply", migration->name);
    struct bytes script = migration_script(migration, !migrate->downwards);
    (void)printf("%.*s\n", BYTES_FMT(script));
}

/* Says before it is too late which tables go with their rows. */
static void warn_of_loss(const struct migration *migration)
{
    static const char drop[] = "DROP TABLE ";
    struct bytes script = migration_script(migration, false);
    const char *end = script.ptr + script.len;
    const char *separator = "";
    for (const char *at = script.ptr; at && at < end; at++) {
        at = memmem(at, (size_t)(end - at), drop, strlen(drop));
        if (!at)
            break;
        at += strlen(drop);
        if (*at == '%')
            continue; /* a text for format(), inside a function: the name comes later */
        (void)fprintf(stderr, "%s%.*s", separator[0] ? separator : "this deletes the rows of ",
                      (int)strcspn(at, "; \n"), at);
        separator = ", ";
    }
    if (separator[0])
        (void)fputc('\n', stderr);
}

static void on_note(void *self, enum migrate_step step, const struct migration *migration)
{
    struct migrate *migrate = self;
    switch (step) {
    case MIGRATE_WAITING:
        (void)fprintf(stderr, "another deployer is migrating this schema: waiting for it\n");
        break;
    case MIGRATE_NEWER:
        migrate->is_newer = true;
        (void)fprintf(
            stderr,
            "the schema is newer than this program, which does not know %s: its functions "
            "and views are left alone; to run on this schema, install the attemptd that "
            "migrated it\n",
            migration->name);
        break;
    case MIGRATE_STARTING:
        if (migrate->downwards)
            warn_of_loss(migration);
        if (migrate->dry_run)
            print_script(migrate, migration);
        break;
    case MIGRATE_DONE:
        (void)printf("%s %s (%" PRId64 " ms)\n", migrate->downwards ? "took back" : "applied",
                     migration->name, migration->duration_ms);
        (void)fflush(stdout);
        break;
    }
}

/* One boolean. */
static bool ask(struct pg_client *client, const char *file, bool *ret, struct err *err)
{
    struct pg_rows *rows = NULL;
    if (!pg_client_run(client, file, NULL, 0, &rows, err))
        return false;
    *ret = pg_rows_bool(rows, 0, 0);
    pg_rows_free(rows);
    return true;
}

/* Where somebody worked in this database, --force must have been said twice. */
static int check_unused(const struct migrate *migrate, struct pg_client *client)
{
    struct err err = { 0 };
    bool in_use = false;
    if (!verb_is(migrate, "reset") || migrate->forced > 1 || migrate->dry_run)
        return EX_OK;
    if (!ask(client, "migrate_has_audit.sql", &in_use, &err) ||
        (in_use && !ask(client, "migrate_in_use.sql", &in_use, &err)))
        return command_fail("migrate", &err);
    if (!in_use)
        return EX_OK;
    (void)fprintf(stderr, "attemptd migrate: audit_log says that this database is in use, and "
                          "reset deletes all of it: say --force twice if that is meant\n");
    return EX_CONFIG;
}

/* up, down, reset */
static int move(struct migrate *migrate, struct pg_client *client)
{
    struct migrate_options options = {
        .files = migrate->files, .dry_run = migrate->dry_run, .self = migrate, .note = on_note
    };
    struct err err = { 0 };
    int code = check_unused(migrate, client);
    if (code != EX_OK)
        return code;
    if (verb_is(migrate, "up") && migrate->has_to)
        options.up_to = migrate->to;
    size_t back = 0;
    size_t forth = 0;
    bool ok = true;
    if (!verb_is(migrate, "up")) {
        int64_t to = verb_is(migrate, "reset") ? 0 : migrate->has_to ? migrate->to : -1;
        migrate->downwards = true;
        ok = migrate_down(client, &options, to, &back, &err);
    }
    if (ok && !verb_is(migrate, "down")) {
        migrate->downwards = false;
        ok = migrate_up(client, &options, &forth, &err);
    }
    if (!ok)
        return command_fail("migrate", &err);
    if (back + forth == 0 && !migrate->is_newer)
        (void)printf("nothing to do\n");
    return EX_OK;
}

static int validate(const struct migrate *migrate, struct pg_client *client)
{
    struct migration_list list = { 0 };
    struct err err = { 0 };
    if (!migrate_validate(migrate->files, &err) ||
        !migrate_list(client, migrate->files, &list, &err))
        return command_fail("migrate", &err);
    int code = EX_OK;
    for (size_t i = 0; i < list.count; i++) {
        if (list.items[i].state != MIGRATION_CHANGED)
            continue;
        (void)fprintf(stderr, "attemptd migrate: %s was changed after it was applied on %s\n",
                      list.items[i].name, list.items[i].applied_at);
        code = EX_CONFIG;
    }
    if (code == EX_OK)
        (void)printf("%zu migrations are in order\n", list.count);
    migration_list_free(&list);
    return code;
}

static int print_json(const struct migration_list *list)
{
    json_t *array = json_array();
    bool whole = array != NULL;
    for (size_t i = 0; i < list->count; i++) {
        const struct migration *m = &list->items[i];
        json_t *item =
            json_pack("{s:o, s:s, s:b, s:s}", "version",
                      m->repeatable ? json_null() : json_integer(m->version), "name", m->name,
                      "repeatable", m->repeatable, "state", migration_state_name(m->state));
        if (m->applied_at[0])
            document_member(&whole, item, "applied_at", json_string(m->applied_at));
        if (m->has_checksum)
            document_member(&whole, item, "duration_ms", json_integer(m->duration_ms));
        document_item(&whole, array, item);
    }
    int code =
        document_print("migrate", whole ? array : NULL, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    json_decref(array);
    return code;
}

static void print_table(const struct migration_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct migration *m = &list->items[i];
        (void)printf("%-8s  %-36s  %-20s  %6" PRId64 " ms\n", migration_state_name(m->state),
                     m->name, m->applied_at[0] ? m->applied_at : "-", m->duration_ms);
    }
}

static int show_status(const struct migrate *migrate, struct pg_client *client)
{
    struct migration_list list = { 0 };
    struct err err = { 0 };
    if (!migrate_list(client, migrate->files, &list, &err))
        return command_fail("migrate", &err);
    int code = EX_OK;
    if (migrate->json)
        code = print_json(&list);
    else
        print_table(&list);
    for (size_t i = 0; code == EX_OK && i < list.count; i++)
        if (list.items[i].state != MIGRATION_APPLIED && list.items[i].state != MIGRATION_UNKNOWN)
            code = 1;
    migration_list_free(&list);
    return code;
}

static int work(struct migrate *migrate, struct pg_client *client)
{
    if (verb_is(migrate, "status"))
        return show_status(migrate, client);
    if (verb_is(migrate, "validate"))
        return validate(migrate, client);
    return move(migrate, client);
}

static bool verb_is_known(const struct migrate *migrate)
{
    static const char *const verbs[] = { "up", "down", "status", "validate", "reset" };
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (verb_is(migrate, verbs[i]))
            return true;
    return false;
}

static int with_database(const struct settings *settings, struct migrate *migrate)
{
    struct pg_client_options options = {
        .url = settings->database_url,
        .schema = settings->schema,
        .application_name = "attemptd migrate",
        .standby_ok = verb_is(migrate, "status") || verb_is(migrate, "validate"),
        .lock_timeout_ms = LOCK_TIMEOUT_MS,
    };
    struct err err = { 0 };
    struct pg_client *client = NULL;
    if (!pg_client_connect(&options, &client, &err))
        return command_fail("migrate", &err);
    int code = work(migrate, client);
    pg_client_free(client);
    return code;
}

int migrate_command(const struct settings *settings, int argc, char **argv)
{
    struct migrate migrate = { 0 };
    int code = parse(argc, argv, &migrate);
    if (code != EX_OK)
        return code;
    if (verb_is(&migrate, "new"))
        return migrate_new(migrate.dir ? migrate.dir : "migrations", migrate.name);
    if (!verb_is_known(&migrate))
        return command_usage("migrate", "'%s' is none of up, down, status, validate, reset and new",
                             migrate.verb);
    struct migrate_dir dir = { 0 };
    struct err err = { 0 };
    if (migrate.dir && !migrate_dir_read(migrate.dir, &dir, &err))
        return command_fail("migrate", &err);
    migrate.files = dir.files;
    code = migrate.files && !migrate_validate(migrate.files, &err)
               ? command_fail("migrate", &err)
               : with_database(settings, &migrate);
    migrate_dir_release(&dir);
    return code;
}
