#include "worker/commands/command.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

const char help_help[] =
    "Explains a command with its options, examples and exit codes; `settings` lists every\n"
    "setting; --man writes the manual page (attemptd help --man >attemptd.1).\n"
    "\n"
    "Examples:\n"
    "  attemptd help run\n"
    "  attemptd help settings\n"
    "  attemptd help --man | man -l -\n";

static const char exit_codes[] =
    "Exit codes:\n"
    "  0   done\n"
    "  1   audit: the proof failed\n"
    "  64  wrong words on the command line\n"
    "  65  the data stands in the way (a halted partition, a file that is no JSON lines)\n"
    "  69  Kafka or PostgreSQL is not available\n"
    "  70  a bug: please report it\n"
    "  71, 74  the system refused memory, a process, a read or a write\n"
    "  78  wrong settings, schema or privileges: somebody has to mend them\n";

static const char settings_text[] =
    "Flags beat the environment, which beats the file (--config FILE, `key = value` lines, where\n"
    "the key is the flag's words: `linger_ms = 200`, `kafka.socket.timeout.ms = 10000`). The\n"
    "variable of --linger-ms is ATTEMPTD_LINGER_MS; DATABASE_URL, DATABASE_REPLICA_URL and\n"
    "KAFKA_... have their own. Secrets may stand in a file of their own: KAFKA_SASL_PASSWORD_FILE,\n"
    "DATABASE_URL_FILE. `attemptd run --print-config` shows what is in force and why.\n";

void command_print_overview(FILE *to)
{
    (void)fputs("attemptd: Kafka to PostgreSQL, exactly once, for exam platforms\n\n"
                "Usage: attemptd COMMAND [OPTIONS]\n\nCommands:\n",
                to);
    for (const struct command *c = command_table; c->name != NULL; c++)
        (void)fprintf(to, "  %-10s %s\n", c->name, c->summary);
    (void)fputs("\n'attemptd help COMMAND' explains one, 'attemptd help settings' every setting.\n",
                to);
}

void command_print_help(const struct command *command, FILE *to)
{
    (void)fprintf(to, "attemptd %s: %s\n\nUsage: attemptd %s %s\n\n%s\n", command->name,
                  command->summary, command->name, command->synopsis, command->help);
    (void)fputs("Settings (each also in the environment and in a file: attemptd help settings):\n",
                to);
    settings_print_help(command->settings, to);
    (void)fprintf(to, "\n%s", exit_codes);
}

static void print_settings_help(FILE *to)
{
    (void)fprintf(to, "%s\n", settings_text);
    settings_print_help(~0u, to);
}

/* ------------------------------------------------------------------------------------- man */

/* Help text as it stands: no filling, and nothing in it may be taken for a request of roff. */
static void print_verbatim(const char *text, FILE *to)
{
    bool line_start = true;
    (void)fputs(".nf\n", to);
    for (; *text != '\0'; text++) {
        if (line_start && (*text == '.' || *text == '\''))
            (void)fputs("\\&", to);
        if (*text == '\\')
            (void)fputs("\\e", to);
        else if (*text == '-')
            (void)fputs("\\-", to);
        else
            (void)fputc(*text, to);
        line_start = *text == '\n';
    }
    (void)fputs(line_start ? ".fi\n" : "\n.fi\n", to);
}

static void print_settings_verbatim(FILE *to)
{
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL)
        return;
    print_settings_help(memory);
    if (fclose(memory) == 0)
        print_verbatim(text, to);
    free(text);
}

void command_print_man(FILE *to)
{
    (void)fputs(".TH ATTEMPTD 1 \"\" \"attemptd " ATTEMPTD_VERSION "\" \"User Commands\"\n"
                ".SH NAME\nattemptd \\- Kafka to PostgreSQL, exactly once, for exam platforms\n"
                ".SH SYNOPSIS\n.B attemptd\n.I COMMAND\n[\\fIOPTIONS\\fR]\n"
                ".SH DESCRIPTION\n"
                "Folds the many saves of one exam attempt into one row write, commits whole\n"
                "batches to PostgreSQL exactly once, keeps the statistics views fresh, and tells\n"
                "every cache what changed.\n.SH COMMANDS\n",
                to);
    for (const struct command *c = command_table; c->name != NULL; c++) {
        (void)fprintf(to, ".SS %s\n", c->name);
        char usage[512];
        (void)snprintf(usage, sizeof usage, "attemptd %s %s\n\n", c->name, c->synopsis);
        print_verbatim(usage, to);
        print_verbatim(c->help, to);
    }
    (void)fputs(".SH SETTINGS\n", to);
    print_settings_verbatim(to);
    (void)fputs(".SH EXIT STATUS\n", to);
    print_verbatim(exit_codes, to);
}

int help_command(const struct settings *settings, int argc, char **argv)
{
    (void)settings;
    if (argc == 1) {
        command_print_overview(stdout);
        return EX_OK;
    }
    if (strcmp(argv[1], "--man") == 0) {
        command_print_man(stdout);
        return EX_OK;
    }
    if (strcmp(argv[1], "settings") == 0) {
        print_settings_help(stdout);
        return EX_OK;
    }
    const struct command *command = command_find(argv[1]);
    if (command == NULL)
        return command_usage("", "there is no command '%s'", argv[1]);
    command_print_help(command, stdout);
    return EX_OK;
}
