/* The newest changes of an attempt as text beside its document: thousands of random saves against a
 * model, what must not get into a tail, and the schema before it. */
#include "common/embedded.h"
#include "common/rng.h"
#include "tests/pg/store_rig.h"
#include "worker/events/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEYS     12
#define ATTEMPTS 10
#define ROUNDS   400

static int open_claimed(void **state)
{
    if (rig_open(state) != 0)
        return -1;
    (void)rig_claim(*state, TOPIC_WRITES, 0, 0);
    return 0;
}

static void make_attempts(struct rig *rig, unsigned count)
{
    rig_plan(rig, 0, 1);
    for (unsigned i = 1; i <= count; i++)
        rig_start(rig, i, 1);
    rig_flush(rig, 1);
}

/* -------------------------------------------------------------------------------- the model */

/* An attempt as its saves leave it: the text of each key's value, "" for a key that is not there.
 */
struct model {
    int64_t version;
    char values[KEYS][1024];
};

/* The same key, written in more than one way. */
static void put_key(struct buf *out, struct rng *rng, unsigned key)
{
    char name = (char)('a' + key);
    if (rng_below(rng, 3) == 0)
        buf_printf(out, "\"\\u00%02x\\\"ü\"", name);
    else if (rng_below(rng, 2) == 0)
        buf_printf(out, "\"%c\\u0022\\u00fc\"", name);
    else
        buf_printf(out, "\"%c\\\"ü\"", name);
}

static void put_random_value(struct rng *rng, char *text, size_t size)
{
    static const char *const values[] = {
        "null",
        "null",
        "1.50",
        "-0",
        "1e3",
        "true",
        "\"\"",
        "\"null\"",
        "\"a\\\\\\\"},{\\u00e9 :null\"",
        "{\"x\":null,\"y\":[null,{\"z\":null}]}",
        "[]",
        "{\"a\\\"ü\":1}",
        "\"\\ud83d\\ude00\"",
    };
    size_t n = rng_below(rng, sizeof values / sizeof values[0] + 2);
    if (n < sizeof values / sizeof values[0]) {
        (void)snprintf(text, size, "%s", values[n]);
        return;
    }
    /* Text enough to cross the limit, now and then alone. */
    size_t len = n % 2 == 0 ? rng_below(rng, 200) : rng_below(rng, 900);
    text[0] = '"';
    for (size_t i = 1; i <= len; i++)
        text[i] = (char)('a' + rng_below(rng, 26));
    memcpy(text + len + 1, "\"", 2);
}

/* A change of some keys, one of them perhaps twice, applied to the model. */
static void random_patch(struct rng *rng, struct model *model, struct buf *out)
{
    static const char *const blanks[] = { "", "", "", " ", "\n\t" };
    buf_clear(out);
    buf_put(out, BYTES("{"));
    size_t count = rng_below(rng, 5);
    for (size_t i = 0; i < count; i++) {
        unsigned key = (unsigned)rng_below(rng, KEYS);
        char value[1024];
        put_random_value(rng, value, sizeof value);
        buf_printf(out, "%s%s", i == 0 ? "" : ",", blanks[rng_below(rng, 5)]);
        put_key(out, rng, key);
        buf_printf(out, "%s:%s%s%s", blanks[rng_below(rng, 5)], blanks[rng_below(rng, 5)], value,
                   blanks[rng_below(rng, 5)]);
        (void)snprintf(model->values[key], sizeof model->values[key], "%s",
                       strcmp(value, "null") == 0 ? "" : value);
    }
    buf_put(out, BYTES("}"));
    buf_put_char(out, '\0');
    assert_false(out->failed);
}

static void put_document(struct buf *out, const struct model *model)
{
    bool first = true;
    buf_put(out, BYTES("{"));
    for (unsigned key = 0; key < KEYS; key++) {
        if (model->values[key][0] == '\0')
            continue;
        buf_printf(out, "%s\"%c\\\"ü\":%s", first ? "" : ",", 'a' + (int)key, model->values[key]);
        first = false;
    }
    buf_put(out, BYTES("}"));
}

