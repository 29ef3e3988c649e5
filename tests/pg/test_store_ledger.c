/* The store and the ledger: connecting, claims, compare-and-set, lost and unknown commits. */
#include "tests/pg/store_rig.h"
#include "worker/postgres/pg_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---------------------------------------------------------------------------------- connect */

static void test_connect_names_the_schema_it_misses(void **state)
{
    struct rig *rig = *state;
    sql_ok(rig->db, "UPDATE schema_migrations SET version = '0099'");
    rig_fails(rig, STORE_CONNECT, ERR_HALT, "schema");
    assert_non_null(strstr(rig->err.text, "99"));
    rig_fails(rig, STORE_OPEN, ERR_LOST, "abandoned");
    sql_ok(rig->db, "DELETE FROM schema_migrations");
    rig_fails(rig, STORE_CONNECT, ERR_HALT, "schema");
    sql_ok(rig->db, "DROP TABLE schema_migrations");
    rig_fails(rig, STORE_CONNECT, ERR_HALT, "schema");
    assert_non_null(strstr(rig->err.text, "attemptd migrate up"));
}

static void test_connect_takes_the_version_before(void **state)
{
    struct rig *rig = *state;
    char sql[128];
    (void)snprintf(sql, sizeof sql, "UPDATE schema_migrations SET version = '%04lld'",
                   (long long)pg_schema_version() - 1);
    sql_ok(rig->db, sql);
    rig_ok(rig, STORE_CONNECT);
}

static void test_connect_compares_settings(void **state)
{
    struct rig *rig = *state;
    static const struct pg_setting ours[] = { { "jump", "5" }, { "depth", "32" } };
    static const struct pg_setting theirs[] = { { "jump", "6" }, { "depth", "32" } };
    struct err err = { 0 };
    struct store_call call = { .step = STORE_CONNECT };
    rig->options.outcome_settings = ours;
    rig->options.outcome_setting_count = 2;
    struct pg_store *first = rig_new_store(rig);
    struct store port = pg_store_port(first);
    assert_int_equal(rig_run_on(&port, &call, &err), STORE_OK);
    pg_store_free(first);

    rig->options.outcome_settings = theirs;
    struct pg_store *second = rig_new_store(rig);
    port = pg_store_port(second);
    assert_int_equal(rig_run_on(&port, &call, &err), STORE_FAILED);
    assert_int_equal(err.action, ERR_HALT);
    assert_string_equal(err.code, "settings");
    assert_non_null(strstr(err.text, "jump (here 6, there 5)"));
    assert_null(strstr(err.text, "depth"));
    pg_store_free(second);
    sql_is(rig->db, "5", "SELECT value FROM outcome_settings WHERE name = 'jump'");

    rig->options.accept_settings = true;
    struct pg_store *third = rig_new_store(rig);
    port = pg_store_port(third);
    assert_int_equal(rig_run_on(&port, &call, &err), STORE_OK);
    pg_store_free(third);
    sql_is(rig->db, "6", "SELECT value FROM outcome_settings WHERE name = 'jump'");
}

static void test_connect_says_why_not(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    struct store_call call = { .step = STORE_CONNECT };
    rig->options.session.conninfo = "postgresql://127.0.0.1:1/none";
    struct pg_store *store = rig_new_store(rig);
    struct store port = pg_store_port(store);
    assert_int_equal(rig_run_on(&port, &call, &err), STORE_FAILED);
    assert_int_equal(err.action, ERR_LOST);
    pg_store_free(store);

    rig->options.session.conninfo = "postgresql://x:secret pass@[::";
    store = rig_new_store(rig);
    port = pg_store_port(store);
    assert_int_equal(rig_run_on(&port, &call, &err), STORE_FAILED);
    assert_int_equal(err.action, ERR_HALT);
    assert_null(strstr(err.text, "secret"));
    pg_store_free(store);
}

/* ------------------------------------------------------------------------------------ claim */

