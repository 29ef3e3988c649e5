/* What an operator reads at night: what happened, where, and what to do next. */
#include "tests/unit/kept_log.h"
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
    assert_says(text, "'attemptd dlq accept dev.attempt.writes 4 77 --reason WHY'");
    text = told(
        &(struct note){ .kind = NOTE_HALTED, .tp = { TOPIC_WRITES, 4 }, .word = "data_errors" });
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

/* `schema` is also what a wrong password is called: then it is not the tables. */
static void test_a_halt_for_the_schema_says_what_is_to_be_mended(void **state)
{
    (void)state;
    static const char *const pairs[][2] = { { "28P01", "user and password in DATABASE_URL" },
                                            { "3D000", "name of the database in DATABASE_URL" },
                                            { "42501", "the GRANT that is missing" },
                                            { "schema", "'attemptd migrate status'" } };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct err err = { .text = "why it is so" };
        (void)snprintf(err.code, sizeof err.code, "%s", pairs[i][0]);
        const char *text = told(
            &(struct note){ .kind = NOTE_HALTED, .has_tp = true, .word = "schema", .err = &err });
        assert_says(text, pairs[i][1]);
        assert_says(text, "looked at again every minute");
    }
}

struct night {
    struct kept_log log;
    struct settings settings;
    struct journal_log journal;
    struct journal port;
};

static struct night *night_begin(void)
{
    struct night *night = calloc(1, sizeof *night);
    assert_non_null(night);
    kept_log_begin(&night->log);
    journal_log_init(&night->journal, &night->log.log, &night->settings);
    night->port = journal_log_port(&night->journal);
    return night;
}

static void night_end(struct night *night)
{
    kept_log_end(&night->log);
    free(night);
}

static void tell(struct night *night, enum note_kind kind, const char *word, const char *code)
{
    struct err err = { .action = ERR_LOST, .text = "why it is so" };
    (void)snprintf(err.code, sizeof err.code, "%s", code);
    night->port.note(night->port.self, &(struct note){ .kind = kind, .word = word, .err = &err });
}

static void test_an_outage_is_a_line_a_minute_and_one_at_its_end(void **state)
{
    (void)state;
    struct night *night = night_begin();
    for (int second = 0; second < 130; second++, night->log.now_ms += 1000) {
        tell(night, NOTE_RETRYING, "connect", "connect");
        tell(night, NOTE_BREAKER, "open", "connect");
    }
    assert_says(kept_log_lines(&night->log, 6), "unsaid=59");
    tell(night, NOTE_BREAKER, "closed", "");
    assert_says(kept_log_lines(&night->log, 7), "the database answers again");
    tell(night, NOTE_BREAKER, "closed", "");
    tell(night, NOTE_ANSWERS, NULL, "");
    (void)kept_log_lines(&night->log, 7);
    night_end(night);
}

/* Another outage is news; a breaker that opens and closes all the time is not. */
static void test_the_next_outage_is_told_soon_but_not_each_flutter(void **state)
{
    (void)state;
    struct night *night = night_begin();
    tell(night, NOTE_BREAKER, "open", "53100");
    assert_says(kept_log_lines(&night->log, 1), "make room on the server's disk");
    tell(night, NOTE_BREAKER, "closed", "");
    night->log.now_ms += 9000;
    tell(night, NOTE_BREAKER, "open", "53100");
    tell(night, NOTE_BREAKER, "closed", "");
    (void)kept_log_lines(&night->log, 2);
    night->log.now_ms += 1000;
    tell(night, NOTE_BREAKER, "open", "53100");
    tell(night, NOTE_BREAKER, "closed", "");
    (void)kept_log_lines(&night->log, 4);
    night_end(night);
}

static void test_what_was_tried_again_has_an_end(void **state)
{
    (void)state;
    struct night *night = night_begin();
    tell(night, NOTE_ANSWERS, NULL, "");
    (void)kept_log_lines(&night->log, 0);
    tell(night, NOTE_RETRYING, NULL, "55P03");
    assert_says(kept_log_lines(&night->log, 1), "another session holds a lock");
    tell(night, NOTE_ANSWERS, NULL, "");
    tell(night, NOTE_ANSWERS, NULL, "");
    assert_says(kept_log_lines(&night->log, 2), "carries out what was tried again");
    night_end(night);
}

static void test_kafka_is_back(void **state)
{
    (void)state;
    struct night *night = night_begin();
    struct err err = { .action = ERR_LOST, .code = "_TRANSPORT", .text = "Too many open files" };
    journal_log_trouble(&night->journal, "Kafka", &err);
    assert_says(kept_log_lines(&night->log, 1), "LimitNOFILE");
    err = (struct err){ .action = ERR_NONE, .text = "Kafka answers again" };
    journal_log_trouble(&night->journal, "Kafka", &err);
    assert_says(kept_log_lines(&night->log, 2), "info  Kafka answers again from=Kafka\n");
    night_end(night);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_halt_names_the_command_to_go_on),
        cmocka_unit_test(test_a_halt_behind_a_bad_batch_says_how_to_pass_it),
        cmocka_unit_test(test_a_halt_for_bad_records_says_how_to_give_them_up),
        cmocka_unit_test(test_a_halt_for_the_schema_says_what_is_to_be_mended),
        cmocka_unit_test(test_an_outage_is_a_line_a_minute_and_one_at_its_end),
        cmocka_unit_test(test_the_next_outage_is_told_soon_but_not_each_flutter),
        cmocka_unit_test(test_what_was_tried_again_has_an_end),
        cmocka_unit_test(test_kafka_is_back),
        cmocka_unit_test(test_halts_that_heal_say_so),
        cmocka_unit_test(test_an_unknown_commit_says_what_became_of_it),
        cmocka_unit_test(test_the_database_is_in_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
