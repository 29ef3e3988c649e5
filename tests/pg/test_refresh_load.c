/*
 * Refreshes do not delay the writes: flushes of a real store beside views that are refreshed
 * without a pause. No writer ever waits for a lock of the refreshing session; the latencies are
 * printed. ATTEMPTD_TEST_SECONDS says for how long each way (default: 3).
 */
#include "tests/pg/store_rig.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define FLUSHES_MAX 100000
#define PER_FLUSH   50

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int by_size(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* The refreshing session, until it is killed. */
static pid_t start_refreshing(const char *url)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    PGconn *db = sql_connect(url);
    PQclear(PQexec(db, "SET application_name = 'refreshing'"));
    static const char *const views[] = { "exam_attempt_stats", "question_stats",
                                         "student_activity_stats" };
    for (int i = 0;; i++) {
        char sql[64];
        (void)snprintf(sql, sizeof sql, "SELECT refresh_view('%s')", views[i % 3]);
        PGresult *result = PQexec(db, sql);
        if (PQresultStatus(result) != PGRES_TUPLES_OK) {
            (void)fprintf(stderr, "%s", PQresultErrorMessage(result));
            _exit(1);
        }
        PQclear(result);
        PQclear(PQexec(db, "INSERT INTO refreshed VALUES (1)"));
    }
}

/* A session that looks, as often as it can, for somebody who waits for the refreshing one. */
static pid_t start_watching(const char *url)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    PGconn *db = sql_connect(url);
    for (;;) {
        PGresult *result = PQexec(
            db,
            "INSERT INTO waited SELECT w.query FROM pg_stat_activity w, pg_stat_activity r WHERE "
            "r.application_name = 'refreshing' AND r.datname = current_database() "
            "AND r.pid = ANY (pg_blocking_pids(w.pid))");
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            _exit(1);
        PQclear(result);
        (void)usleep(2000);
    }
}

struct latencies {
    int64_t us[FLUSHES_MAX];
    size_t count;
    long long
        waits; /* looks at the server that found a writer waiting for the refreshing session */
};

/* That long, and until so many views were refreshed (but not for ever). */
static void flush_for(struct rig *rig, int64_t *offset, int64_t duration_us, long long refreshes,
                      struct latencies *ret)
{
    *ret = (struct latencies){ 0 };
    int64_t begun_us = now_us();
    while (ret->count < FLUSHES_MAX && now_us() < begun_us + 20 * duration_us &&
           (now_us() < begun_us + duration_us ||
            sql_number(rig->db, "SELECT count(*) FROM refreshed") < refreshes)) {
        rig_plan(rig, *offset, *offset + 1);
        for (unsigned n = 1; n <= PER_FLUSH; n++)
            (void)rig_fold(rig, n, *offset + 1, *offset + 2, "{\"q1\": 1, \"q2\": \"B\"}", 1);
        int64_t flushed_us = now_us();
        rig_flush(rig, 1);
        ret->us[ret->count++] = now_us() - flushed_us;
        ++*offset;
        arena_reset(&rig->arena);
    }
    qsort(ret->us, ret->count, sizeof *ret->us, by_size);
}

static double at(const struct latencies *latencies, double share)
{
    return (double)latencies->us[(size_t)((double)(latencies->count - 1) * share)] / 1000;
}

static void test_refreshes_do_not_delay_the_writes(void **state)
{
    static struct latencies quiet, loaded;
    struct rig *rig = *state;
    const char *text = getenv("ATTEMPTD_TEST_SECONDS");
    int64_t duration_us = (text ? strtoll(text, NULL, 10) : 3) * 1000000;
    sql_ok(rig->db, "CREATE TABLE refreshed (n int)");
    sql_ok(rig->db, "CREATE TABLE waited (query text)");
    sql_ok(rig->db, "INSERT INTO exams SELECT md5(n::text)::uuid FROM generate_series(1, 50) n");
    sql_ok(rig->db,
           "INSERT INTO attempts (id, exam_id, student_id, started_at, revision, answers) "
           "SELECT gen_random_uuid(), md5((n % 50 + 1)::text)::uuid, gen_random_uuid(), now(), "
           "1, '{\"q1\": 1, \"q2\": 2, \"q3\": 3}' FROM generate_series(1, 5000) n");
    for (unsigned n = 1; n <= PER_FLUSH; n++) {
        char id[40], sql[160];
        struct uuid uuid = rig_uuid('a', n);
        uuid_format(&uuid, id);
        (void)snprintf(sql, sizeof sql, "INSERT INTO attempts (id) VALUES ('%s')", id);
        sql_ok(rig->db, sql);
    }
    (void)rig_claim(rig, TOPIC_WRITES, 0, 0);
    int64_t offset = 0;
    flush_for(rig, &offset, duration_us, 0, &quiet);
    pid_t pids[] = { start_refreshing(rig->url), start_watching(rig->url) };
    flush_for(rig, &offset, duration_us, 6, &loaded);
    long long refreshes = sql_number(rig->db, "SELECT count(*) FROM refreshed");
    for (int i = 0; i < 2; i++) {
        int status = 0;
        assert_int_equal(waitpid(pids[i], &status, WNOHANG), 0); /* it works to the end */
        assert_int_equal(kill(pids[i], SIGKILL), 0);
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
    }
    print_message(
        "          flushes of %d: %zu alone, p50 %.1f p99 %.1f ms; %zu beside %lld refreshes, "
        "p50 %.1f p99 %.1f ms\n",
        PER_FLUSH, quiet.count, at(&quiet, 0.5), at(&quiet, 0.99), loaded.count, refreshes,
        at(&loaded, 0.5), at(&loaded, 0.99));
    assert_true(refreshes >= 6 && loaded.count > 20);
    sql_is(rig->db, "0", "SELECT count(*) FROM waited");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refreshes_do_not_delay_the_writes, rig_open,
                                        rig_close),
    };
    return cmocka_run_group_tests_name("refresh_load", tests, pg_group_start, pg_group_stop);
}
