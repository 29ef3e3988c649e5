/*
 * Dead letters: the exact bytes come back, and nothing of them reaches a terminal unescaped.
 */
#include "worker/commands/escape.h"
#include "worker/commands/letter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void expect_escaped(void (*escape)(struct buf *, struct bytes), struct bytes bytes,
                           const char *expected)
{
    struct buf out;
    buf_init(&out, 4096);
    escape(&out, bytes);
    buf_put_char(&out, '\0');
    assert_false(out.failed);
    assert_string_equal(out.ptr, expected);
    buf_release(&out);
}

static void test_escape_bytes(void **state)
{
    (void)state;
    expect_escaped(escape_bytes, BYTES("{\"q\":\"A b\"}~"), "{\"q\":\"A b\"}~");
    expect_escaped(escape_bytes, BYTES("\x1b[2J\x7f\0\xff"), "\\x1b[2J\\x7f\\x00\\xff");
    expect_escaped(escape_bytes, BYTES("a\\x41\r\n\tb"), "a\\\\x41\\r\\n\\tb");
    expect_escaped(escape_bytes, BYTES("\xc3\xbc"), "\\xc3\\xbc");
    expect_escaped(escape_bytes, BYTES_NONE, "");
}

static void test_escape_json(void **state)
{
    (void)state;
    expect_escaped(escape_json, BYTES("{\n  \"q\": 1.50}"), "{\n  \"q\": 1.50}");
    expect_escaped(escape_json, BYTES("\"\xc3\xbc\xc2\x9b\xe2\x80\xae\""),
                   "\"\\u00fc\\u009b\\u202e\"");
    expect_escaped(escape_json, BYTES("\"\xf0\x9f\x98\x80\""), "\"\\ud83d\\ude00\"");
}

static void test_letter_keeps_the_bytes(void **state)
{
    (void)state;
    struct letter letter;
    struct err err;
    assert_true(letter_read(
        &letter,
        BYTES("{\"id\":7,\"state\":\"open\",\"topic\":\"attempt.writes\",\"partition\":3,"
              "\"record_offset\":12,\"key_base64\":\"AP8=\",\"value_base64\":\"\","
              "\"headers\":[[\"a\",\"eA==\"],[\"a\",null],[\"\",\"\"]]}"),
        &err));
    assert_int_equal(letter.id, 7);
    assert_string_equal(letter.topic, "attempt.writes");
    assert_false(letter.erased);
    assert_int_equal(letter.record.tp.partition, 3);
    assert_int_equal(letter.record.offset, 12);
    assert_true(bytes_equal(letter.record.key, BYTES("\0\xff")));
    assert_true(bytes_present(letter.record.value)); /* empty, not null */
    assert_int_equal(letter.record.value.len, 0);
    assert_int_equal(letter.record.header_count, 3);
    assert_true(bytes_equal(letter.record.headers[0].value, BYTES("x")));
    assert_false(bytes_present(letter.record.headers[1].value));
    assert_true(bytes_present(letter.record.headers[2].value));
    assert_int_equal(letter.record.headers[2].name.len, 0);
    letter_release(&letter);
}

static void test_letter_without_bytes(void **state)
{
    (void)state;
    struct letter letter;
    struct err err;
    assert_true(letter_read(&letter,
                            BYTES("{\"id\":8,\"state\":\"erased\",\"key_base64\":null,"
                                  "\"value_base64\":null,\"headers\":[]}"),
                            &err));
    assert_true(letter.erased);
    assert_false(bytes_present(letter.record.key));
    assert_false(bytes_present(letter.record.value));
    letter_release(&letter);
}

static void test_letter_that_is_none(void **state)
{
    (void)state;
    struct letter letter;
    struct err err;
    assert_false(letter_read(&letter, BYTES("nonsense"), &err));
    assert_false(letter_read(&letter, BYTES("{\"id\":9,\"value_base64\":\"!\"}"), &err));
    assert_non_null(strstr(err.text, "letter 9"));
    assert_false(letter_read(&letter, BYTES("{\"id\":9,\"headers\":[[1]]}"), &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_escape_bytes),
                                        cmocka_unit_test(test_escape_json),
                                        cmocka_unit_test(test_letter_keeps_the_bytes),
                                        cmocka_unit_test(test_letter_without_bytes),
                                        cmocka_unit_test(test_letter_that_is_none) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
