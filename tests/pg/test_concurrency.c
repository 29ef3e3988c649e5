/*
 * The worker and the functions on the same attempts at the same time, from eight sessions: versions
 * only grow, no update is lost, a submitted attempt stays, and no call of a function fails.
 *
 * Three sessions are workers (the real store, a partition each), four call the functions, one
 * watches. Every applied save adds an answer of its own, so that in the end an attempt's version
 * says how many there must be. ATTEMPTD_TEST_SECONDS says for how long (default: 5, and with
 * PATIENCE that many times as long).
 */
#include "common/clock.h"
#include "common/rng.h"
#include "tests/pg/store_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ATTEMPTS 40
#define WORKERS  3
#define CALLERS  4
#define SESSIONS (WORKERS + CALLERS + 1)
#define SELDOM   60 /* every so many turns something is submitted */

static int64_t test_end_ms(void)
{
    const char *seconds = getenv("ATTEMPTD_TEST_SECONDS");
    int64_t usual = 5 * (int64_t)private_pg_patience();
    return clock_now_ms() + (seconds ? strtoll(seconds, NULL, 10) : usual) * 1000;
}

#define ATTEMPT "('a0000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid"

/* A child that finds something wrong says so and ends; the parent counts. */
static void check(PGconn *db, bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "%s: %s", what, PQerrorMessage(db));
    _exit(1);
}

static PGresult *ask(PGconn *db, const char *sql)
{
    PGresult *result = PQexec(db, sql);
    ExecStatusType status = PQresultStatus(result);
    check(db, status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK, sql);
    return result;
}

/* ---------------------------------------------------------------------------------- callers */

/* Saves of some attempts in any order, some with an old version, and one for an unknown id. */
static void save_some(PGconn *db, int caller, int turn)
{
    char sql[1024];
    (void)snprintf(
        sql, sizeof sql,
        "SELECT count(*) = 13 AND bool_and(outcome IN ('applied', 'conflict', 'late', 'unknown', "
        "'repeated')) AND bool_and(outcome <> 'conflict' OR version IS NOT NULL) "
        "FROM batch_save_attempts((SELECT jsonb_agg(jsonb_build_object('attempt_id', id, "
        "'expected_version', greatest(version - (random() < 0.1)::int, 1), 'event_id', "
        "gen_random_uuid(), 'answers', jsonb_build_object('c%d_%d', 1))) FROM ("
        "(SELECT id, version FROM attempts ORDER BY random() LIMIT 12) UNION ALL "
        "SELECT gen_random_uuid(), 1) AS chosen))",
        caller, turn);
    PGresult *result = ask(db, sql);
    check(db, strcmp(PQgetvalue(result, 0, 0), "t") == 0, "the outcomes of a save");
    PQclear(result);
}

static void call_functions(const char *url, int caller, int64_t end_ms)
{
    PGconn *db = sql_connect(url);
    struct rng rng = { (uint64_t)caller };
    for (int turn = 0; clock_now_ms() < end_ms; turn++) {
        save_some(db, caller, turn);
        PQclear(ask(db, "SELECT batch_log_attempt_activity((SELECT jsonb_agg(jsonb_build_object("
                        "'attempt_id', id, 'events', jsonb_build_array(jsonb_build_object("
                        "'event_id', md5((random() * 500)::int::text)::uuid, 'event_type', 'x', "
                        "'occurred_at', '2026-11-21T12:00:00Z')))) FROM (SELECT id FROM attempts "
                        "ORDER BY random() LIMIT 5) a))"));
        if (rng_below(&rng, SELDOM) == 0)
            PQclear(ask(db, "SELECT batch_submit_attempts(ARRAY(SELECT id FROM attempts "
                            "ORDER BY random() LIMIT 1))"));
    }
    PQfinish(db);
    _exit(0);
}

/* ---------------------------------------------------------------------------------- workers */

static int64_t version_of(PGconn *db, unsigned attempt)
{
    char sql[160];
    (void)snprintf(sql, sizeof sql,
                   "SELECT version FROM (SELECT %u AS n) x, attempts a WHERE a.id = " ATTEMPT,
                   attempt);
    PGresult *result = ask(db, sql);
    int64_t version = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return version;
}

/* A plan that saves some attempts, in the order of their ids. */
static void plan_some(struct rig *rig, int worker, int64_t offset, char keys[][48], struct rng *rng)
{
    rig_plan(rig, offset, offset + 1);
    rig->moves[0].tp.partition = worker;
    size_t count = 0;
    for (unsigned n = 1; n <= ATTEMPTS; n++) {
        if (rng_below(rng, 3) != 0)
            continue;
        int64_t version = version_of(rig->db, n);
        (void)snprintf(keys[count], 48, "{\"w%d_%lld\": 1}", worker, (long long)offset);
        struct fold *fold = rig_fold(rig, n, version, version + 1, keys[count], 1);
        rig->event_ids[count++][0] = rig_uuid("bcd"[worker], (unsigned)offset * 100 + n);
        if (rng_below(rng, SELDOM * 10) == 0)
            rig_submit(rig, fold, offset);
        if (rig->plan.submission_count > 0)
            break; /* one record of the log is one submit */
    }
}

