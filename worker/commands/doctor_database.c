#include "common/embedded.h"
#include "worker/commands/doctor.h"
#include "worker/commands/document.h"
#include "worker/commands/facts.h"
#include "worker/commands/outcome_settings.h"
#include "worker/postgres/migrate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AREA        "postgresql"
#define VERSION_MIN 150000

static const char *text(const json_t *object, const char *key)
{
    return document_text(object, key, "");
}

static bool is_on(const json_t *object, const char *key)
{
    return strcmp(text(object, key), "on") == 0;
}

/* ------------------------------------------------------------------------------- the server */

static void check_durability(struct findings *findings, const json_t *server)
{
    if (!is_on(server, "fsync"))
        finding_add(findings, FINDING_WARN, AREA,
                    "set fsync = on; without it a crash of the machine loses what was committed",
                    "fsync is off");
    if (!is_on(server, "full_page_writes"))
        finding_add(findings, FINDING_WARN, AREA, "set full_page_writes = on",
                    "full_page_writes is off: a crash may leave torn pages");
    if (strcmp(text(server, "synchronous_commit"), "off") == 0)
        finding_add(findings, FINDING_FAIL, AREA,
                    "set synchronous_commit to on (or more) for this role and database: offsets "
                    "are told to the world after COMMIT, so COMMIT has to be durable",
                    "synchronous_commit is off");
    if (is_on(server, "fsync") && is_on(server, "full_page_writes"))
        finding_add(findings, FINDING_OK, AREA, NULL,
                    "durable: fsync and full_page_writes are on, synchronous_commit is %s",
                    text(server, "synchronous_commit"));
    if (!is_on(server, "autovacuum"))
        finding_add(findings, FINDING_WARN, AREA,
                    "set autovacuum = on: attempts are updated all the time", "autovacuum is off");
}

static bool check_server(struct findings *findings, const json_t *server)
{
    finding_add(
        findings, document_number(server, "version_num") < VERSION_MIN ? FINDING_FAIL : FINDING_OK,
        AREA,
        document_number(server, "version_num") < VERSION_MIN ? "use PostgreSQL 15 or newer" : NULL,
        "PostgreSQL %s, database %s, user %s", text(server, "version"), text(server, "database"),
        text(server, "user"));
    if (json_is_true(json_object_get(server, "in_recovery"))) {
        finding_add(findings, FINDING_FAIL, AREA,
                    "let DATABASE_URL name the primary; reads may use DATABASE_REPLICA_URL",
                    "this server is a replica and takes no writes");
        return false;
    }
    if (strcmp(text(server, "encoding"), "UTF8") != 0)
        finding_add(findings, FINDING_FAIL, AREA,
                    "create the database with ENCODING 'UTF8': answers may hold any character",
                    "the database's encoding is %s", text(server, "encoding"));
    check_durability(findings, server);
    return true;
}

/* ------------------------------------------------------------------------------- the schema */

static void check_grants(struct findings *findings, struct pg_client *client)
{
    struct err err;
    json_t *missing = facts_from_database(client, "doctor_grants.sql", NULL, 0, &err);
    if (missing == NULL) {
        finding_add(findings, FINDING_FAIL, AREA, NULL, "%s", err.text);
        return;
    }
    size_t i;
    const json_t *right;
    json_array_foreach(missing, i, right)
    {
        char next_step[256];
        (void)snprintf(next_step, sizeof next_step, "as the owner of the tables: %s",
                       text(right, "grant"));
        finding_add(findings, FINDING_FAIL, AREA, next_step, "a right is missing: %s",
                    text(right, "right"));
    }
    if (json_array_size(missing) == 0)
        finding_add(findings, FINDING_OK, AREA, NULL, "all rights that a worker needs are granted");
    json_decref(missing);
}

/* Tables that were changed by hand carry all their migrations, and are no use all the same. */
static void check_statements(struct findings *findings, struct pg_client *client)
{
    struct err err, first = { 0 };
    int count = 0, refused = 0;
    for (const struct embedded_file *f = statements_embedded; f->name != NULL; f++) {
        if (strncmp(f->name, "store_", 6) != 0 && strncmp(f->name, "housekeeper_", 12) != 0)
            continue;
        count++;
        if (pg_client_prepare(client, f->name, &err))
            continue;
        if (refused++ == 0)
            first = err;
        if (err.action == ERR_LOST)
            break;
    }
    if (refused > 0)
        finding_add(findings, FINDING_FAIL, AREA,
                    "undo what was changed by hand in the schema; until then a worker halts "
                    "(reason=schema)",
                    "the tables are not as the migrations made them: of a worker's %d statements "
                    "PostgreSQL refuses %d, the first because of: %s",
                    count, refused, first.text);
    else
        finding_add(findings, FINDING_OK, AREA, NULL, "the tables fit a worker's statements");
}

struct tally {
    int pending, changed, unknown, applied;
    int64_t newest; /* applied */
    const char *first_changed;
};

static void count(const struct migration_list *list, struct tally *ret)
{
    *ret = (struct tally){ 0 };
    for (size_t i = 0; i < list->count; i++) {
        const struct migration *migration = &list->items[i];
        ret->pending += migration->state == MIGRATION_PENDING;
        ret->pending += migration->state == MIGRATION_OUTDATED;
        ret->changed += migration->state == MIGRATION_CHANGED;
        ret->unknown += migration->state == MIGRATION_UNKNOWN;
        ret->applied += migration->state == MIGRATION_APPLIED;
        if (migration->state != MIGRATION_PENDING && !migration->repeatable)
            ret->newest = migration->version;
        if (migration->state == MIGRATION_CHANGED && ret->first_changed == NULL)
            ret->first_changed = migration->name;
    }
}

