/*
 * The strict scanner and the walker: alone, and against jansson on generated and mutated texts.
 */
#include "common/hash.h"
#include "common/json.h"
#include "common/rng.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct json_rules rules = { .depth_max = 32,
                                         .digits_max = 1000,
                                         .exponent_max = 1000 };

/* On the heap and exact, so that a sanitizer sees a read beyond the end. */
static enum json_fault check(struct bytes text)
{
    char *exact = malloc(text.len + 1);
    assert_non_null(exact);
    memcpy(exact, text.ptr, text.len);
    char *fitting = realloc(exact, text.len == 0 ? 1 : text.len);
    enum json_fault fault = json_check((struct bytes){ fitting, text.len }, &rules, NULL);
    free(fitting);
    return fault;
}

static void test_json_check_faults(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum json_fault fault;
    } cases[] = {
        { "{}", JSON_SOUND },
        { " [1, -0, 1.5e+3, \"\\u00e9\\ud83d\\ude00\", true, false, null, {}] ", JSON_SOUND },
        { "", JSON_SYNTAX },
        { "[1,]", JSON_SYNTAX },
        { "[01]", JSON_SYNTAX },
        { "\"\\u0000\"", JSON_SYNTAX },
        { "\"\\ud800\"", JSON_SYNTAX },
        { "\"\x7f\"", JSON_SOUND },
        { "\"\x1f\"", JSON_SYNTAX },
        { "\"\xc3\xa9\"", JSON_SOUND },
        { "\"\xc0\x80\"", JSON_UTF8 },
        { "[1,] \xff", JSON_UTF8 },
        { "{\"a\":1,\"\\u0061\":2}", JSON_DUPLICATE_KEY },
        { "{\"a\":1,\"A\":2}", JSON_SOUND },
        { "1e1000", JSON_SOUND },
        { "1e1001", JSON_NUMBER },
        { "1e-0000000001000", JSON_SOUND },
        { "[1]x", JSON_SYNTAX },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(check(bytes_of(cases[i].text)), cases[i].fault);
}

static void test_json_check_says_where(void **state)
{
    (void)state;
    size_t at = 99;
    assert_int_equal(json_check(BYTES("{\"a\":1,\"a\":2}"), &rules, &at), JSON_DUPLICATE_KEY);
    assert_int_equal(at, 8);
    assert_int_equal(json_check(BYTES("[1,2"), &rules, &at), JSON_SYNTAX);
    assert_int_equal(at, 4);
}

/* A string of each length with a special byte at each place: the blocks and their edges. */
static void test_json_check_strings_of_each_length(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        enum json_fault fault;
    } specials[] = {
        { "x", JSON_SOUND },      { "\\n", JSON_SOUND }, { "\xe2\x82\xac", JSON_SOUND },
        { "\x01", JSON_SYNTAX },  { "\xff", JSON_UTF8 }, { "\\x", JSON_SYNTAX },
        { "\\u12", JSON_SYNTAX }, { "\"", JSON_SYNTAX }
    };
    for (size_t len = 0; len < 70; len++) {
        for (size_t at = 0; at <= len; at++) {
            for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++) {
                char text[128] = "\"";
                memset(text + 1, 'k', len);
                memcpy(text + 1 + at, specials[i].bytes, strlen(specials[i].bytes) + 1);
                size_t used = strlen(text);
                memset(text + used, 'k', len - at);
                text[used + len - at] = '"';
                text[used + len - at + 1] = '\0';
                assert_int_equal(check(bytes_of(text)), specials[i].fault);
            }
        }
    }
}

static size_t put_keys(struct buf *buf, size_t count, size_t twice)
{
    buf_clear(buf);
    for (size_t i = 0; i < count; i++)
        buf_printf(buf, "%c\"%s%zu\":0", i == 0 ? '{' : ',', i % 7 == 0 ? "\\u006b" : "k",
                   i + 1 == count ? twice : i);
    buf_put_char(buf, '}');
    return buf->len;
}

