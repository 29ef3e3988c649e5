/*
 * attempt_answers and attempt_document() are inverse to each other, byte for byte as jsonb's text,
 * for every JSON value: thousands of generated documents, submitted by SQL.
 */
#include "common/buf.h"
#include "common/json.h"
#include "common/rng.h"
#include "tests/pg/private_pg.h"
#include "tests/pg/sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define DOCUMENTS 4000
#define PER_CALL  200

static const char *const scalars[] = {
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1.50",
    "1e-7",
    "-12.0e3",
    "1E+300",
    "0.000000",
    "123456789",
    "\"\"",
    "\"null\"",
    "\"a\\\"b\"",
    "{}",
    "[]",
    "[[]]",
    "[null]",
    "\"\\u0001\"",
    "\"\xc3\xa4\xf0\x9f\x8e\x93\"",
    "\"''\\\\\"",
    "{\"\": {}}",
    "18446744073709551616.00000000000000000001",
};

static void put_value(struct buf *buf, struct rng *rng, int depth);

static void put_key(struct buf *buf, struct rng *rng)
{
    static const char *const keys[] = { "q1",   "",   "q\\\"2", "\\u00e4",         "a b",
                                        "null", "''", "Q1",     "\xf0\x9f\x8e\x93" };
    buf_printf(buf, "\"%s%llu\":", keys[rng_below(rng, sizeof keys / sizeof *keys)],
               (unsigned long long)rng_below(rng, 50));
}

static void put_object(struct buf *buf, struct rng *rng, int depth)
{
    buf_put_char(buf, '{');
    for (uint64_t n = rng_below(rng, 7), i = 0; i < n; i++) {
        if (i > 0)
            buf_put_char(buf, ',');
        put_key(buf, rng);
        put_value(buf, rng, depth + 1);
    }
    buf_put_char(buf, '}');
}

static void put_value(struct buf *buf, struct rng *rng, int depth)
{
    if (depth < 6 && rng_below(rng, 4) == 0) {
        put_object(buf, rng, depth);
    } else if (depth < 6 && rng_below(rng, 6) == 0) {
        buf_put_char(buf, '[');
        put_value(buf, rng, depth + 1);
        buf_put_char(buf, ',');
        put_value(buf, rng, depth + 1);
        buf_put_char(buf, ']');
    } else {
        buf_put(buf, bytes_of(scalars[rng_below(rng, sizeof scalars / sizeof *scalars)]));
    }
}

/* One document, as text of an SQL literal (quotes doubled). */
static void put_literal(struct buf *sql, struct buf *room, struct rng *rng)
{
    buf_clear(room);
    put_object(room, rng, 0);
    for (size_t i = 0; i < room->len; i++) {
        if (room->ptr[i] == '\'')
            buf_put_char(sql, '\'');
        buf_put_char(sql, room->ptr[i]);
    }
}

static void insert_some(PGconn *db, struct rng *rng)
{
    struct buf sql;
    struct buf room;
    buf_init(&sql, (size_t)8 << 20);
    buf_init(&room, (size_t)1 << 20);
    buf_put(&sql, BYTES("INSERT INTO attempts (id, answers) VALUES "));
    for (int i = 0; i < PER_CALL; i++) {
        buf_put(&sql, i == 0 ? BYTES("(gen_random_uuid(), '") : BYTES(", (gen_random_uuid(), '"));
        put_literal(&sql, &room, rng);
        buf_put(&sql, BYTES("')"));
    }
    buf_put_char(&sql, '\0');
    assert_false(sql.failed || room.failed);
    sql_ok(db, sql.ptr);
    buf_release(&sql);
    buf_release(&room);
}

static void test_answers_and_document_are_inverse(void **state)
{
    (void)state;
    char url[PRIVATE_PG_URL_BYTES];
    struct err err = { 0 };
    assert_true(private_pg_database(pg_group_server(), true, false, url, &err));
    PGconn *db = sql_connect(url);
    struct rng rng = { 20261121 };
    for (int i = 0; i < DOCUMENTS / PER_CALL; i++)
        insert_some(db, &rng);
    sql_ok(db, "CREATE TABLE before AS SELECT id, answers::text AS answers FROM attempts");
    sql_is(db, "4000",
           "SELECT count(*) FROM batch_submit_attempts(ARRAY(SELECT id FROM attempts)) "
           "WHERE outcome = 'applied'");
    sql_is(db, "4000 0 0",
           "SELECT concat_ws(' ', count(*), "
           "count(*) FILTER (WHERE attempt_document(id)::text <> b.answers), "
           "count(*) FILTER (WHERE a.answers::text <> b.answers)) "
           "FROM before b JOIN attempts a USING (id)");
    sql_is(db, "t",
           "SELECT count(*) = (SELECT sum(attempt_answered(answers)) FROM attempts) "
           "FROM attempt_answers");
    sql_is(db, "t", "SELECT count(*) > 300 FROM attempt_answers WHERE answer = 'null'");
    PQfinish(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_answers_and_document_are_inverse) };
    return cmocka_run_group_tests_name("documents", tests, pg_group_start, pg_group_stop);
}