static bool apply(struct findings *findings, struct pg_client *client)
{
    struct migrate_options options = { 0 };
    struct err err;
    size_t applied = 0;
    if (!migrate_up(client, &options, &applied, &err)) {
        finding_add(findings, FINDING_FAIL, AREA, "see 'attemptd migrate up'", "%s", err.text);
        return false;
    }
    finding_add(findings, FINDING_FIXED, AREA, NULL, "%zu migrations applied", applied);
    return true;
}

/* True when the tables can be used. */
static bool check_schema(struct findings *findings, struct pg_client *client, bool fix)
{
    struct migration_list list;
    struct err err;
    if (!migrate_list(client, NULL, &list, &err)) {
        finding_add(findings, FINDING_FAIL, AREA, "see 'attemptd migrate status'", "%s", err.text);
        if (strcmp(err.code, "42501") == 0) /* insufficient_privilege */
            check_grants(findings, client);
        return false;
    }
    struct tally tally;
    count(&list, &tally);
    bool usable = false;
    if (tally.changed > 0)
        finding_add(findings, FINDING_FAIL, AREA,
                    "use the program that applied it, or see 'attemptd migrate status'",
                    "migration %s was applied with another content", tally.first_changed);
    else if (tally.pending > 0 && fix)
        usable = apply(findings, client);
    else if (tally.pending > 0)
        finding_add(findings, FINDING_FAIL, AREA,
                    "run 'attemptd migrate up', or 'attemptd doctor --fix'",
                    "%d of %zu migrations are not applied", tally.pending, list.count);
    else
        usable = true;
    if (usable && tally.unknown > 0)
        finding_add(findings, FINDING_FAIL, AREA,
                    "install the attemptd that migrated it; this one halts all partitions",
                    "the schema is newer than this program (migrations it does not know: %d)",
                    tally.unknown);
    else if (usable && tally.pending == 0)
        finding_add(findings, FINDING_OK, AREA, NULL, "schema %s is at version %lld",
                    pg_client_schema(client), (long long)tally.newest);
    migration_list_free(&list);
    return usable;
}

/* -------------------------------------------------------------------------------- the tables */

/* Limits decide outcomes, so all workers must have the same. */
static void check_outcome_settings(struct findings *findings, const json_t *ledger,
                                   const struct settings *settings)
{
    struct outcome_settings all;
    outcome_settings_init(&all, settings);
    const json_t *stored = json_object_get(ledger, "outcome_settings");
    for (size_t i = 0; i < OUTCOME_SETTINGS; i++) {
        const struct pg_setting *ours = &all.items[i];
        const char *theirs = json_string_value(json_object_get(stored, ours->name));
        if (theirs != NULL && strcmp(theirs, ours->value) != 0)
            finding_add(findings, FINDING_FAIL, "settings",
                        "give every worker the same, or 'attemptd run --accept-settings' once",
                        "%s is %s here and %s in the database", ours->name, ours->value, theirs);
    }
}

/* Returns its partitions. */
static json_t *check_ledger(struct findings *findings, struct pg_client *client,
                            const struct settings *settings)
{
    struct err err;
    json_t *ledger = facts_from_database(client, "doctor_ledger.sql", NULL, 0, &err);
    if (ledger == NULL) {
        finding_add(findings, FINDING_FAIL, AREA, NULL, "%s", err.text);
        return NULL;
    }
    check_outcome_settings(findings, ledger, settings);
    if (document_number(ledger, "without_start") > 0)
        finding_add(findings, FINDING_WARN, AREA,
                    "find out why their attempt.started.v1 did not come; statistics leave them out",
                    "%lld attempts have no start", document_number(ledger, "without_start"));
    if (document_number(ledger, "open_letters") > 0)
        finding_add(findings, FINDING_WARN, AREA, "look at them: 'attemptd dlq list'",
                    "%lld dead letters are open", document_number(ledger, "open_letters"));
    size_t i;
    const json_t *view;
    json_array_foreach(json_object_get(ledger, "failing_views"), i, view)
    {
        char next_step[256];
        (void)snprintf(next_step, sizeof next_step, "mend it, then 'attemptd refresh %s'",
                       text(view, "view"));
        finding_add(findings, FINDING_WARN, AREA, next_step, "the last refresh of %s failed: %s",
                    text(view, "view"), text(view, "error"));
    }
    json_t *partitions = json_incref(json_object_get(ledger, "partitions"));
    json_decref(ledger);
    return partitions;
}

json_t *doctor_database(struct findings *findings, const struct settings *settings, bool fix)
{
    struct err err;
    struct pg_client *client = facts_connect(settings, false, &err);
    if (client == NULL) {
        if (err.action == ERR_HALT) /* waiting would not help */
            finding_add(findings, FINDING_FAIL, AREA, NULL, "%s", err.text);
        else
            finding_unreachable(findings, AREA, err.text);
        return NULL;
    }
    json_t *partitions = NULL;
    const char *params[] = { settings->schema };
    json_t *server = facts_from_database(client, "doctor.sql", params, 1, &err);
    if (server == NULL)
        finding_add(findings, FINDING_FAIL, AREA, NULL, "%s", err.text);
    else if (check_server(findings, server) && check_schema(findings, client, fix)) {
        check_statements(findings, client);
        check_grants(findings, client);
        partitions = check_ledger(findings, client, settings);
    }
    json_decref(server);
    pg_client_free(client);
    return partitions;
}
