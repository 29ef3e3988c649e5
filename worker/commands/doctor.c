#include "worker/commands/doctor.h"
#include "worker/commands/command.h"
#include "worker/commands/document.h"
#include "worker/commands/kafka_setup.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

const char doctor_help[] =
    "Looks at Kafka, the topics, PostgreSQL, the tables, the rights and the settings, and says of\n"
    "each finding what to do next. It changes nothing without --fix.\n"
    "\n"
    "Options:\n"
    "  --fix            create what is missing: topics (--partitions N each), tables (migrations)\n"
    "  --json           as one JSON document\n"
    "\n"
    "Exits with 0 when nothing failed (warnings are allowed), with 69 when Kafka or PostgreSQL does\n"
    "not answer, with 78 when something has to be mended.\n"
    "\n"
    "Examples:\n"
    "  attemptd doctor\n"
    "  attemptd doctor --fix --partitions 24\n"
    "  attemptd doctor --json | jq '.findings[] | select(.level == \"fail\")'\n";

static void check_settings(struct findings *findings, const struct settings *settings)
{
    size_t at = 0;
    const char *variable;
    while ((variable = settings_unknown_variable(&at)) != NULL)
        finding_add(findings, FINDING_WARN, "settings",
                    "see 'attemptd help settings' for the names; it has no effect as it is",
                    "the environment has %.*s, which is no setting", (int)strcspn(variable, "="),
                    variable);
    struct kafka_setup setup;
    struct err err;
    if (!kafka_setup_init(&setup, settings, &err)) {
        finding_add(findings, FINDING_FAIL, "settings", NULL, "%s", err.text);
        return;
    }
    if (!kafka_options_check(&setup.options, &err))
        finding_add(findings, FINDING_FAIL, "settings", NULL, "%s", err.text);
    else
        finding_add(findings, FINDING_OK, "settings", NULL, "group %s, topics %s and %s, schema %s",
                    settings->group, settings->topics[TOPIC_WRITES],
                    settings->topics[TOPIC_ACTIVITY], settings->schema);
    kafka_setup_release(&setup);
    bool open = settings->http_on && strncmp(settings->http_host, "127.", 4) != 0 &&
                strcmp(settings->http_host, "::1") != 0 &&
                strcmp(settings->http_host, "localhost") != 0;
    if (open)
        finding_add(findings, FINDING_WARN, "settings",
                    "make sure that only monitoring reaches it: it has no login",
                    "HTTP listens on %s, which others may reach", settings->http_host);
}

int doctor_command(const struct settings *settings, int argc, char **argv)
{
    static const struct option options[] = { { "fix", no_argument, NULL, 'f' },
                                             { "json", no_argument, NULL, 'j' },
                                             { NULL, 0, NULL, 0 } };
    bool fix = false, json = false;
    optind = 0;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'f')
            fix = true;
        else if (option == 'j')
            json = true;
        else
            return command_usage("doctor", "there is no option '%s'", argv[optind - 1]);
    }
    if (optind < argc)
        return command_usage("doctor", "'%s' is one word too many", argv[optind]);
    struct findings findings;
    if (!findings_init(&findings))
        return document_no_memory("doctor");
    check_settings(&findings, settings);
    json_t *ledger = doctor_database(&findings, settings, fix);
    doctor_kafka(&findings, settings, ledger, fix);
    json_decref(ledger);
    int shown = EX_OK;
    if (!findings.whole)
        shown = document_no_memory("doctor");
    else if (json)
        shown = findings_print_json(&findings);
    else
        findings_print(&findings);
    int code = shown == EX_OK ? findings_exit_code(&findings) : shown;
    findings_release(&findings);
    return code;
}