/* The operator's word comes with the next claim, ends with the generation, and is kept. */
static void test_claim_brings_the_word_about_refusals(void **state)
{
    struct rig *rig = *state;
    struct pg_rows *rows;
    struct pg_client *client;
    const struct pg_client_options options = { .url = rig->url };
    assert_true(pg_client_connect(&options, &client, &rig->err));
    const char *topic = rig->options.topics[TOPIC_WRITES];
    const char *behind[] = { topic, "0", "9", "too late" }, *ahead[] = { topic, "0", "17", "bad" };
    const char *less[] = { topic, "0", "12", "less" }, *unknown[] = { topic, "7", "17", "where" };
    assert_int_equal(rig_claim(rig, TOPIC_WRITES, 0, 10).refusals_until, 0);
    assert_true(pg_client_run(client, "dlq_accept.sql", behind, 4, &rows, &rig->err));
    assert_false(pg_rows_bool(rows, 0, 2));
    pg_rows_free(rows);
    assert_int_equal(rig_claim(rig, TOPIC_WRITES, 0, 10).refusals_until, 0);
    assert_true(pg_client_run(client, "dlq_accept.sql", unknown, 4, &rows, &rig->err));
    assert_int_equal(pg_rows_count(rows), 0);
    pg_rows_free(rows);
    assert_true(pg_client_run(client, "dlq_accept.sql", ahead, 4, &rows, &rig->err));
    assert_true(pg_rows_bool(rows, 0, 2));
    pg_rows_free(rows);
    assert_int_equal(rig_claim(rig, TOPIC_WRITES, 0, 10).refusals_until, 18);
    assert_true(pg_client_run(client, "dlq_accept.sql", less, 4, NULL, &rig->err));
    assert_int_equal(rig_claim(rig, TOPIC_WRITES, 0, 10).refusals_until, 18);
    sql_is(rig->db, "bad 10 17,less 10 12",
           "SELECT string_agg(reason || ' ' || (detail->>'from_offset') || ' ' || "
           "(detail->>'to_offset'), ',' ORDER BY id) FROM audit_log WHERE action = 'dlq-accept'");
    sql_ok(rig->db, "UPDATE ingest_progress SET generation = generation + 1");
    assert_int_equal(rig_claim(rig, TOPIC_WRITES, 0, 10).refusals_until, 0);
    pg_client_free(client);
}

static void letter(struct rig *rig, int offset, const char *reason, enum event_type type)
{
    char sql[512];
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO dead_letters (topic, partition, record_offset, reason, detail, "
                   "attempt_id) VALUES ('%s', 0, %d, '%s', '%s refused by PostgreSQL: 23514: x', "
                   "'a0000000-0000-4000-8000-%012d')",
                   rig->options.topics[TOPIC_WRITES], offset, reason, event_type_name(type),
                   offset);
    sql_ok(rig->db, sql);
}

static void refused_is(struct rig *rig, int64_t offset, unsigned refusals)
{
    struct claim claim = rig_claim(rig, TOPIC_WRITES, 0, 10);
    assert_int_equal(claim.refused.known, offset >= 0);
    if (offset >= 0) {
        struct uuid attempt = rig_uuid('a', (unsigned)offset);
        assert_int_equal(claim.refused.offset, offset);
        assert_true(uuid_equal(&claim.refused.attempt_id, &attempt));
    }
    assert_int_equal(claim.refusals, refusals);
}

