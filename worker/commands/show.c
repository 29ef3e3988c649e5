#include "worker/commands/show.h"

#include "common/buf.h"
#include "common/uuid.h"
#include "worker/commands/command.h"
#include "worker/commands/escape.h"
#include "worker/commands/facts.h"

#include <getopt.h>
#include <string.h>
#include <sysexits.h>

const char show_help[] =
    "All that the database knows of one attempt: its row, the ids of the last events applied, its\n"
    "submission, the last 20 of its rejected writes, of its dead letters and of what the audit log has\n"
    "of it, how much activity there is, and its answers. Also of an attempt that was erased or of which\n"
    "only dead letters are there. Reads from DATABASE_REPLICA_URL if there is one.\n"
    "\n"
    "Options:\n"
    "  --json    as one JSON document\n"
    "\n"
    "Exit codes: 0 done, 65 nothing is known of it, 69 PostgreSQL does not answer, 78 it refuses.\n"
    "\n"
    "Examples:\n"
    "  attemptd show 11111111-1111-4111-8111-111111111111\n"
    "  attemptd show 11111111-1111-4111-8111-111111111111 --json | jq .attempt.version\n";

static void print_part(const char *name, struct bytes json)
{
    if (!bytes_present(json))
        return;
    (void)printf("%s\n", name);
    escape_print_json(json);
}

static int print(const struct pg_rows *rows, const char *attempt, bool json)
{
    if (pg_rows_count(rows) == 0) {
        struct err err;
        (void)err_set(
            &err, ERR_REJECT, "unknown",
            "nothing is known of an attempt %s; if it has just begun, its first event may "
            "not be written yet ('attemptd status' shows the lag)",
            attempt);
        return command_fail("show", &err);
    }
    if (json) {
        escape_print_json(pg_rows_bytes(rows, 0, 0));
        return EX_OK;
    }
    (void)fputs(pg_rows_text(rows, 0, 1, ""), stdout);
    print_part("auto_save_data", pg_rows_bytes(rows, 0, 2));
    print_part("answers", pg_rows_bytes(rows, 0, 3));
    return EX_OK;
}

int show_command(const struct settings *settings, int argc, char **argv)
{
    static const struct option options[] = { { "json", no_argument, NULL, 'j' }, { 0 } };
    bool json = false;
    struct uuid uuid;
    struct err err;
    optind = 0;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option != 'j')
            return command_usage("show", "there is no option '%s'", argv[optind - 1]);
        json = true;
    }
    if (optind + 1 != argc)
        return command_usage("show", "say which attempt: one UUID");
    const char *attempt = argv[optind];
    if (!uuid_parse(bytes_of(attempt), &uuid))
        return command_usage("show", "'%s': an attempt is a UUID in lower case", attempt);
    struct pg_client *client = facts_connect(settings, true, &err);
    if (client == NULL)
        return command_fail("show", &err);
    struct pg_rows *rows = NULL;
    int code;
    if (facts_run(client, "show_attempt.sql", &attempt, 1, &rows, &err)) {
        code = print(rows, attempt, json);
    } else {
        code = command_fail("show", &err);
    }
    pg_rows_free(rows);
    pg_client_free(client);
    return code;
}
