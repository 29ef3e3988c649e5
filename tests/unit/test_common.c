/*
 * The ground floor: bytes, arena, buf, uuid, backoff, err, hash, patience.
 */
#include "common/arena.h"
#include "common/backoff.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/hash.h"
#include "common/patience.h"
#include "common/uuid.h"
#include "common/uuid_sort.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static void test_bytes_compare(void **state)
{
    (void)state;
    assert_true(bytes_equal(BYTES(""), BYTES_NONE));
    assert_true(bytes_present(BYTES("")));
    assert_false(bytes_present(BYTES_NONE));
    assert_false(bytes_present(bytes_of(NULL)));
    assert_true(bytes_compare(BYTES("a"), BYTES("ab")) < 0);
    assert_true(bytes_compare(BYTES("b"), BYTES("ab")) > 0);
    assert_true(bytes_compare(BYTES("\x7f"), BYTES("\xc3")) < 0);
    assert_int_equal(bytes_compare(BYTES("a\0b"), BYTES("a\0b")), 0);
    assert_true(bytes_starts_with(BYTES("attempt:1"), BYTES("attempt:")));
    assert_false(bytes_starts_with(BYTES("att"), BYTES("attempt:")));
}

static void test_arena_alignment_and_ceiling(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 64, 1024);
    for (size_t bytes = 0; bytes < 20; bytes++) {
        char *piece = arena_alloc(&arena, bytes);
        assert_non_null(piece);
        assert_int_equal((uintptr_t)piece % _Alignof(max_align_t), 0);
        memset(piece, 0xee, bytes);
    }
    assert_null(arena_alloc(&arena, 1024));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_calloc(&arena, SIZE_MAX / 2, 4));
    size_t before = arena.used_bytes;
    assert_non_null(arena_alloc(&arena, 100));
    assert_true(arena.used_bytes >= before + 100);
    arena_reset(&arena);
    assert_int_equal(arena.used_bytes, 0);
    const unsigned char *zeroed = arena_calloc(&arena, 10, 30);
    assert_non_null(zeroed);
    for (size_t i = 0; i < 300; i++)
        assert_int_equal(zeroed[i], 0);
    arena_release(&arena);
    assert_non_null(arena_alloc(&arena, 1));
    arena_release(&arena);
}

/* What took many blocks takes one the next time, and then nothing is asked of the system. */
static void test_arena_settles_into_one_block(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 64, 0);
    const void *first = NULL;
    for (int round = 0; round < 3; round++) {
        const char *previous = NULL;
        for (size_t i = 0; i < 100; i++) {
            char *piece = arena_alloc(&arena, 32 + i);
            assert_non_null(piece);
            memset(piece, 0xee, 32 + i);
            if (round > 0 && previous != NULL)
                assert_in_range(piece - previous, 32, 160);
            if (round == 2 && i == 0)
                assert_ptr_equal(piece, first);
            if (i == 0)
                first = piece;
            previous = piece;
        }
        arena_reset(&arena);
    }
    arena_release(&arena);
}

static int compare_uuids(const void *a, const void *b)
{
    return uuid_compare(a, b);
}

/* The order is uuid_compare()'s; of equal ones the first comes first. */
static void test_uuid_sort(void **state)
{
    (void)state;
    static struct uuid ids[1000], expected[1000];
    static struct uuid_key keys[2000];
    static const size_t sizes[] = { 0, 1, 2, 7, 8, 9, 16, 17, 100, 1000 };
    uint64_t random = 1;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        for (size_t i = 0; i < sizes[k]; i++) {
            memset(&ids[i], 0, sizeof ids[i]);
            random = random * 6364136223846793005u + 1442695040888963407u;
            ids[i].bytes[random % 2 == 0 ? 0 : 8] = (uint8_t)(random >> 40);
            ids[i].bytes[15] = (uint8_t)(random >> 60);
            expected[i] = ids[i];
            keys[i] = uuid_key(&ids[i], &ids[i]);
        }
        qsort(expected, sizes[k], sizeof *expected, compare_uuids);
        const struct uuid_key *sorted = uuid_sort(keys, keys + 1000, sizes[k]);
        for (size_t i = 0; i < sizes[k]; i++) {
            assert_memory_equal(sorted[i].value, &expected[i], sizeof *expected);
            if (i > 0 && uuid_equal(sorted[i - 1].value, sorted[i].value))
                assert_true((char *)sorted[i - 1].value < (char *)sorted[i].value);
        }
    }
}

