/*
 * The command table: complete, and wrong words get useful answers.
 */
#include "worker/commands/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/nearest.h"

static void test_command_table_is_complete(void **state)
{
    (void)state;
    for (const struct command *c = command_table; c->name != NULL; c++) {
        assert_ptr_equal(command_find(c->name), c);
        assert_non_null(c->synopsis);
        assert_non_null(c->summary);
        assert_non_null(c->help);
        assert_non_null(c->run);
        if (strstr(c->help, "Examples:") == NULL)
            fail_msg("the help of %s has no examples", c->name);
        if (strlen(c->help) > 0 && c->help[strlen(c->help) - 1] != '\n')
            fail_msg("the help of %s does not end its last line", c->name);
        for (const char *line = c->help; line != NULL; line = strchr(line, '\n')) {
            line += *line == '\n';
            if (strcspn(line, "\n") > 100)
                fail_msg("a line of the help of %s is longer than 100", c->name);
        }
    }
}

/* Runs the program's dispatch with stdout and stderr in a file; returns what was written. */
static int run(const char *line, char *ret_text, size_t size)
{
    char words[256], *argv[16];
    int argc = 0;
    (void)snprintf(words, sizeof words, "attemptd %s", line);
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    FILE *file = tmpfile();
    assert_non_null(file);
    (void)fflush(NULL);
    int out = dup(1), error = dup(2);
    (void)dup2(fileno(file), 1);
    (void)dup2(fileno(file), 2);
    int code = command_main(argc, argv);
    (void)fflush(NULL);
    (void)dup2(out, 1);
    (void)dup2(error, 2);
    (void)close(out);
    (void)close(error);
    rewind(file);
    ret_text[fread(ret_text, 1, size - 1, file)] = '\0';
    (void)fclose(file);
    return code;
}

static void test_command_answers(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int code;
        const char *text;
    } cases[] = {
        { "", EX_USAGE, "Usage: attemptd COMMAND" },
        { "help", EX_OK, "Commands:" },
        { "--help", EX_OK, "Commands:" },
        { "--version", EX_OK, "attemptd " ATTEMPTD_VERSION },
        { "help help", EX_OK, "Examples:" },
        { "help --help", EX_OK, "" },
        { "--linger-ms wrong help --help", EX_OK, "Examples:" },
        { "help settings", EX_OK, "--linger-ms N" },
        { "help --man", EX_OK, ".TH ATTEMPTD 1" },
        { "help nothing", EX_USAGE, "there is no command 'nothing'" },
        { "hepl", EX_USAGE, "did you mean 'help'?" },
        { "xyzzyxyzzy", EX_USAGE, "Try 'attemptd help'" },
        { "--linger-ms wrong help", EX_USAGE, "ATTEMPTD_LINGER_MS cannot be 'wrong'" },
        { "--http nonsense help", EX_USAGE, "address:port or off" },
        { "--topic-prefix a/b help", EX_USAGE, "ATTEMPTD_TOPIC_PREFIX" },
        { "--schema 1a help", EX_USAGE, "ATTEMPTD_SCHEMA" },
        { "--config /nowhere/at/all help", EX_CONFIG, "/nowhere/at/all" },
        { "--print-config --database-url postgresql://u:hunter2@h/d", EX_OK, "//u:***@h/d" },
    };
    static char text[65536];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int code = run(cases[i].line, text, sizeof text);
        if (code != cases[i].code || strstr(text, cases[i].text) == NULL)
            fail_msg("attemptd %s: code %d, text: %s", cases[i].line, code, text);
    }
}

static const char *nearest(const char *typed)
{
    struct nearest n = { .typed = typed };
    static const char *const words[] = { "run", "refresh", "migrate", "status", "simulate" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        nearest_offer(&n, words[i]);
    return n.word;
}

static void test_nearest(void **state)
{
    (void)state;
    assert_string_equal(nearest("rnu") == NULL ? "none" : nearest("rnu"), "none");
    assert_string_equal(nearest("rum"), "run");
    assert_string_equal(nearest("refesh"), "refresh");
    assert_string_equal(nearest("migrations"), "migrate");
    assert_string_equal(nearest("sim"), "simulate");
    assert_null(nearest("zebra"));
    assert_null(nearest("a-very-long-word-that-nobody-would-ever-type-in-earnest"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_table_is_complete),
        cmocka_unit_test(test_command_answers),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
