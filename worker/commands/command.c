#include "worker/commands/command.h"
#include "common/hash.h"
#include "common/nearest.h"

#include <stdarg.h>
#include <string.h>
#include <sysexits.h>

const struct command *command_find(const char *name)
{
    for (const struct command *c = command_table; c->name != NULL; c++) {
        if (strcmp(c->name, name) == 0)
            return c;
    }
    return NULL;
}

int command_usage(const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *space = *name == '\0' ? "" : " ";
    (void)fprintf(stderr, "attemptd%s%s: ", space, name);
    (void)vfprintf(stderr, format, args);
    (void)fprintf(stderr, "\nTry 'attemptd help%s%s'.\n", space, name);
    va_end(args);
    return EX_USAGE;
}

bool command_is_number(const char *word)
{
    size_t len = strlen(word);
    return len > 0 && len <= 18 && strspn(word, "0123456789") == len;
}

int command_exit_code(const struct err *err)
{
    switch (err->action) {
    case ERR_NONE:
        return EX_OK;
    case ERR_RETRY:
    case ERR_RESOURCE:
    case ERR_LOST:
        return EX_UNAVAILABLE;
    case ERR_REJECT:
        return EX_DATAERR;
    case ERR_HALT:
        return EX_CONFIG;
    case ERR_BUG:
        break;
    }
    return EX_SOFTWARE;
}

int command_fail(const char *name, const struct err *err)
{
    (void)fprintf(stderr, "attemptd %s: %s\n", name, err->text);
    return command_exit_code(err);
}

/* --------------------------------------------------------------------------------- dispatch */

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/*
 * Help must come also when the settings are wrong, so it is looked for before they are read.
 * Returns false when nobody asked for it.
 */
static bool answer_help(int argc, char **argv)
{
    const struct command *about = NULL;
    bool asked = false;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (about == NULL)
            about = command_find(argv[i]);
        asked = asked || is_help(argv[i]);
    }
    if (asked && about != NULL)
        command_print_help(about, stdout);
    else if (asked)
        command_print_overview(stdout);
    return asked;
}

static int unknown(const char *word)
{
    struct nearest nearest = { .typed = word };
    for (const struct command *c = command_table; c->name != NULL; c++)
        nearest_offer(&nearest, c->name);
    (void)fprintf(stderr, "attemptd: there is no command '%s'", word);
    if (nearest.word != NULL)
        (void)fprintf(stderr, "; did you mean '%s'?", nearest.word);
    (void)fputs("\nTry 'attemptd help'.\n", stderr);
    return EX_USAGE;
}

/* `attemptd help ...` and `attemptd --version` need no settings either. */
static bool answer_without_settings(int argc, char **argv, int *ret_code)
{
    *ret_code = EX_OK;
    if (argc == 1) {
        command_print_overview(stderr);
        *ret_code = EX_USAGE;
        return true;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        (void)puts("attemptd " ATTEMPTD_VERSION);
        return true;
    }
    if (strcmp(argv[1], "help") == 0 && (argc < 3 || !is_help(argv[2]))) {
        *ret_code = help_command(NULL, argc - 1, argv + 1);
        return true;
    }
    return answer_help(argc, argv);
}

int command_main(int argc, char **argv)
{
    int code = EX_OK;
    if (answer_without_settings(argc, argv, &code))
        return code;
    if (!hash_init()) {
        (void)fputs("attemptd: libsodium has no randomness: is there a /dev/urandom?\n", stderr);
        return EX_OSERR;
    }
    struct err err;
    struct settings *settings = settings_load(argc, argv, &argc, &err);
    if (settings == NULL) {
        (void)fprintf(stderr, "attemptd: %s\nTry 'attemptd help settings'.\n", err.text);
        return settings_exit_code(&err);
    }
    const struct command *command = argc > 1 ? command_find(argv[1]) : NULL;
    if (settings->print_config && (argc == 1 || command != NULL))
        settings_print(settings, stdout);
    else if (argc == 1)
        code = command_usage("", "a command is needed");
    else if (command == NULL)
        code = unknown(argv[1]);
    else
        code = command->run(settings, argc - 1, argv + 1);
    settings_free(settings);
    return code;
}
