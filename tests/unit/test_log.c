#include "common/log.h"

#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int64_t fixed_wall_us(void *self)
{
    (void)self;
    return 1772355600123456; /* 2026-03-01T09:00:00.123456Z */
}

static struct log make(enum log_form form)
{
    return (struct log){ .form = form, .clock = { .wall_us = fixed_wall_us } };
}

static const char *format(const struct log *log, const char *message,
                          const struct log_field *fields)
{
    static char line[LOG_LINE_MAX + 1];
    line[log_format(log, LEVEL_WARN, message, fields, line)] = '\0';
    return line;
}

static void test_log_human_line(void **state)
{
    (void)state;
    struct log log = make(LOG_FORM_HUMAN);
    assert_string_equal(format(&log, "it rains",
                               FIELDS(FIELD_INT("n", -5), FIELD_TEXT("a", "b"),
                                      FIELD_TEXT("gone", NULL), FIELD_TEXT("c", "d e"))),
                        "2026-03-01T09:00:00.123Z warn  it rains n=-5 a=b c=\"d e\"\n");
}

static void test_log_json_line(void **state)
{
    (void)state;
    struct log log = make(LOG_FORM_JSON);
    log.context = FIELDS(FIELD_INT("worker", 1));
    assert_string_equal(format(&log, "it \"rains\"", NULL),
                        "{\"time\":\"2026-03-01T09:00:00.123Z\",\"level\":\"warn\","
                        "\"message\":\"it \\\"rains\\\"\",\"worker\":1}\n");
}

static void test_log_cannot_be_forged(void **state)
{
    (void)state;
    const char *evil = "a\n2026 error all is lost\x1b[2J\xff\xed\xa0\x80";
    for (int form = LOG_FORM_HUMAN; form <= LOG_FORM_JSON; form++) {
        struct log log = make((enum log_form)form);
        const char *line = format(&log, evil, FIELDS(FIELD_TEXT("k", evil)));
        assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
        assert_null(strchr(line, '\x1b'));
        assert_null(strchr(line, '\xff'));
    }
}

static void test_log_long_lines_stay_json(void **state)
{
    (void)state;
    char text[6000];
    memset(text, '\x01', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct log log = make(LOG_FORM_JSON);
    const char *line = format(&log, "m", FIELDS(FIELD_TEXT("a", text), FIELD_INT("b", 7)));
    assert_true(strlen(line) <= LOG_LINE_MAX);
    json_t *json = json_loads(line, 0, NULL);
    assert_non_null(json);
    assert_null(json_object_get(json, "a"));
    assert_int_equal(json_integer_value(json_object_get(json, "b")), 7);
    json_decref(json);
}

static void test_log_words(void **state)
{
    (void)state;
    struct log log;
    struct log_sink sink;
    log_sink_init(&sink, 2);
    log_init(&log, &sink, "json", "error");
    assert_int_equal(log.form, LOG_FORM_JSON);
    assert_int_equal(log.level, LEVEL_ERROR);
    log_init(&log, &sink, "human", NULL);
    assert_int_equal(log.form, LOG_FORM_HUMAN);
    assert_int_equal(log.level, LEVEL_INFO);
    log_sink_release(&sink);
}

/* Reads what there is; returns how many lines that was, and how many of them tell of lost ones. */
static unsigned read_lines(int fd, unsigned *ret_tell)
{
    static char text[4 << 20];
    unsigned lines = 0;
    size_t len = 0;
    for (ssize_t got; (got = read(fd, text + len, sizeof text - 1 - len)) > 0;)
        len += (size_t)got;
    text[len] = '\0';
    *ret_tell = 0;
    for (char *at = text, *end; (end = strchr(at, '\n')) != NULL; at = end + 1, lines++) {
        *end = '\0';
        assert_true(strncmp(at, "2026-03-01T", 11) == 0);
        *ret_tell += strstr(at, "lines are missing here: nobody read the log lines=") != NULL;
    }
    return lines;
}

/* Nobody reads: a log of 10,000 lines goes on, and afterwards says how many are missing. */
static void check_stuck_reader(int reader, int writer)
{
    (void)alarm(30); /* a log that waits would wait for ever */
    struct log_sink sink;
    log_sink_init(&sink, writer);
    struct log log = make(LOG_FORM_HUMAN);
    log.sink = &sink;
    struct clock clock = clock_system();
    int64_t begun_ms = clock_monotonic_ms(&clock);
    for (int i = 0; i < 10000; i++)
        log_line(&log, LEVEL_WARN, "it rains", FIELDS(FIELD_TEXT("text", "and it goes on so")));
    assert_in_range(clock_monotonic_ms(&clock) - begun_ms, 0, 5000);
    assert_true(sink.lost > 0);
    uint64_t lost = sink.lost;
    assert_int_equal(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
    unsigned tell;
    assert_int_equal(read_lines(reader, &tell), 10000 - lost);
    assert_int_equal(tell, 0);
    log_line(&log, LEVEL_WARN, "the sun shines", NULL);
    assert_int_equal(read_lines(reader, &tell), 2);
    assert_int_equal(tell, 1);
    assert_int_equal(sink.lost, 0);
    /* Whoever shares the writing end still has it as it was. */
    assert_int_equal(fcntl(writer, F_GETFL) & O_NONBLOCK, 0);
    log_sink_release(&sink);
    (void)close(reader);
    (void)close(writer);
    (void)alarm(0);
}

static void test_log_never_waits_for_its_reader(void **state)
{
    (void)state;
    int pair[2];
    assert_int_equal(pipe(pair), 0);
    check_stuck_reader(pair[0], pair[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    check_stuck_reader(pair[0], pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_human_line),
        cmocka_unit_test(test_log_json_line),
        cmocka_unit_test(test_log_cannot_be_forged),
        cmocka_unit_test(test_log_long_lines_stay_json),
        cmocka_unit_test(test_log_words),
        cmocka_unit_test(test_log_never_waits_for_its_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
