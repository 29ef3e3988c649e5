/*
 * audit: the proof that every record has exactly one outcome, and that the rows are what the log
 * says.
 */
#include "worker/commands/audit.h"

#include "worker/commands/audit_work.h"
#include "worker/commands/command.h"
#include "worker/commands/facts.h"

#include <getopt.h>
#include <stdlib.h>
#include <sysexits.h>

#define EXIT_DIFFERENT 1

const char audit_help[] =
    "Proves conservation: for each partition the ledger's records are the sum of its outcomes, the\n"
    "rows of rejected_writes, dead_letters and submissions agree with its counters, and Kafka's\n"
    "log holds as many records as the ledger has counted.\n"
    "\n"
    "With --replay it also reads the log again, one record at a time, folds it by the rules alone\n"
    "(it shares the decoder with the worker and nothing else), and compares: attempts with all\n"
    "their columns, submissions with version, digest and what was missing, attempt_answers,\n"
    "rejected_writes and dead_letters record by record, activity, and the counters. Attempts that\n"
    "were also changed by others (SQL, maintenance) are counted, not compared.\n"
    "\n"
    "It may run at any time: it reads one snapshot of the database and, of the log, what that\n"
    "snapshot has settled. It needs memory for each attempt, not for each record, and writes\n"
    "nothing.\n"
    "\n"
    "Options:\n"
    "  --replay   fold the log and compare the rows\n"
    "  --json     the result as JSON, and no progress\n"
    "  --quiet    no progress\n"
    "\n"
    "Exit codes: 0 proved, 1 something is different (the first 20 differences are named), 69 Kafka\n"
    "or PostgreSQL does not answer.\n"
    "\n"
    "Examples:\n"
    "  attemptd audit\n"
    "  attemptd audit --replay --json | jq .proved\n";

static int parse_options(struct audit *audit, int argc, char **argv)
{
    static const struct option options[] = { { "replay", no_argument, NULL, 'r' },
                                             { "json", no_argument, NULL, 'j' },
                                             { "quiet", no_argument, NULL, 'q' },
                                             { 0 } };
    int option;
    optind = 0;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?')
            return command_usage("audit", "unknown option: %s", argv[optind - 1]);
        audit->replay |= option == 'r';
        audit->json |= option == 'j';
        audit->quiet |= option == 'j' || option == 'q';
    }
    if (optind < argc)
        return command_usage("audit", "'%s' is not an option", argv[optind]);
    return EX_OK;
}

static void adopt(struct settings *settings, const char *name, int64_t value)
{
    const struct {
        const char *name;
        int64_t *target;
    } own[] = {
        { "max_activity_events", &settings->max_activity_events },
        { "max_answer_keys", &settings->max_answer_keys },
        { "max_depth", &settings->max_depth },
        { "max_name_bytes", &settings->max_name_bytes },
        { "max_number_digits", &settings->max_number_digits },
        { "max_number_exponent", &settings->max_number_exponent },
        { "max_value_bytes", &settings->max_value_bytes },
        { "max_version_jump", &settings->max_version_jump },
    };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (strcmp(own[i].name, name) == 0)
            *own[i].target = value;
    }
}

/* The auditor judges by the limits that the workers judged by, whatever its own are. */
static bool adopt_settings(struct audit *audit, struct err *err)
{
    struct pg_rows *rows;
    if (!facts_run(audit->db, "audit_settings.sql", NULL, 0, &rows, err))
        return false;
    for (size_t i = 0; i < pg_rows_count(rows); i++)
        adopt(&audit->settings, pg_rows_text(rows, i, 0, ""), pg_rows_int(rows, i, 1));
    pg_rows_free(rows);
    audit->limits = settings_limits(&audit->settings);
    return true;
}

/* The lock comes before the snapshot: when partitions of activity are exchanged after it, what was
 * moved would be in neither, for us. */
static const char begin_snapshot[] = "SET idle_in_transaction_session_timeout = 0;"
                                     "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
                                     "LOCK TABLE activity_events IN ACCESS SHARE MODE";

static bool open_all(struct audit *audit, struct err *err)
{
    const struct pg_client_options options = { .url = audit->settings.database_url,
                                               .schema = audit->settings.schema,
                                               .application_name = "attemptd audit",
                                               .standby_ok = true };
    if (!kafka_setup_init(&audit->kafka, &audit->settings, err))
        return false;
    audit->admin = kafka_setup_reach(&audit->kafka, err);
    return audit->admin != NULL && pg_client_connect(&options, &audit->db, err) &&
           pg_client_execute(audit->db, "begin a snapshot", begin_snapshot, err) &&
           adopt_settings(audit, err);
}

static void close_all(struct audit *audit)
{
    replay_model_free(audit->model);
    differences_release(&audit->differences);
    free(audit->partitions);
    pg_client_free(audit->db);
    kafka_admin_free(audit->admin);
    kafka_setup_release(&audit->kafka);
}

int audit_command(const struct settings *settings, int argc, char **argv)
{
    struct audit audit = { .settings = *settings, .clock = clock_system() };
    struct err err;
    int code = parse_options(&audit, argc, argv);
    if (code != EX_OK)
        return code;
    progress_start(&audit.progress, audit.quiet);
    if (open_all(&audit, &err) && audit_ledger(&audit, &err) && audit_log(&audit, &err)) {
        code = audit_report(&audit) ? EX_OK : EXIT_DIFFERENT;
    } else {
        progress_end(&audit.progress);
        code = command_fail("audit", &err);
    }
    close_all(&audit);
    return code;
}