static void check_documents(struct rig *rig, const struct model *models)
{
    struct buf documents;
    buf_init(&documents, (size_t)1 << 20);
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        put_document(&documents, &models[i]);
        buf_put_char(&documents, '\n');
    }
    buf_put_char(&documents, '\0');
    assert_false(documents.failed);
    const char *params[] = { documents.ptr };
    PGresult *result = PQexecParams(
        rig->db,
        "SELECT string_agg(format('attempt %s: %s instead of %s', a.id, a.answers, m.document), ' ')"
        " FROM string_to_table(rtrim($1, E'\\n'), E'\\n') WITH ORDINALITY AS m (document, nth)"
        " JOIN attempts a ON right(a.id::text, 12)::int = m.nth JOIN attempt_rows r ON r.id = a.id"
        " WHERE m.document::jsonb::text IS DISTINCT FROM a.answers::text"
        " OR attempt_document(a.id)::text <> a.answers::text OR octet_length(r.tail) > 640",
        1, NULL, params, NULL, NULL, 0);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s", PQresultErrorMessage(result));
    if (!PQgetisnull(result, 0, 0))
        fail_msg("%.2000s", PQgetvalue(result, 0, 0));
    PQclear(result);
    buf_release(&documents);
}

/* Writers beside the log: the function and the view, each of which must see the whole document. */
static void write_beside(struct rig *rig, struct rng *rng, struct model *models)
{
    unsigned i = (unsigned)rng_below(rng, ATTEMPTS);
    struct model *model = &models[i];
    struct buf patch, document, sql;
    buf_init(&patch, 65536);
    buf_init(&document, 65536);
    buf_init(&sql, 65536);
    char id[64];
    (void)snprintf(id, sizeof id, "a0000000-0000-4000-8000-%012u", i + 1);
    PGresult *result;
    if (rng_below(rng, 2) == 0) {
        random_patch(rng, model, &patch);
        buf_printf(&sql, "[{\"attempt_id\":\"%s\",\"expected_version\":%lld,\"answers\":%s}]", id,
                   (long long)model->version, patch.ptr);
        buf_put_char(&sql, '\0');
        const char *params[] = { sql.ptr };
        result = PQexecParams(rig->db, "SELECT outcome FROM batch_save_attempts($1::jsonb)", 1,
                              NULL, params, NULL, NULL, 0);
        assert_string_equal(PQgetvalue(result, 0, 0), "applied");
    } else {
        unsigned key = (unsigned)rng_below(rng, KEYS);
        (void)strcpy(model->values[key], "[7]");
        char name[8];
        (void)snprintf(name, sizeof name, "%c\"ü", 'a' + (int)key);
        const char *params[] = { id, name };
        result =
            PQexecParams(rig->db,
                         "UPDATE attempts SET answers = answers || jsonb_build_object($2::text, "
                         "'[7]'::jsonb), version = version + 1 WHERE id = $1::uuid",
                         2, NULL, params, NULL, NULL, 0);
        assert_string_equal(PQcmdTuples(result), "1");
    }
    PQclear(result);
    model->version++;
    buf_release(&patch);
    buf_release(&document);
    buf_release(&sql);
}

static void test_many_saves_leave_what_the_model_says(void **state)
{
    struct rig *rig = *state;
    make_attempts(rig, ATTEMPTS);
    struct model *models = calloc(ATTEMPTS, sizeof *models);
    struct buf patches[ATTEMPTS];
    struct rng rng = { 20261121 };
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        models[i].version = 1;
        buf_init(&patches[i], 65536);
    }
    long long tails = 0, folded = 0;
    for (unsigned round = 1; round <= ROUNDS; round++) {
        rig_plan(rig, round, round + 1);
        for (unsigned i = 0; i < ATTEMPTS; i++) {
            random_patch(&rng, &models[i], &patches[i]);
            rig_fold(rig, i + 1, models[i].version, models[i].version + 1, patches[i].ptr, 1);
            models[i].version++;
        }
        rig_flush(rig, 1);
        for (unsigned i = 0; i < ATTEMPTS; i++)
            assert_true(rig->folds[i].written);
        tails += sql_number(rig->db, "SELECT count(*) FROM attempt_rows WHERE tail <> ''");
        folded += sql_number(rig->db, "SELECT count(*) FROM attempt_rows WHERE tail = ''");
        if (round % 5 == 0)
            write_beside(rig, &rng, models);
        check_documents(rig, models);
    }
    /* Both ways were gone, often. */
    assert_true(tails > ROUNDS && folded > ROUNDS);
    /* A submit, with a last change or without one, leaves no tail. */
    rig_plan(rig, ROUNDS + 1, ROUNDS + 2);
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        if (i % 2 == 0)
            random_patch(&rng, &models[i], &patches[i]);
        rig_submit(rig,
                   rig_fold(rig, i + 1, models[i].version, models[i].version + 1,
                            i % 2 == 0 ? patches[i].ptr : NULL, 1),
                   100 + i);
    }
    rig_flush(rig, 1);
    check_documents(rig, models);
    sql_is(
        rig->db, "10 0 10",
        "SELECT concat_ws(' ', count(*) FILTER (WHERE status = 'submitted'), "
        "count(*) FILTER (WHERE tail <> ''), count(*) FILTER (WHERE attempt_fold(folded_answers, tail) = folded_answers)) "
        "FROM attempt_rows r");
    for (unsigned i = 0; i < ATTEMPTS; i++)
        buf_release(&patches[i]);
    free(models);
}

