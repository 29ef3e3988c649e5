#include "common/log.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static int64_t fixed_wall_us(void *self)
{
    (void)self;
    return 1772355600123456; /* 2026-03-01T09:00:00.123456Z */
}

static struct log make(enum log_form form)
{
    return (struct log){ .fd = 2, .form = form, .clock = { .wall_us = fixed_wall_us } };
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
    log_init(&log, 2, "json", "error");
    assert_int_equal(log.form, LOG_FORM_JSON);
    assert_int_equal(log.level, LEVEL_ERROR);
    log_init(&log, 2, "human", NULL);
    assert_int_equal(log.form, LOG_FORM_HUMAN);
    assert_int_equal(log.level, LEVEL_INFO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_human_line),
        cmocka_unit_test(test_log_json_line),
        cmocka_unit_test(test_log_cannot_be_forged),
        cmocka_unit_test(test_log_long_lines_stay_json),
        cmocka_unit_test(test_log_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