static void test_json_check_keys_near_and_far(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 64 << 20);
    for (size_t count = 2; count < 300; count++) {
        (void)put_keys(&buf, count, count - 1);
        assert_int_equal(check(buf_bytes(&buf)), JSON_SOUND);
        (void)put_keys(&buf, count, count / 2 == count - 1 ? 0 : count / 2);
        assert_int_equal(check(buf_bytes(&buf)), JSON_DUPLICATE_KEY);
    }
    (void)put_keys(&buf, 200000, 199999);
    assert_int_equal(check(buf_bytes(&buf)), JSON_SOUND);
    (void)put_keys(&buf, 200000, 5);
    assert_int_equal(check(buf_bytes(&buf)), JSON_DUPLICATE_KEY);
    buf_release(&buf);
}

/* Objects within objects, each too large for the stack, with the same keys. */
static void test_json_check_keys_of_nested_objects(void **state)
{
    (void)state;
    struct buf buf;
    struct buf inner;
    buf_init(&buf, 1 << 20);
    buf_init(&inner, 1 << 20);
    (void)put_keys(&inner, 100, 99);
    for (unsigned depth = 0; depth < 4; depth++) {
        (void)put_keys(&buf, 100, 99);
        buf.len--;
        buf_put(&buf, BYTES(",\"in\":"));
        buf_put(&buf, buf_bytes(&inner));
        buf_put(&buf, BYTES(",\"last\":1}"));
        buf_clear(&inner);
        buf_put(&inner, buf_bytes(&buf));
    }
    assert_int_equal(check(buf_bytes(&inner)), JSON_SOUND);
    inner.len--;
    buf_put(&inner, BYTES(",\"k50\":1}"));
    assert_int_equal(check(buf_bytes(&inner)), JSON_DUPLICATE_KEY);
    buf_release(&buf);
    buf_release(&inner);
}

static void test_json_walk(void **state)
{
    (void)state;
    const struct bytes text = BYTES(
        " { \"a\" : [ 1 , \"]\\\"}\" , {\"x\":[[]]} ] , \"\\u0062\":\"\\\\\" ,\"c\":-1.5e3,"
        "\"d\":{\"long\":\"0123456789012345678901234567890123456789 [[[[{{{ 0123456789\"} } ");
    assert_int_equal(check(text), JSON_SOUND);
    struct json_cursor cursor = json_open(text);
    struct json_member member;
    assert_true(json_next_member(&cursor, &member));
    assert_true(json_key_is(&member, BYTES("a")));
    assert_int_equal(json_kind(member.value), JSON_KIND_ARRAY);
    struct json_cursor elements = json_open(member.value);
    struct bytes element;
    assert_true(json_next_element(&elements, &element));
    assert_true(bytes_equal(element, BYTES("1")));
    assert_true(json_next_element(&elements, &element));
    assert_true(bytes_equal(element, BYTES("\"]\\\"}\"")));
    assert_true(json_next_element(&elements, &element));
    assert_true(bytes_equal(element, BYTES("{\"x\":[[]]}")));
    assert_false(json_next_element(&elements, &element));
    assert_true(json_next_member(&cursor, &member));
    assert_true(member.key_escaped);
    assert_true(json_key_is(&member, BYTES("b")));
    assert_true(bytes_equal(member.value, BYTES("\"\\\\\"")));
    assert_true(json_next_member(&cursor, &member));
    assert_true(bytes_equal(member.value, BYTES("-1.5e3")));
    assert_true(json_next_member(&cursor, &member));
    assert_false(json_next_member(&cursor, &member));
    assert_true(bytes_equal(json_find(text, BYTES("c")), BYTES("-1.5e3")));
    assert_false(bytes_present(json_find(text, BYTES("e"))));
}

