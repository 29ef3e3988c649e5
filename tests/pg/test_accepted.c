/*
 * What the decoder lets in PostgreSQL takes: generated saves with the extremes of numbers, escapes,
 * depth and keys that the limits allow are cast to jsonb, and jsonb means the same by them, to the
 * byte of the canonical text. CASES in the environment plays more than usual.
 */
#include "common/rng.h"
#include "tests/pg/private_pg.h"
#include "tests/pg/sql.h"
#include "worker/events/canonical.h"
#include "worker/events/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CASES_USUAL 3000
#define ATTEMPT     "0aa8f6a4-6b4e-4b7e-9b1c-1d2f3a4b5c6d"

/* ----------------------------------------------------------------------------------- generated */

static bool one_in(struct rng *rng, uint64_t n)
{
    return rng_below(rng, n) == 0;
}

static void put_digits(struct buf *out, struct rng *rng, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_put_char(out, (char)('0' + rng_below(rng, one_in(rng, 4) ? 10 : 1)));
}

static void put_number(struct buf *out, struct rng *rng)
{
    size_t most = one_in(rng, 6) ? 1000 : 12;
    size_t whole = 1 + (size_t)rng_below(rng, most), rest = most - whole;
    if (one_in(rng, 3))
        buf_put_char(out, '-');
    if (one_in(rng, 3)) {
        buf_put_char(out, '0');
        rest = most - 1;
    } else {
        buf_put_char(out, (char)('1' + rng_below(rng, 9)));
        put_digits(out, rng, whole - 1);
    }
    if (rest > 0 && one_in(rng, 2)) {
        buf_put_char(out, '.');
        put_digits(out, rng, 1 + (size_t)rng_below(rng, rest));
    }
    if (one_in(rng, 3)) {
        static const char *const signs[] = { "e", "E", "e+", "E-", "e-" };
        buf_put(out, bytes_of(signs[rng_below(rng, 5)]));
        buf_put_int(out, one_in(rng, 300) ? 300000
                         : one_in(rng, 2) ? 1000
                                          : (int64_t)rng_below(rng, 1001));
    }
}

static void put_text(struct buf *out, struct rng *rng, size_t pieces)
{
    static const char *const all[] = { "a",
                                       "'",
                                       "$1",
                                       "%s",
                                       "\\\"",
                                       "\\\\",
                                       "\\/",
                                       "\\b",
                                       "\\f",
                                       "\\n",
                                       "\\r",
                                       "\\t",
                                       "\\u0001",
                                       "\\u001f",
                                       "\\u007f",
                                       "\\uffff",
                                       "\\ufdd0",
                                       "\\ud83d\\ude00",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xef\xbf\xbf",
                                       "\xf4\x8f\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xed\x9f\xbf",
                                       "e\xcc\x81",
                                       "\\uDBFF\\uDFFF",
                                       "\xe2\x80\xae",
                                       "\\u0022",
                                       "\\u005c",
                                       "null" };
    /* Whose texts the decoder must not let in; seldom, as one spoils the whole save. */
    static const char *const refused[] = { "\\u0000",  "\\ud800",      "\\udfff", "\x01",
                                           "\xc0\x80", "\xed\xa0\x80", "\xff" };
    buf_put_char(out, '"');
    if (one_in(rng, 200))
        buf_put(out, bytes_of(refused[rng_below(rng, sizeof refused / sizeof refused[0])]));
    for (size_t i = 0; i < pieces; i++)
        buf_put(out, bytes_of(all[rng_below(rng, sizeof all / sizeof all[0])]));
    buf_put_char(out, '"');
}

static void put_value(struct buf *out, struct rng *rng, unsigned depth);

static void put_object(struct buf *out, struct rng *rng, unsigned depth, uint64_t members)
{
    buf_put_char(out, '{');
    for (uint64_t i = 0; i < members; i++) {
        buf_put(out, i > 0 ? BYTES(" , ") : BYTES(""));
        buf_printf(out, "\"%llx", (unsigned long long)(one_in(rng, 9) ? rng_next(rng) : i));
        size_t from = out->len;
        put_text(out, rng, (size_t)rng_below(rng, 8));
        out->ptr[from] = '.'; /* its opening quote */
        buf_put_char(out, ':');
        put_value(out, rng, depth + 1);
    }
    buf_put_char(out, '}');
}

static void put_array(struct buf *out, struct rng *rng, unsigned depth, uint64_t elements)
{
    buf_put_char(out, '[');
    for (uint64_t i = 0; i < elements; i++) {
        buf_put(out, i > 0 ? BYTES(",\n\t") : BYTES(""));
        put_value(out, rng, depth + 1);
    }
    buf_put_char(out, ']');
}