/* The brake's memory: letters for a refusal, until a submit is applied or somebody settles them. */
static void test_claim_brings_what_was_refused(void **state)
{
    struct rig *rig = *state;
    refused_is(rig, -1, 0);
    letter(rig, 11, "constraint", EVENT_SAVED);
    letter(rig, 12, "json", EVENT_SUBMITTED);
    refused_is(rig, -1, 1);
    letter(rig, 13, "constraint", EVENT_SUBMITTED);
    letter(rig, 14, "constraint", EVENT_SUBMITTED);
    letter(rig, 15, "constraint", EVENT_SAVED);
    refused_is(rig, 14, 4);
    sql_ok(rig->db, "UPDATE dead_letters SET discarded_at = now() WHERE record_offset = 14");
    refused_is(rig, 13, 3);
    sql_ok(rig->db, "UPDATE dead_letters SET discarded_at = NULL, replayed_at = now() "
                    "WHERE record_offset = 14");
    refused_is(rig, 13, 3);
    /* One that was applied before it changes nothing, one after it ends the row. */
    sql_ok(rig->db, "INSERT INTO attempt_rows (id) VALUES (gen_random_uuid())");
    sql_ok(rig->db, "INSERT INTO submissions (attempt_id, version, submitted_at, topic, partition, "
                    "generation, record_offset) SELECT id, 2, now(), 't.attempt.writes', 0, 1, 12 "
                    "FROM attempt_rows");
    refused_is(rig, 13, 3);
    sql_ok(rig->db, "UPDATE submissions SET record_offset = 16");
    refused_is(rig, -1, 3);
    letter(rig, 17, "constraint", EVENT_SUBMITTED);
    refused_is(rig, 17, 4);
    for (int offset = 100; offset < 130; offset++)
        letter(rig, offset, "constraint", EVENT_SAVED);
    refused_is(rig, 17, 20);
    /* Long ago, by the log; of another log; and accepted. */
    sql_ok(rig->db, "UPDATE ingest_progress SET next_offset = 100111");
    refused_is(rig, 17, 19);
    sql_ok(rig->db, "UPDATE ingest_progress SET refusals_generation = 1, refusals_until = 120");
    refused_is(rig, -1, 10);
    sql_ok(rig->db, "UPDATE ingest_progress SET generation = 2");
    refused_is(rig, -1, 0);
    /* What was applied of the other log ends nothing in this one. */
    sql_ok(rig->db, "UPDATE dead_letters SET generation = 2 WHERE record_offset = 13");
    refused_is(rig, 13, 0);
}

/* The schema version before ours has no columns for it. */
static void test_claim_works_without_the_word(void **state)
{
    struct rig *rig = *state;
    sql_ok(rig->db, "ALTER TABLE ingest_progress DROP COLUMN refusals_until, "
                    "DROP COLUMN refusals_generation");
    assert_int_equal(rig_claim(rig, TOPIC_WRITES, 0, 10).refusals_until, 0);
    letter(rig, 13, "constraint", EVENT_SUBMITTED);
    refused_is(rig, 13, 1);
}

static void test_claim_makes_and_raises(void **state)
{
    struct rig *rig = *state;
    struct claim claims[] = { { .tp = { TOPIC_ACTIVITY, 1 }, .low = 7 },
                              { .tp = { TOPIC_WRITES, 3 }, .low = 40, .may_create = true },
                              { .tp = { TOPIC_ACTIVITY, 0 }, .low = 5, .may_create = true } };
    struct store_call call = { .step = STORE_CLAIM, .claim = { claims, 3 } };
    assert_int_equal(rig_run(rig, &call), STORE_OK);
    assert_false(claims[0].found);
    assert_false(claims[0].created);
    assert_true(claims[1].found && claims[1].created);
    assert_true(claims[2].found && claims[2].created);
    assert_int_equal(claims[1].first_offset, 40);
    assert_int_equal(claims[1].next_offset, 40);
    assert_int_equal(claims[1].published_offset, 40);
    assert_int_equal(claims[2].next_offset, 5);
    assert_int_equal(claims[1].epoch, 1);
    assert_int_equal(claims[1].generation, 1);
    assert_false(claims[1].has_anchor);
    assert_int_equal(rig_run(rig, &call), STORE_OK);
    assert_true(claims[1].found && !claims[1].created);
    assert_int_equal(claims[1].epoch, 2);
    sql_is(rig->db, "rig/1", "SELECT owner FROM ingest_progress WHERE partition = 3");
}

/* ----------------------------------------------------------------------------------- moving */