static void test_arena_copies(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 64, 256);
    struct bytes copy = arena_copy(&arena, BYTES("a\0b"));
    assert_true(bytes_equal(copy, BYTES("a\0b")));
    assert_true(bytes_present(arena_copy(&arena, BYTES(""))));
    assert_true(bytes_equal(arena_format(&arena, "%d/%s", 7, "x"), BYTES("7/x")));
    assert_false(bytes_present(arena_format(&arena, "%300d", 7)));
    arena_release(&arena);
}

static void test_buf_grows_to_its_ceiling(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 1000);
    for (unsigned i = 0; i < 100; i++)
        buf_put(&buf, BYTES("0123456789"));
    assert_false(buf.failed);
    assert_int_equal(buf.len, 1000);
    buf_put_char(&buf, 'x');
    assert_true(buf.failed);
    assert_int_equal(buf.len, 1000);
    buf_put(&buf, BYTES(""));
    assert_null(buf_extend(&buf, 1));
    buf_clear(&buf);
    assert_false(buf.failed);
    buf_printf(&buf, "%s-%d", "a", 5);
    buf_put_int(&buf, INT64_MIN);
    assert_true(bytes_equal(buf_bytes(&buf), BYTES("a-5-9223372036854775808")));
    buf_release(&buf);
    assert_true(bytes_present(buf_bytes(&buf)));
}

static void test_buf_big_endian(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 100);
    buf_put_u16(&buf, 0x0102);
    buf_put_u32(&buf, 0x03040506);
    buf_put_u64(&buf, 0x0708090a0b0c0d0e);
    assert_memory_equal(buf.ptr, "\1\2\3\4\5\6\7\x08\x09\x0a\x0b\x0c\x0d\x0e", 14);
    buf_release(&buf);
}

static void test_uuid_one_spelling(void **state)
{
    (void)state;
    const char text[] = "018f2a3b-4c5d-7e6f-8a9b-0c1d2e3f4a5b";
    struct uuid uuid;
    char back[UUID_TEXT_LEN + 1];
    assert_true(uuid_parse(bytes_of(text), &uuid));
    assert_string_equal(uuid_format(&uuid, back), text);
    assert_true(uuid_parse(BYTES("ffffffff-ffff-ffff-ffff-ffffffffffff"), &uuid));
    assert_false(uuid_parse(BYTES("00000000-0000-0000-0000-000000000000"), &uuid));
    assert_false(uuid_parse(BYTES("018F2A3B-4C5D-7E6F-8A9B-0C1D2E3F4A5B"), &uuid));
    assert_false(uuid_parse(BYTES_NONE, &uuid));
    /* One byte exchanged: only another lower-case digit may stand there. */
    for (size_t at = 0; at < UUID_TEXT_LEN; at++) {
        for (int c = 0; c < 256; c++) {
            char changed[sizeof text];
            memcpy(changed, text, sizeof text);
            changed[at] = (char)c;
            bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
            bool sound = text[at] == '-' ? c == '-' : digit;
            assert_int_equal(uuid_parse((struct bytes){ changed, UUID_TEXT_LEN }, &uuid), sound);
        }
    }
}

static void test_backoff_stays_in_bounds(void **state)
{
    (void)state;
    struct rng rng = { 1 };
    struct backoff backoff = { .base_ms = 50, .cap_ms = 5000 };
    assert_int_equal(backoff_next_ms(&backoff, &rng), 50);
    int64_t largest = 0;
    for (unsigned i = 0; i < 1000; i++) {
        int64_t before = backoff.last_ms;
        int64_t delay = backoff_next_ms(&backoff, &rng);
        assert_in_range(delay, 50, 5000);
        assert_true(delay <= before * 3);
        largest = delay > largest ? delay : largest;
    }
    assert_true(largest > 2500);
    backoff_reset(&backoff);
    assert_int_equal(backoff_next_ms(&backoff, &rng), 50);
}