/* Only what was written was submitted. */
static void keep_written(struct rig *rig, int64_t offset)
{
    struct plan *plan = &rig->plan;
    if (plan->submission_count > 0 && !rig->submissions[0].fold->written)
        plan->submission_count = 0;
    if (plan->submission_count > 0)
        rig->submissions[0].entry->event.event_id =
            rig_uuid('f', (unsigned)offset * 10 + (unsigned)rig->moves[0].tp.partition);
    rig->moves[0].counts[OUTCOME_APPLIED] = 1;
}

static bool flush_some(struct rig *rig, int64_t offset)
{
    if (rig_step(rig, STORE_OPEN) == STORE_OK) {
        keep_written(rig, offset);
        if (rig_step(rig, STORE_CLOSE) == STORE_OK)
            return true;
    }
    check(rig->db, rig->err.action == ERR_RETRY, rig->err.text);
    rig_ok(rig, STORE_UNDO);
    return false;
}

static void work(struct rig *rig, int worker, int64_t end_ms)
{
    static char keys[RIG_MAX][48];
    struct rng rng = { 77 + (uint64_t)worker };
    /* What came with the fork is the parent's to close, and no leak of ours. */
    PGconn *parents_db = rig->db;
    struct pg_store *parents_store = rig->store;
    rig->db = sql_connect(rig->url);
    rig->store = rig_new_store(rig);
    rig->port = pg_store_port(rig->store);
    rig_ok(rig, STORE_CONNECT);
    (void)rig_claim(rig, TOPIC_WRITES, worker, 0);
    int64_t offset = 0;
    while (clock_now_ms() < end_ms) {
        plan_some(rig, worker, offset, keys, &rng);
        offset += flush_some(rig, offset);
        arena_reset(&rig->arena);
    }
    check(rig->db, offset > 0, "a worker never came to write");
    pg_store_free(rig->store);
    PQfinish(rig->db);
    rig->store = parents_store;
    rig->db = parents_db;
    _exit(0);
}

/* ---------------------------------------------------------------------------------- watcher */

/* Versions and revisions only grow; what is submitted does not change. */
static void watch(const char *url, int64_t end_ms)
{
    PGconn *db = sql_connect(url);
    PQclear(ask(db, "CREATE TEMP TABLE seen AS SELECT id, version, revision, status, answers "
                    "FROM attempts"));
    while (clock_now_ms() < end_ms) {
        PQclear(ask(db, "CREATE TEMP TABLE now_seen AS SELECT attempt_id AS id, s.version, "
                        "a.revision, s.status, s.answers FROM get_multiple_attempt_states("
                        "ARRAY(SELECT id FROM seen)) s JOIN attempts a ON a.id = s.attempt_id"));
        PGresult *result = ask(db, "SELECT count(*) FROM seen s JOIN now_seen n USING (id) WHERE "
                                   "n.version < s.version OR (s.status = 'submitted' AND "
                                   "(n.status, n.version, n.answers) IS DISTINCT FROM "
                                   "(s.status, s.version, s.answers))");
        check(db, strcmp(PQgetvalue(result, 0, 0), "0") == 0, "an attempt went back\n");
        PQclear(result);
        PQclear(ask(db, "DROP TABLE seen; ALTER TABLE now_seen RENAME TO seen"));
    }
    PQfinish(db);
    _exit(0);
}

/* ------------------------------------------------------------------------------------- test */

static void play(struct rig *rig, int session, int64_t end_ms)
{
    if (session < WORKERS)
        work(rig, session, end_ms);
    else if (session < WORKERS + CALLERS)
        call_functions(rig->url, session, end_ms);
    watch(rig->url, end_ms);
}

static void test_worker_and_functions_at_the_same_time(void **state)
{
    struct rig *rig = *state;
    pid_t pids[SESSIONS];
    char sql[512];
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO attempts (id) SELECT " ATTEMPT " FROM generate_series(1, %d) n",
                   ATTEMPTS);
    sql_ok(rig->db, sql);
    int64_t end_ms = test_end_ms();
    for (int i = 0; i < SESSIONS; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            play(rig, i, end_ms);
    }
    int failed = 0;
    for (int i = 0; i < SESSIONS; i++) {
        int status = 0;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    }
    assert_int_equal(failed, 0);
    /* No save was lost and none applied twice: each left its answer, a submit by SQL none. */
    sql_is(rig->db, "0",
           "SELECT count(*) FROM attempts a LEFT JOIN submissions s ON s.attempt_id = a.id "
           "WHERE a.version - 1 <> attempt_answered(answers) + "
           "(s.attempt_id IS NOT NULL AND s.topic IS NULL)::int "
           "OR (a.status = 'submitted') <> (s.attempt_id IS NOT NULL) "
           "OR attempt_document(a.id) <> a.answers");
    sql_is(rig->db, "0",
           "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()");
    print_message("          %lld saves, %lld flushes, %lld submits, %lld activity events\n",
                  sql_number(rig->db, "SELECT sum(version - 1) FROM attempts"),
                  sql_number(rig->db, "SELECT sum(records) FROM ingest_progress"),
                  sql_number(rig->db, "SELECT count(*) FROM submissions"),
                  sql_number(rig->db, "SELECT count(*) FROM activity_events"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_worker_and_functions_at_the_same_time, rig_open,
                                        rig_close),
    };
    return cmocka_run_group_tests_name("concurrency", tests, pg_group_start, pg_group_stop);
}