static void test_move_and_counters(void **state)
{
    struct rig *rig = *state;
    rig_claim(rig, TOPIC_WRITES, 0, 10);
    rig_plan(rig, 10, 15);
    rig->moves[0].published = 9;
    rig_ok(rig, STORE_OPEN);
    assert_true(rig->moves[0].hit);
    assert_true(rig->plan.committed_at_us > 1700000000000000);
    int64_t counts[] = { 1, 1, 1, 1, 1 };
    memcpy(rig->moves[0].counts, counts, sizeof counts);
    rig->moves[0].gaps = 2;
    rig_ok(rig, STORE_CLOSE);
    sql_is(rig->db, "15|10|5|1|1|1|1|1|2",
           "SELECT concat_ws('|', next_offset, published_offset, records, applied, duplicate, "
           "stale, late, dead, gaps) FROM ingest_progress");
    struct claim claim = rig_claim(rig, TOPIC_WRITES, 0, 0);
    assert_true(claim.has_anchor);
    assert_int_equal(claim.anchor.offset, 14);
    assert_int_equal(claim.anchor.timestamp_ms, 1234);
    assert_memory_equal(claim.anchor.hash, "0123456789abcde", 16);

    /* Only control records were passed: the anchor stays. */
    rig_plan(rig, 15, 16);
    rig->moves[0].has_anchor = false;
    rig->moves[0].anchor = (struct anchor){ .offset = 15, .timestamp_ms = 99 };
    rig->moves[0].published = 12;
    sql_ok(rig->db, "UPDATE ingest_progress SET updated_at = '2001-01-01'");
    rig_flush(rig, 0);
    sql_is(rig->db, "5 2", "SELECT concat_ws(' ', records, gaps) FROM ingest_progress");
    sql_is(rig->db, "t", "SELECT updated_at > '2020-01-01' FROM ingest_progress");
    claim = rig_claim(rig, TOPIC_WRITES, 0, 0);
    assert_int_equal(claim.next_offset, 16);
    assert_int_equal(claim.published_offset, 12);
    assert_int_equal(claim.anchor.offset, 14);
    assert_int_equal(claim.anchor.timestamp_ms, 1234);
    assert_memory_equal(claim.anchor.hash, "0123456789abcde", 16);
}

static void expect_miss(struct rig *rig)
{
    rig_start(rig, 1, 1);
    rig_ok(rig, STORE_OPEN);
    assert_false(rig->moves[0].hit);
    rig_ok(rig, STORE_UNDO);
    sql_is(rig->db, "10|0|0",
           "SELECT concat_ws('|', next_offset, records, (SELECT count(*) FROM attempt_rows)) "
           "FROM ingest_progress WHERE topic = 't.attempt.writes'");
}

static void test_a_miss_changes_nothing(void **state)
{
    struct rig *rig = *state;
    rig_claim(rig, TOPIC_WRITES, 0, 10);
    rig_plan(rig, 9, 15);
    expect_miss(rig);
    rig_plan(rig, 11, 15); /* a ledger that was put back: what lies between would never be read */
    expect_miss(rig);
    rig_plan(rig, 10, 15);
    rig->moves[0].epoch--;
    expect_miss(rig);
    rig_plan(rig, 10, 15);
    rig->moves[0].generation++;
    expect_miss(rig);
    rig_plan(rig, 10, 15);
    rig->moves[0].tp.partition = 77;
    expect_miss(rig);
}

static void test_a_miss_among_hits_is_told_even_if_more_goes_wrong(void **state)
{
    struct rig *rig = *state;
    rig_claim(rig, TOPIC_ACTIVITY, 2, 100);
    int64_t activity_epoch = rig->epoch;
    rig_claim(rig, TOPIC_WRITES, 0, 10);
    rig_plan(rig, 10, 15);
    rig->moves[1] = rig->moves[0];
    rig->moves[1].tp = (struct tp){ TOPIC_ACTIVITY, 2 };
    rig->moves[1].epoch = activity_epoch;
    rig->moves[1].expected_next = 99;
    rig->plan.move_count = 2;
    sql_ok(rig->db, "INSERT INTO attempts (id) VALUES ('a0000000-0000-4000-8000-000000000001')");
    rig_fold(rig, 1, 1, 2, "{not json}", 1);
    rig_ok(rig, STORE_OPEN);
    assert_true(rig->moves[0].hit);
    assert_false(rig->moves[1].hit);
    rig_ok(rig, STORE_UNDO);
    /* With all hits the same is a data error. */
    rig->moves[1].expected_next = 100;
    rig->moves[1].new_next = 101;
    rig_fails(rig, STORE_OPEN, ERR_REJECT, "22P02");
    assert_null(strstr(rig->err.text, "not json"));
    rig_ok(rig, STORE_UNDO);
    rig->plan.fold_count = 0;
    rig_flush(rig, 5);
}