/* As deep as data may be. */
static void put_straight_down(struct buf *out, unsigned depth)
{
    for (unsigned at = depth; at <= 32; at++)
        buf_put_char(out, '[');
    for (unsigned at = depth; at <= 32; at++)
        buf_put_char(out, ']');
}

static void put_value(struct buf *out, struct rng *rng, unsigned depth)
{
    static const char *const literals[] = { "true", "false", "null", "{}", "[]", "\"\"" };
    uint64_t kind = rng_below(rng, depth > 32 ? 6 : 9);
    if (kind < 2)
        put_number(out, rng);
    else if (kind < 4)
        put_text(out, rng, (size_t)rng_below(rng, one_in(rng, 50) ? 3000 : 12));
    else if (kind < 6)
        buf_put(out, bytes_of(literals[rng_below(rng, depth > 32 ? 3 : 6)]));
    else if (kind == 6)
        put_array(out, rng, depth, rng_below(rng, 4));
    else if (kind == 7)
        put_object(out, rng, depth, rng_below(rng, 4));
    else
        put_straight_down(out, depth);
}

static void put_save(struct buf *out, struct rng *rng)
{
    buf_clear(out);
    buf_put(out, BYTES("{\"type\":\"attempt.saved.v1\",\"id\":\"" ATTEMPT "\",\"data\":{"
                       "\"attempt_id\":\"" ATTEMPT "\",\"expected_version\":1,"
                       "\"saved_at\":\"2026-05-01T10:00:00Z\",\"answers\":"));
    put_object(out, rng, 2, one_in(rng, 400) ? 5000 : rng_below(rng, 12));
    buf_put(out, BYTES(",\"auto_save_data\":"));
    put_object(out, rng, 2, rng_below(rng, 4));
    buf_put(out, BYTES("}}"));
    assert_false(out->failed);
}

/* --------------------------------------------------------------------------------------- asked */

static void assert_jsonb_takes(PGconn *db, struct bytes json, struct arena *arena, struct buf *room)
{
    uint8_t ours[HASH_256_BYTES], theirs[HASH_256_BYTES];
    const char *params[] = { json.ptr };
    const int lengths[] = { (int)json.len }, formats[] = { 1 };
    const Oid types[] = { 25 };
    PGresult *result =
        PQexecParams(db, "SELECT $1::jsonb::text", 1, types, params, lengths, formats, 0);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%.300s: %s", json.ptr, PQerrorMessage(db));
    struct bytes text = { PQgetvalue(result, 0, 0), (size_t)PQgetlength(result, 0, 0) };
    assert_true(canonical_digest(json, arena, room, ours));
    assert_true(canonical_digest(text, arena, room, theirs));
    if (memcmp(ours, theirs, sizeof ours) != 0)
        fail_msg("%.300s became %.300s", json.ptr, text.ptr);
    PQclear(result);
}

static void test_jsonb_takes_what_the_decoder_lets_in(void **state)
{
    (void)state;
    PGconn *db = sql_connect(pg_group_server()->owner_url);
    assert_non_null(db);
    const char *cases = getenv("CASES");
    long count = cases != NULL ? strtol(cases, NULL, 10) : CASES_USUAL;
    long accepted = 0;
    struct rng rng = { 7 };
    struct decode_limits limits = decode_limits_default();
    struct buf save, room;
    struct arena arena;
    buf_init(&save, 16 << 20);
    buf_init(&room, 64 << 20);
    arena_init(&arena, 65536, 0);
    for (long n = 0; n < count; n++) {
        struct event event;
        struct refusal refusal;
        arena_reset(&arena);
        put_save(&save, &rng);
        struct record record = { .tp = { TOPIC_WRITES, 0 },
                                 .key = BYTES(ATTEMPT),
                                 .value = buf_bytes(&save) };
        if (decode(&record, &limits, &arena, &event, &refusal) != DECODE_EVENT)
            continue;
        accepted++;
        assert_jsonb_takes(db, event.data, &arena, &room); /* as rejected_writes keeps it */
        assert_jsonb_takes(db, event.write.answers, &arena, &room);
    }
    arena_release(&arena);
    buf_release(&room);
    buf_release(&save);
    PQfinish(db);
    print_message("%ld of %ld documents accepted\n", accepted, count);
    assert_true(accepted > count / 2 && accepted < count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jsonb_takes_what_the_decoder_lets_in),
    };
    return hash_init() ? cmocka_run_group_tests(tests, pg_group_start, pg_group_stop)
                       : EXIT_FAILURE;
}
