/* What an operator reads at night: what happened, where, and what to do next. */
#include "worker/commands/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static char line[LOG_LINE_MAX + 1];

/* The one line that a note becomes. */
static const char *told(const struct note *note)
{
    struct log log;
    struct log_sink sink;
    struct journal_log journal;
    struct settings *settings = calloc(1, sizeof *settings);
    assert_non_null(settings);
    (void)snprintf(settings->topics[TOPIC_WRITES], sizeof settings->topics[0],
                   "dev.attempt.writes");
    int file = memfd_create("log", 0);
    assert_true(file >= 0);
    log_sink_init(&sink, file);
    log_init(&log, &sink, "json", "info");
    journal_log_init(&journal, &log, settings);
    struct journal port = journal_log_port(&journal);
    port.note(port.self, note);
    ssize_t len = pread(file, line, LOG_LINE_MAX, 0);
    assert_true(len > 0);
    line[len] = '\0';
    log_sink_release(&sink);
    (void)close(file);
    free(settings);
    return line;
}

static void assert_says(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in %s", part, text);
}

static void test_a_halt_names_the_command_to_go_on(void **state)
{
    (void)state;
    static const char *const reasons[] = { "log_start", "log_end", "anchor", "ledger_missing",
                                           "ledger_behind" };
    struct err err = { .text = "why it is so" };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        const char *text = told(&(struct note){ .kind = NOTE_HALTED,
                                                .has_tp = true,
                                                .tp = { TOPIC_WRITES, 4 },
                                                .word = reasons[i],
                                                .err = &err });
        char halt[128];
        (void)snprintf(halt, sizeof halt, "halt topic=dev.attempt.writes partition=4 reason=%s",
                       reasons[i]);
        assert_says(text, halt);
        assert_says(text, "why it is so");
        assert_says(text, "'attemptd accept-gap dev.attempt.writes 4 --reason WHY'");
    }
}

static void test_a_halt_behind_a_bad_batch_says_how_to_pass_it(void **state)
{
    (void)state;
    const char *text =
        told(&(struct note){ .kind = NOTE_HALTED, .tp = { TOPIC_WRITES, 4 }, .word = "corrupt" });
    assert_says(text, "'attemptd accept-gap dev.attempt.writes 4 --reason WHY --skip-to OFFSET'");
}

static void test_a_halt_for_bad_records_says_how_to_give_them_up(void **state)
{
    (void)state;
    struct err err = { .code = "23514", .text = "record at offset 77: constraint x" };
    const char *text = told(&(struct note){
        .kind = NOTE_HALTED, .tp = { TOPIC_WRITES, 4 }, .word = "data_errors", .err = &err });
    assert_says(text, "record at offset 77");
    assert_says(text, "'attemptd dlq accept dev.attempt.writes 4 OFFSET --reason WHY'");
}

static void test_halts_that_heal_say_so(void **state)
{
    (void)state;
    static const char *const reasons[] = { "data_errors", "schema" };
    for (size_t i = 0; i < 2; i++)
        assert_says(told(&(struct note){ .kind = NOTE_HALTED, .word = reasons[i] }),
                    "looked at again every minute");
}

static void test_an_unknown_commit_says_what_became_of_it(void **state)
{
    (void)state;
    static const char *const words[][2] = { { "committed", "it was done" },
                                            { "lost", "it was not done, and is repeated" },
                                            { "fenced", "another worker has the partitions" } };
    for (size_t i = 0; i < 3; i++) {
        const char *text = told(&(struct note){ .kind = NOTE_RESOLVED, .word = words[i][0] });
        assert_says(text, "the connection broke during a commit");
        assert_says(text, words[i][1]);
    }
}

static void test_the_database_is_in_trouble(void **state)
{
    (void)state;
    struct err err = { .code = "23514", .text = "constraint attempts_small" };
    const char *text = told(&(struct note){ .kind = NOTE_BREAKER, .word = "open", .err = &err });
    assert_says(text, "circuit breaker open");
    assert_says(text, "'attemptd doctor'");
    text = told(&(struct note){ .kind = NOTE_ISOLATED,
                                .has_tp = true,
                                .tp = { TOPIC_WRITES, 2 },
                                .number = 77,
                                .err = &err });
    assert_says(text, "\"topic\":\"dev.attempt.writes\",\"partition\":2,\"offset\":77");
    assert_says(text, "constraint attempts_small");
    assert_says(text, "'attemptd dlq list --reason constraint'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_halt_names_the_command_to_go_on),
        cmocka_unit_test(test_a_halt_behind_a_bad_batch_says_how_to_pass_it),
        cmocka_unit_test(test_a_halt_for_bad_records_says_how_to_give_them_up),
        cmocka_unit_test(test_halts_that_heal_say_so),
        cmocka_unit_test(test_an_unknown_commit_says_what_became_of_it),
        cmocka_unit_test(test_the_database_is_in_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
