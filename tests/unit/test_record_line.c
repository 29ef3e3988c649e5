/* Records as lines: there and back again, and what is refused. */
#include "worker/commands/record_line.h"
#include "worker/simulate/exam.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ATTEMPT "0aa8f6a4-6b4e-4b7e-9b1c-1d2f3a4b5c6d"

static int make_line(void **state)
{
    static struct record_line line;
    record_line_init(&line);
    *state = &line;
    return 0;
}

static int drop_line(void **state)
{
    record_line_release(*state);
    return 0;
}

static void assert_bytes(struct bytes got, const char *expected)
{
    if (expected == NULL) {
        assert_false(bytes_present(got));
        return;
    }
    assert_true(bytes_present(got));
    assert_int_equal(got.len, strlen(expected));
    assert_memory_equal(got.ptr, expected, got.len);
}

static const struct record *read_line(void **state, const char *text, enum wrap_form form)
{
    struct record_line *line = *state;
    struct err err = { 0 };
    if (!record_line_read(line, bytes_of(text), form, "dev.", &err)) {
        print_error("%s\n", err.text);
        fail();
    }
    return &line->record;
}

static void test_a_bare_event(void **state)
{
    const char *text =
        "{\"type\":\"attempt.saved.v1\",\"id\":\"x\",\"data\":{\"attempt_id\":\"" ATTEMPT
        "\",\"n\":1.00}}";
    const struct record *record = read_line(state, text, WRAP_BARE);
    assert_int_equal(record->tp.topic, TOPIC_WRITES);
    assert_int_equal(record->tp.partition, -1);
    assert_bytes(record->key, ATTEMPT);
    assert_bytes(record->value, text);
    assert_int_equal(record->header_count, 0);
    record = read_line(state, text, WRAP_BINARY);
    assert_bytes(record->value, "{\"attempt_id\":\"" ATTEMPT "\",\"n\":1.00}");
    assert_int_equal(record->header_count, 5);
    record = read_line(state, text, WRAP_STRUCTURED);
    assert_int_equal(record->header_count, 1);
}

static void test_an_id_is_made(void **state)
{
    const struct record *record =
        read_line(state, "{\"type\":\"attempt.activity.v1\",\"data\":{}}", WRAP_BINARY);
    struct uuid id;
    assert_int_equal(record->tp.topic, TOPIC_ACTIVITY);
    assert_false(bytes_present(record->key));
    assert_true(uuid_parse(record->headers[1].value, &id));
}

static void test_a_record_by_hand(void **state)
{
    const struct record *record =
        read_line(state,
                  "{\"topic\":\"dev.view.refresh\",\"key\":null,\"partition\":3,\"headers\":"
                  "{\"a\":\"1\",\"b\":null},\"value\":null}",
                  WRAP_BARE);
    assert_int_equal(record->tp.topic, TOPIC_REFRESH);
    assert_int_equal(record->tp.partition, 3);
    assert_bytes(record->key, NULL);
    assert_bytes(record->value, NULL);
    assert_int_equal(record->header_count, 2);
    assert_bytes(record->headers[0].value, "1");
    assert_bytes(record->headers[1].value, NULL);
    record =
        read_line(state, "{\"topic\":\"attempt.writes\",\"value_base64\":\"/w==\"}", WRAP_BARE);
    assert_bytes(record->value, "\xff");
}

/* Found by the fuzzer: the names of an object's members may be written with escapes. */
static void test_headers_as_an_object(void **state)
{
    const struct record *record =
        read_line(state,
                  "{\"topic\":\"attempt.writes\",\"headers\":{\"a\":\"1\",\"\\u0062\\n\":null},"
                  "\"value\":\"\"}",
                  WRAP_BARE);
    assert_int_equal(record->header_count, 2);
    assert_bytes(record->headers[0].name, "a");
    assert_bytes(record->headers[0].value, "1");
    assert_bytes(record->headers[1].name, "b\n");
    assert_bytes(record->headers[1].value, NULL);
    assert_bytes(record->value, "");
}

static void test_refusals(void **state)
{
    static const char *const lines[] = {
        "",
        "hello",
        "[]",
        "{}",
        "{\"type\":7,\"data\":{}}",
        "{\"type\":\"attempt.saved.v1\"}",
        "{\"topic\":\"elsewhere\",\"value\":\"x\"}",
        "{\"topic\":\"attempt.writes\",\"partition\":-1,\"value\":1}",
        "{\"topic\":\"attempt.writes\",\"headers\":[7],\"value\":1}",
        "{\"topic\":\"attempt.writes\",\"value_base64\":\"?\"}"
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct err err = { 0 };
        assert_false(record_line_read(*state, bytes_of(lines[i]), WRAP_BARE, "", &err));
        assert_int_equal(err.action, ERR_REJECT);
    }
}

static void assert_same_bytes(struct bytes a, struct bytes b)
{
    assert_int_equal(bytes_present(a), bytes_present(b));
    assert_true(bytes_equal(a, b));
}

static void test_there_and_back(void **state)
{
    struct exam_options options = exam_options_default();
    options.students = 20;
    options.poison = 0.3;
    struct exam *exam = exam_new(&options);
    struct buf text;
    buf_init(&text, 1 << 20);
    struct exam_record made;
    while (exam_next(exam, &made)) {
        buf_clear(&text);
        record_line_put(&made.record, &text);
        struct record_line *line = *state;
        struct err err;
        assert_true(record_line_read(line, buf_bytes(&text), WRAP_BARE, "", &err));
        assert_int_equal(line->record.tp.topic, made.record.tp.topic);
        assert_same_bytes(line->record.key, made.record.key);
        assert_same_bytes(line->record.value, made.record.value);
        assert_int_equal(line->record.header_count, made.record.header_count);
        for (size_t i = 0; i < made.record.header_count; i++) {
            assert_same_bytes(line->record.headers[i].name, made.record.headers[i].name);
            assert_same_bytes(line->record.headers[i].value, made.record.headers[i].value);
        }
    }
    buf_release(&text);
    exam_free(exam);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_line, drop_line)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_bare_event), TEST(test_an_id_is_made),        TEST(test_a_record_by_hand),
        TEST(test_refusals),     TEST(test_headers_as_an_object), TEST(test_there_and_back),
    };
    return cmocka_run_group_tests_name("record_line", tests, NULL, NULL);
}