static void test_json_strings(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1024, 0);
    struct bytes text;
    assert_true(json_read_string(BYTES("\"a\\u00e9\\ud83d\\ude00\\n\\/\""), &arena, &text));
    assert_true(bytes_equal(text, BYTES("a\xc3\xa9\xf0\x9f\x98\x80\n/")));
    assert_int_equal(json_unescaped_len(BYTES("a\\u00e9\\ud83d\\ude00\\n\\/")), text.len);
    struct buf buf;
    buf_init(&buf, 1024);
    json_put_string(&buf, BYTES("a\"\\/\b\f\n\r\t\x01\x1f\x7f\xc3\xa9\xff\xe2\x82"));
    assert_true(
        bytes_equal(buf_bytes(&buf), BYTES("\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa9"
                                           "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"")));
    buf_release(&buf);
    arena_release(&arena);
}

/* ------------------------------------------------------------------------ against jansson */

static void put_random(struct buf *buf, struct rng *rng, unsigned depth);

static void put_random_string(struct buf *buf, struct rng *rng)
{
    static const char *const pieces[] = { "a",
                                          "bc",
                                          "q1",
                                          "\\n",
                                          "\\u00e9",
                                          "\\\\",
                                          "\\\"",
                                          "\xc3\xa9",
                                          "\xf0\x9f\x98\x80",
                                          " ",
                                          "{",
                                          "]",
                                          "\\ud83d\\ude00",
                                          "0123456789abcdef",
                                          "\\u0041" };
    buf_put_char(buf, '"');
    for (uint64_t n = rng_below(rng, 6); n > 0; n--)
        buf_put(buf, bytes_of(pieces[rng_below(rng, sizeof pieces / sizeof pieces[0])]));
    buf_put_char(buf, '"');
}

static void put_random_container(struct buf *buf, struct rng *rng, unsigned depth, bool object)
{
    buf_put_char(buf, object ? '{' : '[');
    uint64_t count = rng_below(rng, 6);
    for (uint64_t i = 0; i < count; i++) {
        if (i > 0)
            buf_put(buf, rng_below(rng, 2) ? BYTES(",") : BYTES(" ,\n"));
        if (object) {
            put_random_string(buf, rng);
            buf_put_char(buf, ':');
        }
        put_random(buf, rng, depth + 1);
    }
    buf_put_char(buf, object ? '}' : ']');
}

static void put_random(struct buf *buf, struct rng *rng, unsigned depth)
{
    static const char *const scalars[] = { "0",       "-1",   "12.50", "1e3",
                                           "-0.5E-2", "true", "false", "null" };
    uint64_t kind = rng_below(rng, depth > 4 ? 6 : 10);
    if (kind < 3)
        put_random_string(buf, rng);
    else if (kind < 6)
        buf_put(buf, bytes_of(scalars[rng_below(rng, sizeof scalars / sizeof scalars[0])]));
    else
        put_random_container(buf, rng, depth, kind < 8);
}

/* Exchanges, removes, doubles or inserts a few bytes. */
static void mutate(struct buf *buf, struct rng *rng)
{
    static const char bytes[] = "{}[]\",:\\u0123456789abcdefnrtE.-+ \n\x01\x80\xc3\xed\xff";
    for (uint64_t n = 1 + rng_below(rng, 3); n > 0 && buf->len > 1; n--) {
        size_t at = (size_t)rng_below(rng, buf->len);
        char c = bytes[rng_below(rng, sizeof bytes - 1)];
        switch (rng_below(rng, 3)) {
        case 0:
            buf->ptr[at] = c;
            break;
        case 1:
            memmove(buf->ptr + at, buf->ptr + at + 1, buf->len - at - 1);
            buf->len--;
            break;
        default:
            buf_put_char(buf, c);
            memmove(buf->ptr + at + 1, buf->ptr + at, buf->len - at - 1);
            buf->ptr[at] = c;
        }
    }
}

/* jansson builds what the scanner only walks; both must see the same. */
static void assert_same(const json_t *theirs, struct bytes ours, struct arena *arena)
{
    struct json_cursor cursor = json_open(ours);
    struct json_member member;
    struct bytes element;
    struct bytes text;
    size_t count = 0;
    switch (json_kind(ours)) {
    case JSON_KIND_OBJECT:
        assert_true(json_is_object(theirs));
        for (; json_next_member(&cursor, &member); count++) {
            char name[512];
            size_t len = 0;
            assert_true(member.key.len < sizeof name);
            assert_true(json_unescape(member.key, name, &len));
            name[len] = '\0';
            assert_same(json_object_get(theirs, name), member.value, arena);
        }
        assert_int_equal(count, json_object_size(theirs));
        break;
    case JSON_KIND_ARRAY:
        for (; json_next_element(&cursor, &element); count++)
            assert_same(json_array_get(theirs, count), element, arena);
        assert_int_equal(count, json_array_size(theirs));
        break;
    case JSON_KIND_STRING:
        assert_true(json_read_string(ours, arena, &text));
        assert_true(bytes_equal(
            text, (struct bytes){ json_string_value(theirs), json_string_length(theirs) }));
        break;
    case JSON_KIND_NUMBER:
        assert_true(json_is_number(theirs));
        break;
    default:
        assert_int_equal(json_kind(ours), json_is_true(theirs)    ? JSON_KIND_TRUE
                                          : json_is_false(theirs) ? JSON_KIND_FALSE
                                                                  : JSON_KIND_NULL);
    }
}

/* Differences that are meant: jansson reads numbers into doubles and longs (and refuses what does
 * not fit), and a lone low surrogate escape. */
static bool may_differ(enum json_fault fault, const json_error_t *error)
{
    return (fault == JSON_SOUND && json_error_code(error) == json_error_numeric_overflow) ||
           fault == JSON_NUMBER;
}

static void test_json_agrees_with_jansson(void **state)
{
    (void)state;
    struct rng rng = { 20261121 };
    struct buf buf;
    struct arena arena;
    buf_init(&buf, 1 << 20);
    arena_init(&arena, 65536, 0);
    unsigned sound = 0;
    for (unsigned i = 0; i < 60000; i++) {
        buf_clear(&buf);
        arena_reset(&arena);
        put_random_container(&buf, &rng, 0, i % 2 == 0);
        if (i % 3 != 0)
            mutate(&buf, &rng);
        json_error_t error;
        json_t *theirs =
            json_loadb(buf.ptr, buf.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
        enum json_fault fault = check(buf_bytes(&buf));
        if ((fault == JSON_SOUND) != (theirs != NULL) && !may_differ(fault, &error))
            fail_msg("round %u: %.*s: fault %d, jansson: %s", i, (int)buf.len, buf.ptr, (int)fault,
                     theirs ? "accepts" : error.text);
        if (fault == JSON_SOUND && theirs != NULL) {
            assert_same(theirs, buf_bytes(&buf), &arena);
            sound++;
        }
        json_decref(theirs);
    }
    assert_true(sound > 10000);
    arena_release(&arena);
    buf_release(&buf);
}

/* Whatever the bytes, the walker stays within them. */
static void test_json_walk_survives_anything(void **state)
{
    (void)state;
    struct rng rng = { 4711 };
    struct buf buf;
    buf_init(&buf, 1 << 20);
    for (unsigned i = 0; i < 20000; i++) {
        buf_clear(&buf);
        put_random_container(&buf, &rng, 0, true);
        mutate(&buf, &rng);
        buf.len = (size_t)rng_below(&rng, buf.len + 1);
        char *exact = malloc(buf.len + 1);
        assert_non_null(exact);
        memcpy(exact, buf.ptr, buf.len);
        exact = realloc(exact, buf.len == 0 ? 1 : buf.len);
        struct json_cursor cursor = json_open((struct bytes){ exact, buf.len });
        struct json_member member;
        for (unsigned n = 0; n < 1000 && json_next_member(&cursor, &member); n++)
            (void)json_unescaped_len(member.key);
        free(exact);
    }
    buf_release(&buf);
}

int main(void)
{
    if (!hash_init())
        return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_check_faults),
        cmocka_unit_test(test_json_check_says_where),
        cmocka_unit_test(test_json_check_strings_of_each_length),
        cmocka_unit_test(test_json_check_keys_near_and_far),
        cmocka_unit_test(test_json_check_keys_of_nested_objects),
        cmocka_unit_test(test_json_walk),
        cmocka_unit_test(test_json_strings),
        cmocka_unit_test(test_json_agrees_with_jansson),
        cmocka_unit_test(test_json_walk_survives_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