/* The new owner waits for the old one's transaction, sees its end, and fences it. */
static void test_a_claim_waits_and_fences(void **state)
{
    struct rig *rig = *state;
    rig_claim(rig, TOPIC_WRITES, 0, 10);
    struct pg_store *other = rig_new_worker(rig, "rig/2");
    struct store port = pg_store_port(other);

    rig_plan(rig, 10, 15);
    rig_ok(rig, STORE_OPEN);
    struct claim claim = { .tp = { TOPIC_WRITES, 0 } };
    struct store_call call = { .step = STORE_CLAIM, .claim = { &claim, 1 } };
    port.start(port.self, &call);
    rig_poll_until_it_waits(rig, &port);
    rig->moves[0].counts[OUTCOME_APPLIED] = 5;
    rig_ok(rig, STORE_CLOSE);
    assert_int_equal(rig_poll_to_its_end(rig, &port), STORE_OK);
    assert_int_equal(claim.next_offset, 15);
    assert_int_equal(claim.epoch, rig->epoch + 1);
    pg_store_free(other);

    rig_plan(rig, 15, 16);
    rig_ok(rig, STORE_OPEN);
    assert_false(rig->moves[0].hit);
    rig_ok(rig, STORE_UNDO);
}

/*
 * A backup that is older than a claim gives the next claim the same epoch again. The first of the
 * two must not pass for the second, whatever it tries.
 */
static void test_an_epoch_that_is_given_twice(void **state)
{
    struct rig *rig = *state;
    struct claim first = rig_claim(rig, TOPIC_WRITES, 0, 10);
    rig_plan(rig, 10, 15);
    rig_flush(rig, 5);
    sql_ok(rig->db, "UPDATE ingest_progress SET epoch = epoch - 1"); /* the backup */

    struct pg_store *other = rig_new_worker(rig, "rig/2");
    struct store port = pg_store_port(other);
    struct claim second = { .tp = { TOPIC_WRITES, 0 } };
    struct store_call call = { .step = STORE_CLAIM, .arena = &rig->arena, .claim = { &second, 1 } };
    assert_int_equal(rig_run_on(&port, &call, &rig->err), STORE_OK);
    assert_int_equal(second.epoch, first.epoch);
    assert_int_equal(second.next_offset, 15);

    rig_plan(rig, 15, 16);
    rig_ok(rig, STORE_OPEN);
    assert_false(rig->moves[0].hit);
    rig_ok(rig, STORE_UNDO);

    struct mark mark = { .tp = { TOPIC_WRITES, 0 },
                         .generation = rig->generation,
                         .epoch = rig->epoch,
                         .published_offset = 12 };
    call = (struct store_call){ .step = STORE_MARK, .mark = { &mark, 1 } };
    assert_int_equal(rig_run(rig, &call), STORE_OK);
    assert_false(mark.hit);
    assert_int_equal(rig_run_on(&port, &call, &rig->err), STORE_OK);
    assert_true(mark.hit);

    struct resolution resolution = { .tp = { TOPIC_WRITES, 0 } };
    call = (struct store_call){ .step = STORE_RESOLVE, .resolve = { &resolution, 1 } };
    assert_int_equal(rig_run(rig, &call), STORE_OK);
    assert_false(resolution.found);
    assert_int_equal(rig_run_on(&port, &call, &rig->err), STORE_OK);
    assert_true(resolution.found);
    assert_int_equal(resolution.epoch, first.epoch);
    pg_store_free(other);
}

/*
 * A worker that is cut off in the middle of a transaction leaves a backend behind that holds the
 * row, and that no packet reaches any more. It must not hold it for long: whoever is given the
 * partition waits for it.
 */
/* Rows are locked in one order, whatever the order of the call: who waits for the first holds none.
 */