static void test_err_is_a_value(void **state)
{
    (void)state;
    struct err err = { .action = ERR_NONE };
    assert_false(err_set(&err, ERR_RETRY, "40001", "partition %d", 3));
    assert_int_equal(err.action, ERR_RETRY);
    assert_string_equal(err.code, "40001");
    assert_string_equal(err.text, "partition 3");
    assert_false(err_set(NULL, ERR_BUG, "x", "y"));
    assert_false(err_set(&err, ERR_BUG, "a code that is longer than the room for it", "%400d", 1));
    assert_int_equal(strlen(err.code), sizeof err.code - 1);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_string_equal(err_action_name(ERR_HALT), "halt");
}

static void assert_hex(const uint8_t *hash, size_t size, const char *expected)
{
    char hex[129];
    (void)sodium_bin2hex(hex, sizeof hex, hash, size);
    assert_string_equal(hex, expected);
}

static void test_hash_known_answers(void **state)
{
    (void)state;
    uint8_t digest[HASH_256_BYTES];
    /* As printed by `b2sum -l 256`. */
    hash_256(BYTES("abc"), digest);
    assert_hex(digest, sizeof digest,
               "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    hash_256(BYTES_NONE, digest);
    assert_hex(digest, sizeof digest,
               "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    struct hash hash;
    hash_start(&hash, HASH_256_BYTES);
    hash_add(&hash, BYTES("a"));
    hash_add(&hash, BYTES_NONE);
    hash_add(&hash, BYTES("bc"));
    hash_end(&hash, digest, HASH_256_BYTES);
    assert_hex(digest, sizeof digest,
               "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

static void test_hash_short_depends_on_its_seed(void **state)
{
    (void)state;
    const uint64_t one[2] = { 1, 2 };
    const uint64_t other[2] = { 1, 3 };
    assert_true(hash_short(BYTES("q1"), one) == hash_short(BYTES("q1"), one));
    assert_true(hash_short(BYTES("q1"), one) != hash_short(BYTES("q1"), other));
    assert_true(hash_short(BYTES("q1"), one) != hash_short(BYTES("q2"), one));
}

/* Work that waits until it is told to go on. */
struct slow {
    atomic_bool go, worked, abandoned;
};

static void slow_work(void *self)
{
    struct slow *slow = self;
    while (!atomic_load(&slow->go))
        (void)nanosleep(&(struct timespec){ .tv_nsec = 1000 * 1000 }, NULL);
    atomic_store(&slow->worked, true);
}

static void slow_abandon(void *self)
{
    struct slow *slow = self;
    assert_true(atomic_load(&slow->worked));
    atomic_store(&slow->abandoned, true);
}

static void test_patience_has_an_end(void **state)
{
    (void)state;
    struct slow slow = { .go = true };
    assert_true(patience_run(slow_work, slow_abandon, &slow, 60000));
    assert_true(slow.worked && !slow.abandoned);

    static struct slow left; /* lives as long as its thread */
    int64_t begun_ms = clock_now_ms();
    assert_false(patience_run(slow_work, slow_abandon, &left, 30));
    assert_in_range(clock_now_ms() - begun_ms, 30, 10000);
    assert_false(atomic_load(&left.worked) || atomic_load(&left.abandoned));
    atomic_store(&left.go, true);
    while (!atomic_load(&left.abandoned))
        (void)nanosleep(&(struct timespec){ .tv_nsec = 1000 * 1000 }, NULL);
}

int main(void)
{
    if (!hash_init() || !hash_init())
        return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_compare),
        cmocka_unit_test(test_arena_alignment_and_ceiling),
        cmocka_unit_test(test_arena_settles_into_one_block),
        cmocka_unit_test(test_arena_copies),
        cmocka_unit_test(test_buf_grows_to_its_ceiling),
        cmocka_unit_test(test_buf_big_endian),
        cmocka_unit_test(test_uuid_one_spelling),
        cmocka_unit_test(test_uuid_sort),
        cmocka_unit_test(test_backoff_stays_in_bounds),
        cmocka_unit_test(test_err_is_a_value),
        cmocka_unit_test(test_hash_known_answers),
        cmocka_unit_test(test_hash_short_depends_on_its_seed),
        cmocka_unit_test(test_patience_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