/* ---------------------------------------------------------------------------------- poison */

/* What is no JSON is refused by the save that brings it, alone or on a tail: later readers and
 * saves of the attempt must never pay for it. (A number beyond numeric is the one thing that the
 * statement does not find; the decoder's limits are far below that.) */
static void test_poison_is_refused_by_its_save(void **state)
{
    struct rig *rig = *state;
    make_attempts(rig, 1);
    static const struct {
        const char *patch, *sqlstate;
    } poisons[] = {
        { "{\"a\":\"\\u0000\"}", "22P05" },
        { "{\"a\":\"\\ud800\"}", "22P02" },
        { "{\"a\":}", "22P02" },
        { "{\"a\":1},\"b\":{\"c\":2}", "22P02" },
        { "{\"a\":tru}", "22P02" },
        { "{\"a\":\"\xff\"}", "22021" },
        { "{\"a\":1,}", "22P02" },
    };
    int64_t version = 1;
    for (size_t i = 0; i < sizeof poisons / sizeof poisons[0]; i++) {
        rig_plan(rig, 1 + (int64_t)i, 2 + (int64_t)i);
        rig_fold(rig, 1, version, version + 1, poisons[i].patch, 1);
        rig_fails(rig, STORE_OPEN, ERR_REJECT, poisons[i].sqlstate);
        rig_ok(rig, STORE_UNDO);
        rig_plan(rig, 1 + (int64_t)i, 2 + (int64_t)i);
        rig_fold(rig, 1, version, version + 1, "{\"a\":1}", 1);
        rig_flush(rig, 1);
        version++;
    }
    sql_is(rig->db, "{\"a\": 1}", "SELECT answers FROM attempts");
    for (size_t i = 0; i < 2; i++) { /* what only jsonb refuses, in auto_save_data */
        rig_plan(rig, 8, 9);
        rig_fold(rig, 1, version, version + 1, NULL, 1)->auto_save_data =
            bytes_of(poisons[i].patch);
        rig_fails(rig, STORE_OPEN, ERR_REJECT, poisons[i].sqlstate);
        rig_ok(rig, STORE_UNDO);
    }
}

/* ------------------------------------------------------- what decode() accepts, jsonb accepts */

static void mutate(struct rng *rng, char *text, size_t *len, size_t size)
{
    static const char *const bits[] = {
        "\\u0000",
        "\\ud800",
        "\\udc00",
        "\\ud83d\\ude00",
        "\\u12",
        "1e400",
        "1e-1000",
        "-",
        "0123",
        "1.",
        ".5",
        "null",
        "nul",
        "\x7f",
        "\x01",
        "\xc3\xa9",
        "\xed\xa0\x80",
        "\xf4\x90\x80\x80",
        "{}",
        "[",
        "]",
        "\"",
        "\\",
        ",",
        ":",
        "\t",
        "\xef\xbb\xbf",
        "NaN",
        "1E+999",
        "-0.0",
        "\\/",
        "//",
    };
    struct bytes bit = bytes_of(bits[rng_below(rng, sizeof bits / sizeof bits[0])]);
    size_t at = rng_below(rng, *len + 1);
    if (rng_below(rng, 4) == 0 && *len > 0) { /* a byte goes or changes */
        at %= *len;
        if (rng_below(rng, 2) == 0)
            text[at] = (char)rng_below(rng, 256);
        else
            memmove(text + at, text + at + 1, --*len - at);
        return;
    }
    if (*len + bit.len >= size)
        return;
    memmove(text + at + bit.len, text + at, *len - at);
    memcpy(text + at, bit.ptr, bit.len);
    *len += bit.len;
}

