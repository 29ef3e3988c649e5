/*
 * The commands of the program: one table, from which the dispatch, the help and the man page come.
 *
 * A command is a function that gets the settings and what is left of argv after the settings'
 * flags were taken out (argv[0] is the command's name, so that getopt_long() works as usual), and
 * returns an exit code of sysexits.h. To add one: write NAME_command() and NAME_help in its own
 * file, declare both below, add a line to the table in table.c.
 */
#ifndef WORKER_COMMANDS_COMMAND_H
#define WORKER_COMMANDS_COMMAND_H

#include "common/err.h"
#include "worker/settings.h"

struct command {
    const char *name;
    const char *synopsis; /* what follows the name, "[--json] [VIEW...]" */
    const char *summary;  /* one line, for the overview */
    const char *help;     /* what it does, its options, examples; see text layout in run.c */
    unsigned settings;    /* which settings it looks at: bits of enum settings_group */
    int (*run)(const struct settings *settings, int argc, char **argv);
};

/* In the order of the overview; a NULL name ends it. */
extern const struct command command_table[];

const struct command *command_find(const char *name);

/* Help: everything, or one command, or the man page of all. */
void command_print_overview(FILE *to);
void command_print_help(const struct command *command, FILE *to);
void command_print_man(FILE *to);

/* The whole program after argv was received: finds the command and runs it. The exit code. */
int command_main(int argc, char **argv);

/* ----------------------------------------------------------------- what all commands share */

/* Says what is wrong with the words on the command line and where help is. Returns EX_USAGE. */
int command_usage(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A word of 1 to 18 digits, and nothing else. */
bool command_is_number(const char *word);

/* Prints `attemptd NAME: text` on stderr. Returns the exit code that fits the error. */
int command_fail(const char *name, const struct err *err);

/* EX_UNAVAILABLE for what heals by itself, EX_CONFIG for what somebody must mend, ... */
int command_exit_code(const struct err *err);

int help_command(const struct settings *settings, int argc, char **argv);
extern const char help_help[];

#endif
