/*
 * The canonical text against the test vectors of schemas/examples/digests, which were made by other
 * means. Run from the repository's root.
 */
#include "common/json.h"
#include "worker/events/canonical.h"

#include <jansson.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    assert_non_null(text);
    return text;
}

static void test_canonical_vectors(void **state)
{
    (void)state;
    json_t *vectors = json_load_file("schemas/examples/digests/answers.json", 0, NULL);
    assert_true(json_array_size(vectors) > 5);
    struct arena arena;
    struct buf buf;
    arena_init(&arena, 4096, 0);
    buf_init(&buf, 1 << 20);
    size_t i;
    json_t *vector;
    json_array_foreach(vectors, i, vector)
    {
        uint8_t digest[HASH_256_BYTES];
        char hex[2 * HASH_256_BYTES + 1];
        assert_true(canonical_digest(bytes_of(member(vector, "answers")), &arena, &buf, digest));
        buf_put_char(&buf, '\0');
        assert_string_equal(buf.ptr, member(vector, "canonical"));
        (void)sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
        assert_string_equal(hex, member(vector, "digest"));
        arena_reset(&arena);
    }
    buf_release(&buf);
    arena_release(&arena);
    json_decref(vectors);
}

static void assert_canonical(const char *text, const char *expected)
{
    struct arena arena;
    struct buf buf;
    arena_init(&arena, 4096, 1 << 20);
    buf_init(&buf, 4096);
    bool done = canonical_put(&buf, bytes_of(text), &arena);
    assert_int_equal(done, expected != NULL);
    if (expected != NULL)
        assert_true(bytes_equal(buf_bytes(&buf), bytes_of(expected)));
    buf_release(&buf);
    arena_release(&arena);
}

static void test_canonical_is_its_own_canonical(void **state)
{
    (void)state;
    assert_canonical("{\"a\":[1.5,-0.003,\"\\n\"],\"b\":{}}",
                     "{\"a\":[1.5,-0.003,\"\\n\"],\"b\":{}}");
    assert_canonical(" 1E+2 ", "100");
    assert_canonical("-0.0", "0");
    assert_canonical("0.0012300e2", "0.123");
}

/* What no jsonb prints ends in a refusal, not in a gigabyte of zeros or a full stack. */
static void test_canonical_refuses_monsters(void **state)
{
    (void)state;
    assert_canonical("1e100000", NULL);
    assert_canonical("1e99999999999999999999", NULL);
    assert_canonical("1e-99999999999999999999", NULL);
    assert_canonical("", NULL);
    assert_canonical("{\"a\":x}", NULL);
    static char deep[20001];
    memset(deep, '[', 10000);
    memset(deep + 10000, ']', 10000);
    assert_canonical(deep, NULL);
}

int main(void)
{
    if (!hash_init())
        return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical_vectors),
        cmocka_unit_test(test_canonical_is_its_own_canonical),
        cmocka_unit_test(test_canonical_refuses_monsters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