static bool accepted(struct bytes answers, struct arena *arena, struct attempt_write *ret)
{
    struct buf value;
    buf_init(&value, 65536);
    buf_put(&value, BYTES("{\"type\":\"attempt.saved.v1\",\"id\":\"018f2a3b-4c5d-7e6f-8a9b-"
                          "0c1d2e3f0001\",\"data\":{\"attempt_id\":\"018f2a3b-4c5d-7e6f-8a9b-"
                          "0c1d2e3f4a5b\",\"expected_version\":1,\"saved_at\":"
                          "\"2026-01-01T00:00:00Z\",\"answers\":"));
    buf_put(&value, answers);
    buf_put(&value, BYTES("}}"));
    struct decode_limits limits = decode_limits_default();
    struct record record = { .tp = { TOPIC_WRITES, 0 },
                             .key = BYTES("018f2a3b-4c5d-7e6f-8a9b-0c1d2e3f4a5b"),
                             .value = arena_copy(arena, buf_bytes(&value)) };
    struct event event;
    struct refusal refusal = { 0 };
    bool ok = decode(&record, &limits, arena, &event, &refusal) == DECODE_EVENT;
    if (ok)
        *ret = event.write;
    buf_release(&value);
    return ok;
}

static void test_what_the_decoder_accepts_jsonb_accepts(void **state)
{
    struct rig *rig = *state;
    struct rng rng = { 7 };
    struct model model = { 0 };
    struct buf patch;
    buf_init(&patch, 65536);
    struct arena arena;
    arena_init(&arena, 65536, 0);
    unsigned taken = 0, refused = 0;
    PQclear(PQprepare(
        rig->db, "cast",
        "SELECT jsonb_typeof(('{' || substr(m, 2) || '}')::jsonb) FROM unnest($1::text[]) m", 0,
        NULL));
    for (unsigned i = 0; i < 6000; i++) {
        char text[8192];
        random_patch(&rng, &model, &patch);
        size_t len = strlen(patch.ptr);
        memcpy(text, patch.ptr, len);
        for (size_t n = rng_below(&rng, 3); n > 0; n--)
            mutate(&rng, text, &len, sizeof text);
        arena_reset(&arena);
        struct attempt_write write = { 0 };
        if (!accepted((struct bytes){ text, len }, &arena, &write) ||
            !bytes_present(write.answers)) {
            refused++;
            continue;
        }
        taken++;
        struct pg_params params;
        pg_params_init(&params);
        pg_array_begin(&params, PG_TEXT);
        pg_array_members(&params, write.answers);
        pg_array_end(&params);
        const char *values[] = { params.bytes.ptr + params.starts[0] };
        const int formats[] = { 1 };
        PGresult *result = PQexecPrepared(rig->db, "cast", 1, values, params.lengths, formats, 0);
        if (PQresultStatus(result) != PGRES_TUPLES_OK ||
            strcmp(PQgetvalue(result, 0, 0), "object") != 0)
            fail_msg("the decoder takes what jsonb does not: %.*s: %s", BYTES_FMT(write.answers),
                     PQresultErrorMessage(result));
        PQclear(result);
        pg_params_release(&params);
    }
    assert_true(taken > 2000 && refused > 500);
    arena_release(&arena);
    buf_release(&patch);
}

/* ------------------------------------------------------------------------------------- HOT */

