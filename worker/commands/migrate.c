#include "worker/commands/migrate.h"

#include "common/hash.h"
#include "worker/commands/command.h"
#include "worker/postgres/migrate.h"

#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <sysexits.h>

#define LOCK_TIMEOUT_MS 30000

const char migrate_help[] =
    "Keeps the tables, functions and views of the database at the version that this program\n"
    "carries.\n"
    "\n"
    "  migrate up       apply what is pending; makes the schema if it is missing\n"
    "  migrate down     take back the newest migration, AND THE DATA IN ITS TABLES\n"
    "  migrate status   what is applied and what is not\n"
    "\n"
    "Each migration is one transaction. Several deployers may start at once: one works, the others\n"
    "wait and find nothing to do. A file that was changed after it was applied is refused.\n"
    "\n"
    "Options:\n"
    "  --to VERSION  with down: take back everything above that version; 0 takes back all\n"
    "  --dry-run     only say what would be done\n"
    "  --json        with status: as JSON\n"
    "\n"
    "Exit codes: 0 done (status: everything is applied), 1 status: something is pending or was\n"
    "changed, 69 the database does not answer, 78 it refused.\n"
    "\n"
    "Examples:\n"
    "  attemptd migrate up\n"
    "  attemptd migrate down --to 3 --dry-run\n";

struct migrate {
    const char *verb;
    int64_t to;
    bool has_to;
    bool dry_run;
    bool json;
};

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
        { "to", required_argument, NULL, 't' },
        { "dry-run", no_argument, NULL, 'n' },
        { "json", no_argument, NULL, 'j' },
        { 0 },
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
        default:
            return command_usage("migrate", "this option is not known");
        }
    }
    if (argc - optind != 1)
        return command_usage("migrate", "say one of up, down and status");
    ret->verb = argv[optind];
    if (ret->has_to && strcmp(ret->verb, "down") != 0)
        return command_usage("migrate", "--to belongs to down");
    return EX_OK;
}

static void on_note(void *self, enum migrate_step step, const struct migration *migration)
{
    const struct migrate *migrate = self;
    switch (step) {
    case MIGRATE_WAITING:
        (void)fprintf(stderr, "another deployer is migrating this schema: waiting for it\n");
        break;
    case MIGRATE_STARTING:
        if (migrate->dry_run)
            (void)printf("would %s %s\n", strcmp(migrate->verb, "up") == 0 ? "apply" : "take back",
                         migration->name);
        break;
    case MIGRATE_DONE:
        (void)printf("%s %s (%" PRId64 " ms)\n",
                     strcmp(migrate->verb, "up") == 0 ? "applied" : "took back", migration->name,
                     migration->duration_ms);
        (void)fflush(stdout);
        break;
    }
}

static int move(struct migrate *migrate, struct pg_client *client)
{
    struct migrate_options options = { .dry_run = migrate->dry_run,
                                       .self = migrate,
                                       .note = on_note };
    struct err err = { 0 };
    size_t count = 0;
    bool up = strcmp(migrate->verb, "up") == 0;
    bool ok = up ? migrate_up(client, &options, &count, &err)
                 : migrate_down(client, &options, migrate->has_to ? migrate->to : -1, &count, &err);
    if (!ok)
        return command_fail("migrate", &err);
    if (count == 0)
        (void)printf("nothing to do\n");
    return EX_OK;
}

static void print_json(const struct migration_list *list)
{
    json_t *array = json_array();
    for (size_t i = 0; i < list->count; i++) {
        const struct migration *m = &list->items[i];
        json_t *item = json_pack("{s:I, s:s, s:s}", "version", (json_int_t)m->version, "name",
                                 m->name, "state", migration_state_name(m->state));
        if (m->applied_at[0])
            (void)json_object_set_new(item, "applied_at", json_string(m->applied_at));
        if (m->has_checksum)
            (void)json_object_set_new(item, "duration_ms", json_integer(m->duration_ms));
        (void)json_array_append_new(array, item);
    }
    (void)json_dumpf(array, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    (void)putchar('\n');
    json_decref(array);
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
    if (!migrate_list(client, NULL, &list, &err))
        return command_fail("migrate", &err);
    if (migrate->json)
        print_json(&list);
    else
        print_table(&list);
    int code = EX_OK;
    for (size_t i = 0; i < list.count; i++)
        if (list.items[i].state == MIGRATION_PENDING || list.items[i].state == MIGRATION_CHANGED)
            code = 1;
    migration_list_free(&list);
    return code;
}

int migrate_command(const struct settings *settings, int argc, char **argv)
{
    struct migrate migrate = { 0 };
    int code = parse(argc, argv, &migrate);
    if (code != EX_OK)
        return code;
    bool moves = strcmp(migrate.verb, "up") == 0 || strcmp(migrate.verb, "down") == 0;
    if (!moves && strcmp(migrate.verb, "status") != 0)
        return command_usage("migrate", "'%s' is none of up, down and status", migrate.verb);

    struct pg_client_options options = {
        .url = settings->database_url,
        .schema = settings->schema,
        .application_name = "attemptd migrate",
        .standby_ok = !moves,
        .lock_timeout_ms = LOCK_TIMEOUT_MS,
    };
    struct err err = { 0 };
    struct pg_client *client = NULL;
    if (!hash_init())
        return EX_SOFTWARE;
    if (!pg_client_connect(&options, &client, &err))
        return command_fail("migrate", &err);
    code = moves ? move(&migrate, client) : show_status(&migrate, client);
    pg_client_free(client);
    return code;
}