static void test_a_claim_that_waits_holds_no_other_row(void **state)
{
    struct rig *rig = *state;
    rig_claim(rig, TOPIC_WRITES, 0, 10);
    rig_claim(rig, TOPIC_ACTIVITY, 2, 10);
    struct pg_store *other = rig_new_worker(rig, "rig/2");
    struct store port = pg_store_port(other);
    rig_plan(rig, 10, 15);
    rig->moves[0].tp = (struct tp){ TOPIC_ACTIVITY, 2 };
    rig_ok(rig, STORE_OPEN);
    struct claim claims[] = { { .tp = { TOPIC_WRITES, 0 } }, { .tp = { TOPIC_ACTIVITY, 2 } } };
    struct store_call call = { .step = STORE_CLAIM, .claim = { claims, 2 } };
    port.start(port.self, &call);
    rig_poll_until_it_waits(rig, &port);
    sql_ok(rig->db, "SELECT FROM ingest_progress WHERE topic LIKE '%writes' FOR UPDATE NOWAIT");
    rig_ok(rig, STORE_UNDO);
    assert_int_equal(rig_poll_to_its_end(rig, &port), STORE_OK);
    pg_store_free(other);
}

static void test_a_backend_without_a_client_lets_go(void **state)
{
    struct rig *rig = *state;
    assert_in_range(rig->options.session.idle_in_transaction_ms, 1000, 30000);
    rig_claim(rig, TOPIC_WRITES, 0, 10);
    rig->options.session.idle_in_transaction_ms = 300;
    struct pg_store *cut_off = rig_new_store(rig);
    struct store port = pg_store_port(cut_off);
    struct store_call call = { .step = STORE_CONNECT };
    assert_int_equal(rig_run_on(&port, &call, &rig->err), STORE_OK);
    rig_plan(rig, 10, 15);
    call = (struct store_call){ .step = STORE_OPEN, .plan = &rig->plan, .arena = &rig->arena };
    assert_int_equal(rig_run_on(&port, &call, &rig->err), STORE_OK);
    assert_true(rig->moves[0].hit);
    /* From here on nothing is heard of it. */
    struct claim claim = rig_claim(rig, TOPIC_WRITES, 0, 10);
    assert_int_equal(claim.next_offset, 10);
    call.step = STORE_CLOSE;
    rig->moves[0].counts[OUTCOME_APPLIED] = 5;
    assert_int_equal(rig_run_on(&port, &call, &rig->err), STORE_FAILED);
    assert_int_equal(rig->err.action, ERR_LOST);
    assert_string_equal(rig->err.code, "25P03");
    pg_store_free(cut_off);
}

static void test_undo_without_a_transaction(void **state)
{
    struct rig *rig = *state;
    rig_ok(rig, STORE_UNDO);
    rig->port.abandon(rig->port.self);
    rig_ok(rig, STORE_UNDO);
    rig_fails(rig, STORE_OPEN, ERR_LOST, "connect");
    rig_ok(rig, STORE_CONNECT);
}

static void test_mark_moves_forward_only(void **state)
{
    struct rig *rig = *state;
    rig_claim(rig, TOPIC_WRITES, 0, 10);
    rig_plan(rig, 10, 20);
    rig_flush(rig, 10);
    struct mark marks[] = { { .tp = { TOPIC_WRITES, 0 },
                              .generation = rig->generation,
                              .epoch = rig->epoch,
                              .published_offset = 18 } };
    struct store_call call = { .step = STORE_MARK, .mark = { marks, 1 } };
    assert_int_equal(rig_run(rig, &call), STORE_OK);
    assert_true(marks[0].hit);
    sql_is(rig->db, "18", "SELECT published_offset FROM ingest_progress");
    marks[0].published_offset = 17;
    assert_int_equal(rig_run(rig, &call), STORE_OK);
    assert_true(marks[0].hit);
    marks[0].published_offset = 21; /* more than there is: the ledger was put back */
    assert_int_equal(rig_run(rig, &call), STORE_OK);
    assert_false(marks[0].hit);
    marks[0].published_offset = 20;
    marks[0].generation++;
    assert_int_equal(rig_run(rig, &call), STORE_OK);
    assert_false(marks[0].hit);
    marks[0].generation--;
    marks[0].epoch--;
    assert_int_equal(rig_run(rig, &call), STORE_OK);
    assert_false(marks[0].hit);
    sql_is(rig->db, "18", "SELECT published_offset FROM ingest_progress");
}

/* ------------------------------------------------------------------------- lost connections */