static void test_saves_are_hot(void **state)
{
    struct rig *rig = *state;
    const unsigned attempts = 60, rounds = 60;
    make_attempts(rig, attempts);
    sql_ok(rig->db,
           "UPDATE attempts SET answers = (SELECT jsonb_object_agg('q' || n, md5(n::text)) "
           "FROM generate_series(1, 40) n)");
    sql_ok(rig->db, "VACUUM FULL attempt_rows");
    long long updates = 0, hot = 0;
    for (unsigned round = 1; round <= rounds; round++) {
        rig_plan(rig, round, round + 1);
        char patches[60][128];
        for (unsigned i = 1; i <= attempts; i++) {
            (void)snprintf(patches[i - 1], sizeof patches[0],
                           "{\"q%u\":\"%08u%08u\",\"q%u\":\"x%u\"}", 1 + (round * 7 + i) % 40,
                           round, i, 1 + (round + i) % 40, round);
            rig_fold(rig, i, round, round + 1, patches[i - 1], 1)->auto_save_data =
                BYTES("{\"progress\":50}");
        }
        rig_flush(rig, 1);
    }
    /* The store's own session tells what it did with the next transaction, some time later. */
    for (int tries = 0; tries < 100 && updates < attempts * rounds; tries++) {
        rig_plan(rig, 0, 0);
        rig_flush(rig, 0);
        sql_ok(rig->db, "SELECT pg_sleep(0.2), pg_stat_clear_snapshot()");
        updates = sql_number(rig->db, "SELECT n_tup_upd FROM pg_stat_user_tables "
                                      "WHERE relname = 'attempt_rows'");
        hot = sql_number(rig->db, "SELECT n_tup_hot_upd FROM pg_stat_user_tables "
                                  "WHERE relname = 'attempt_rows'");
    }
    assert_true(updates >= attempts * rounds);
    if (hot * 100 < updates * 95)
        fail_msg("%lld of %lld updates were HOT", hot, updates);
}

/* ------------------------------------------------------------------- the schema before this */

static void apply_part(struct rig *rig, const char *name, bool up)
{
    const struct embedded_file *file = migrations_embedded;
    while (strcmp(file->name, name) != 0)
        file++;
    char *text = strdup(file->text);
    char *down = strstr(text, "-- migrate:down");
    sql_ok(rig->db, "SET client_min_messages = warning");
    if (!up)
        sql_ok(rig->db, down);
    *down = '\0';
    if (up)
        sql_ok(rig->db, text);
    free(text);
}

static int64_t save(struct rig *rig, int64_t version, const char *patch)
{
    rig_plan(rig, version, version + 1);
    rig_fold(rig, 1, version, version + 1, patch, 1);
    rig_flush(rig, 1);
    assert_true(rig->folds[0].written);
    return version + 1;
}

/* A worker that is still at work when the schema moves beneath it stops, whichever way it moves.
 * Were the column still called answers, one of the version before would put newer answers below
 * older ones that wait in the tail. */
static void test_no_worker_writes_to_the_other_schema(void **state)
{
    struct rig *rig = *state;
    make_attempts(rig, 1);
    int64_t version = save(rig, 1, "{\"a\":1,\"b\":[null]}");
    version = save(rig, version, "{\"b\":null,\"c\":1}");
    sql_is(rig->db, ",\"a\":1,\"b\":[null],\"b\":null,\"c\":1", "SELECT tail FROM attempt_rows");

    apply_part(rig, "0008_newest_changes_as_text.sql", false);
    sql_is(rig->db, "{\"a\": 1, \"c\": 1}", "SELECT answers FROM attempt_rows");
    rig_plan(rig, version, version + 1);
    rig_fold(rig, 1, version, version + 1, "{\"d\":1}", 1);
    rig_fails(rig, STORE_OPEN, ERR_HALT, "42703");
    sql_ok(rig->db, "PREPARE old AS UPDATE attempt_rows SET answers = attempt_merge(answers, "
                    "'{\"d\": 1}'), version = version + 1, revision = revision + 1");
    sql_ok(rig->db, "EXECUTE old");
    version++;

    apply_part(rig, "0008_newest_changes_as_text.sql", true);
    rig_ok(rig, STORE_CONNECT);
    version = save(rig, version, "{\"d\":null,\"e\":2}");
    sql_fails(rig->db, "42703", "EXECUTE old");
    sql_is(rig->db, "{\"a\": 1, \"c\": 1, \"e\": 2}", "SELECT answers FROM attempts");
    assert_int_equal(sql_number(rig->db, "SELECT version FROM attempts"), version);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_claimed, rig_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_many_saves_leave_what_the_model_says),   TEST(test_poison_is_refused_by_its_save),
        TEST(test_what_the_decoder_accepts_jsonb_accepts), TEST(test_saves_are_hot),
        TEST(test_no_worker_writes_to_the_other_schema),
    };
    return cmocka_run_group_tests_name("tail", tests, pg_group_start, pg_group_stop);
}