static void kill_store(struct rig *rig)
{
    sql_ok(rig->db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'attemptd' AND datname = current_database()");
}

static void test_killed_in_a_transaction(void **state)
{
    struct rig *rig = *state;
    rig_claim(rig, TOPIC_WRITES, 0, 10);
    rig_plan(rig, 10, 15);
    rig_start(rig, 1, 1);
    rig_ok(rig, STORE_OPEN);
    kill_store(rig);
    rig_fails(rig, STORE_CLOSE, ERR_LOST, "57P01");
    rig_ok(rig, STORE_UNDO);
    rig_fails(rig, STORE_OPEN, ERR_LOST, "connect");
    rig_ok(rig, STORE_CONNECT);
    struct resolution resolution = { .tp = { TOPIC_WRITES, 0 } };
    struct store_call call = { .step = STORE_RESOLVE, .resolve = { &resolution, 1 } };
    assert_int_equal(rig_run(rig, &call), STORE_OK);
    assert_true(resolution.found);
    assert_int_equal(resolution.next_offset, 10);
    assert_int_equal(resolution.epoch, rig->epoch);
    rig_flush(rig, 5);
    assert_int_equal(rig_run(rig, &call), STORE_OK);
    assert_int_equal(resolution.next_offset, 15);
}

/* COMMIT is slow; the connection goes while it is under way. RESOLVE waits for the backend. */
static void test_resolve_waits_for_a_commit_under_way(void **state)
{
    struct rig *rig = *state;
    sql_ok(rig->db, "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
                    "'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END'");
    sql_ok(rig->db, "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON attempt_rows "
                    "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()");
    rig_claim(rig, TOPIC_WRITES, 0, 10);
    rig_plan(rig, 10, 15);
    rig_start(rig, 1, 1);
    rig_ok(rig, STORE_OPEN);
    rig->moves[0].counts[OUTCOME_APPLIED] = 5;
    struct store_call close = { .step = STORE_CLOSE, .arena = &rig->arena, .plan = &rig->plan };
    rig->port.start(rig->port.self, &close);
    assert_int_equal(rig->port.poll(rig->port.self, &rig->err), STORE_BUSY);
    while (sql_number(rig->db, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = "
                               "'PgSleep' AND datname = current_database()") == 0)
        ;
    rig->port.abandon(rig->port.self);
    assert_int_equal(rig->port.poll(rig->port.self, &rig->err), STORE_FAILED);
    assert_int_equal(rig->err.action, ERR_LOST);
    rig_ok(rig, STORE_CONNECT);
    struct resolution resolution = { .tp = { TOPIC_WRITES, 0 } };
    struct store_call call = { .step = STORE_RESOLVE, .resolve = { &resolution, 1 } };
    assert_int_equal(rig_run(rig, &call), STORE_OK);
    assert_int_equal(resolution.next_offset, 15);
    sql_is(rig->db, "1", "SELECT count(*) FROM attempt_rows");
}

static void test_commit_that_fails_is_no_commit(void **state)
{
    struct rig *rig = *state;
    sql_ok(rig->db, "ALTER TABLE attempt_rows ADD COLUMN twin uuid DEFAULT "
                    "'a0000000-0000-4000-8000-000000000009', ADD CONSTRAINT twins UNIQUE (twin) "
                    "DEFERRABLE INITIALLY DEFERRED");
    rig_ok(rig, STORE_CONNECT); /* the table has changed: prepare again */
    rig_claim(rig, TOPIC_WRITES, 0, 10);
    rig_plan(rig, 10, 15);
    rig_start(rig, 1, 1);
    rig_start(rig, 2, 1);
    rig_ok(rig, STORE_OPEN);
    rig_fails(rig, STORE_CLOSE, ERR_REJECT, "23505");
    assert_non_null(strstr(rig->err.text, "twins"));
    rig_ok(rig, STORE_UNDO);
    rig->plan.trial = true;
    rig_ok(rig, STORE_OPEN);
    rig_fails(rig, STORE_CLOSE, ERR_REJECT, "23505");
    rig_ok(rig, STORE_UNDO);
    sql_is(rig->db, "10", "SELECT next_offset FROM ingest_progress");
}

static void test_commit_of_a_failed_transaction_is_a_bug(void **state)
{
    struct rig *rig = *state;
    rig_claim(rig, TOPIC_WRITES, 0, 10);
    rig_plan(rig, 10, 15);
    sql_ok(rig->db, "INSERT INTO attempts (id) VALUES ('a0000000-0000-4000-8000-000000000001')");
    rig_fold(rig, 1, 1, 2, "{not json}", 1);
    rig_fails(rig, STORE_OPEN, ERR_REJECT, "22P02");
    /* An engine that forgot to undo: the server answers COMMIT with ROLLBACK. */
    rig->plan.move_count = 0;
    rig_fails(rig, STORE_CLOSE, ERR_BUG, "rollback");
    sql_is(rig->db, "10", "SELECT next_offset FROM ingest_progress");
}

static void test_commit_that_is_not_replicated_is_unknown(void **state)
{
    struct rig *rig = *state;
    rig_claim(rig, TOPIC_WRITES, 0, 10);
    rig_plan(rig, 10, 15);
    rig_ok(rig, STORE_OPEN);
    PGconn *super = sql_connect(pg_group_server()->superuser_url);
    sql_ok(super, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    sql_ok(super, "SELECT pg_reload_conf()");
    (void)sql_number(super, "SELECT 1 FROM pg_sleep(0.3)");
    struct store_call close = { .step = STORE_CLOSE, .arena = &rig->arena, .plan = &rig->plan };
    rig->moves[0].counts[OUTCOME_APPLIED] = 5;
    rig->port.start(rig->port.self, &close);
    while (sql_number(super, "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity "
                             "WHERE wait_event = 'SyncRep'") == 0)
        (void)rig->port.poll(rig->port.self, &rig->err);
    enum store_state end;
    while ((end = rig->port.poll(rig->port.self, &rig->err)) == STORE_BUSY)
        ;
    sql_ok(super, "ALTER SYSTEM RESET synchronous_standby_names");
    sql_ok(super, "SELECT pg_reload_conf()");
    PQfinish(super);
    assert_int_equal(end, STORE_FAILED);
    assert_int_equal(rig->err.action, ERR_LOST);
    assert_string_equal(rig->err.code, "01000");
    sql_is(rig->db, "15", "SELECT next_offset FROM ingest_progress");
}

static void test_a_server_that_stops_is_lost(void **state)
{
    struct rig *rig = *state;
    struct err err = { 0 };
    rig_claim(rig, TOPIC_WRITES, 0, 10);
    rig_plan(rig, 10, 15);
    rig_ok(rig, STORE_OPEN);
    assert_true(private_pg_restart(pg_group_server(), "immediate", &err));
    assert_int_equal(rig_step(rig, STORE_CLOSE), STORE_FAILED);
    assert_int_equal(rig->err.action, ERR_LOST);
    rig_ok(rig, STORE_CONNECT);
    PQreset(rig->db);
    sql_is(rig->db, "10", "SELECT next_offset FROM ingest_progress");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_open, rig_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_connect_names_the_schema_it_misses),
        TEST(test_connect_takes_the_version_before),
        TEST(test_connect_compares_settings),
        TEST(test_connect_says_why_not),
        TEST(test_claim_makes_and_raises),
        TEST(test_claim_brings_the_word_about_refusals),
        TEST(test_claim_brings_what_was_refused),
        TEST(test_claim_works_without_the_word),
        TEST(test_move_and_counters),
        TEST(test_a_miss_changes_nothing),
        TEST(test_a_miss_among_hits_is_told_even_if_more_goes_wrong),
        TEST(test_a_claim_waits_and_fences),
        TEST(test_a_claim_that_waits_holds_no_other_row),
        TEST(test_an_epoch_that_is_given_twice),
        TEST(test_a_backend_without_a_client_lets_go),
        TEST(test_undo_without_a_transaction),
        TEST(test_mark_moves_forward_only),
        TEST(test_killed_in_a_transaction),
        TEST(test_resolve_waits_for_a_commit_under_way),
        TEST(test_commit_that_fails_is_no_commit),
        TEST(test_commit_of_a_failed_transaction_is_a_bug),
        TEST(test_commit_that_is_not_replicated_is_unknown),
        TEST(test_a_server_that_stops_is_lost),
    };
    return cmocka_run_group_tests_name("store_ledger", tests, pg_group_start, pg_group_stop);
}
