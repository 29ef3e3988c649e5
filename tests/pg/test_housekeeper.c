/* The housekeeper on a real server: views, foreign changes, partitions, and its failures. */
#include "common/clock.h"
#include "tests/pg/private_pg.h"
#include "tests/pg/sql.h"
#include "worker/events/canonical.h"
#include "worker/postgres/housekeeper.h"
#include "worker/postgres/refresh.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PATIENCE_MS (10000 * (int64_t)private_pg_patience())
#define A           "'11111111-1111-4111-8111-111111111111'"

/* What one housekeeper told and wanted published. */
struct fixture {
    char url[PRIVATE_PG_URL_BYTES];
    PGconn *db;
    struct housekeeper *hk;
    bool confirm; /* at once */
    bool refuse;  /* publish() says: not now */
    uint64_t last_news;
    int months_kept, dropped;
    int submits, finished; /* published, and told */
    struct sql_submit last_submit;
    enum housekeeper_jobs jobs;
    int changes, views, refreshed, failed, partitions, unconfirmed, troubles;
    int balances;       /* told */
    int64_t difference; /* in the last */
    int looks;          /* at the ledger, of which one partition is kept: */
    int64_t generation, next_offset, published_offset, asked_ms, ledger_interval_ms; /* 0: 30 */
    int64_t last_revision, last_refresh;
    char last_view[64], last_error[256];
};

static bool publish(void *self, const struct housekeeper_news *news)
{
    struct fixture *f = self;
    if (f->refuse)
        return false;
    f->last_news = news->number;
    f->changes += (int)news->change_count;
    if (news->change_count > 0)
        f->last_revision = news->changes[news->change_count - 1].revision;
    f->submits += (int)news->submit_count;
    if (news->submit_count > 0)
        f->last_submit = news->submits[0];
    if (news->view) {
        f->views++;
        f->last_refresh = news->view->refreshes;
        (void)snprintf(f->last_view, sizeof f->last_view, "%.*s", BYTES_FMT(news->view->name));
    }
    return true;
}

static void note(void *self, const struct housekeeper_note *note)
{
    struct fixture *f = self;
    f->refreshed += note->kind == HOUSEKEEPER_REFRESHED;
    f->failed += note->kind == HOUSEKEEPER_REFRESH_FAILED;
    f->dropped += note->kind == HOUSEKEEPER_DROPPED;
    f->finished += note->kind == HOUSEKEEPER_SUBMITS ? (int)note->number : 0;
    f->partitions += note->kind == HOUSEKEEPER_PARTITION;
    f->unconfirmed += note->kind == HOUSEKEEPER_UNCONFIRMED;
    f->troubles += note->kind == HOUSEKEEPER_TROUBLE;
    f->looks += note->kind == HOUSEKEEPER_LOOKED;
    if (note->kind == HOUSEKEEPER_LEDGER && bytes_equal(note->name, BYTES("ledger")) &&
        note->partition == 2) {
        f->generation = note->generation;
        f->next_offset = note->number;
        f->published_offset = note->published_offset;
        f->asked_ms = note->asked_ms;
    }
    if (note->kind == HOUSEKEEPER_BALANCE && bytes_equal(note->name, BYTES("balance")) &&
        note->partition == 2) {
        f->balances++;
        f->difference = note->number;
    }
    if (note->err)
        (void)snprintf(f->last_error, sizeof f->last_error, "%s", note->err->text);
}

static void turn(struct fixture *f)
{
    uint64_t before = f->last_news;
    int64_t delay_ms = housekeeper_step(f->hk, clock_now_ms());
    if (f->confirm && f->last_news != before) {
        housekeeper_confirmed(f->hk, f->last_news);
        return;
    }
    struct pollfd fd = { housekeeper_fd(f->hk), housekeeper_events(f->hk), 0 };
    (void)poll(&fd, 1, delay_ms < 20 ? (int)delay_ms : 20);
}

/* Until the counter has reached that; fails when that takes too long. */
static void until(struct fixture *f, const int *counter, int least)
{
    int64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    while (*counter < least) {
        turn(f);
        if (clock_now_ms() > deadline_ms)
            fail_msg("waited in vain; the last error was: %s", f->last_error);
    }
}

/* Long enough for some cycles, in which nothing should happen. */
static void idle(struct fixture *f, int64_t ms)
{
    for (int64_t end_ms = clock_now_ms() + ms; clock_now_ms() < end_ms;)
        turn(f);
}

static void sign(void *self, struct sql_submit *submit)
{
    (void)self;
    if (submit->missing == 0 && submit->version != 3)
        (void)snprintf(submit->receipt, sizeof submit->receipt, "receipt of %d", submit->digest[0]);
}

static struct housekeeper *new_housekeeper(struct fixture *f)
{
    struct housekeeper_options options = {
        .jobs = f->jobs,
        .session = housekeeper_session_options(),
        .interval_ms = 20,
        .confirm_timeout_ms = 300,
        .balance_interval_ms = 30,
        .ledger_interval_ms = f->ledger_interval_ms ? f->ledger_interval_ms : 30,
        .months_ahead = 2,
        .months_kept = f->months_kept,
        .self = f,
        .publish = publish,
        .note = note,
        .sign = sign,
    };
    options.session.conninfo = f->url;
    return housekeeper_new(&options);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err err = { 0 };
    if (!f || !private_pg_database(pg_group_server(), true, false, f->url, &err)) {
        print_error("%s\n", err.text);
        return -1;
    }
    f->confirm = true;
    f->db = sql_connect(f->url);
    f->hk = new_housekeeper(f);
    *state = f;
    return f->db && f->hk ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    housekeeper_free(f->hk);
    PQfinish(f->db);
    free(f);
    return 0;
}

/* As if a flush had applied ten records; only one view has a short interval. */
static void make_news(struct fixture *f)
{
    sql_ok(f->db, "INSERT INTO ingest_progress (topic, partition, next_offset, records, applied) "
                  "VALUES ('attempt.writes', 0, 10, 10, 10) ON CONFLICT (topic, partition) "
                  "DO UPDATE SET next_offset = ingest_progress.next_offset + 10");
}

static void schedule_one(struct fixture *f)
{
    sql_ok(f->db, "UPDATE view_schedules SET every = NULL, max_staleness = NULL");
    sql_ok(f->db, "UPDATE view_schedules SET every = '0 s' WHERE view_name = 'question_stats'");
}

static void test_idle_hours_cost_nothing(void **state)
{
    struct fixture *f = *state;
    sql_ok(f->db, "UPDATE view_schedules SET every = '0 s', max_staleness = '0 s'");
    idle(f, 300);
    assert_int_equal(f->refreshed, 0);
    assert_int_equal(f->troubles, 0);
    sql_is(f->db, "0", "SELECT count(*) FROM view_freshness WHERE stale");
}

static void test_a_stale_view_is_refreshed_and_published(void **state)
{
    struct fixture *f = *state;
    schedule_one(f);
    sql_ok(f->db, "INSERT INTO exams (id) VALUES (" A ")");
    sql_ok(f->db, "INSERT INTO attempts (id, exam_id, student_id, answers, revision) "
                  "VALUES (" A ", " A ", " A ", '{\"q1\": 1}', 1)");
    make_news(f);
    sql_is(f->db, "10", "SELECT behind_records FROM view_freshness LIMIT 1");
    until(f, &f->views, 1);
    assert_string_equal(f->last_view, "question_stats");
    assert_int_equal(f->last_refresh, 1);
    sql_is(f->db, "1", "SELECT answered FROM question_stats WHERE question_id = 'q1'");
    idle(f, 200);
    assert_int_equal(f->views, 1);
    sql_is(f->db, "question_stats 10 1 1",
           "SELECT concat_ws(' ', view_name, position, refreshes, published) FROM view_schedules "
           "WHERE refreshes > 0");
    sql_is(f->db, "f", "SELECT stale FROM view_freshness WHERE view_name = 'question_stats'");
    /* What was committed while it went on is not in it: it is as of its beginning. */
    sql_is(f->db, "t",
           "SELECT as_of = last_started_at AND as_of < last_finished_at FROM view_schedules "
           "WHERE refreshes > 0");
    /* Without a rhythm it is refreshed when it has been stale for as long as it may be. */
    sql_ok(f->db, "UPDATE view_schedules SET every = NULL");
    make_news(f);
    idle(f, 100);
    assert_int_equal(f->views, 1);
    sql_ok(f->db, "UPDATE view_schedules SET max_staleness = '0 s' "
                  "WHERE view_name = 'question_stats'");
    until(f, &f->views, 2);
    assert_string_equal(f->last_view, "question_stats");
}

static void test_a_request_is_met_without_news(void **state)
{
    struct fixture *f = *state;
    schedule_one(f);
    idle(f, 100);
    assert_int_equal(f->views, 0);
    /* A request does not wait for a refresh, which holds the schedule's row. */
    PGconn *other = sql_connect(f->url);
    sql_ok(other, "BEGIN");
    sql_ok(other, "SELECT FROM view_schedules WHERE view_name = 'exam_attempt_stats' FOR UPDATE");
    sql_ok(f->db, "SET lock_timeout = '1s'");
    sql_ok(f->db, "INSERT INTO view_requests (view_name, requests) "
                  "VALUES ('exam_attempt_stats', 3)");
    idle(f, 200);
    assert_int_equal(f->views, 0); /* somebody else's */
    PQfinish(other);
    until(f, &f->views, 1);
    assert_string_equal(f->last_view, "exam_attempt_stats");
    sql_is(f->db, "3", "SELECT met_requests FROM view_schedules WHERE refreshes = 1");
    idle(f, 200);
    assert_int_equal(f->views, 1);
    /* Nobody refreshes a view that was taken out of use. */
    sql_ok(f->db, "UPDATE view_schedules SET enabled = false");
    sql_ok(f->db, "UPDATE view_requests SET requests = requests + 1");
    idle(f, 100);
    assert_int_equal(f->views, 1);
}

/* Whoever asks while a refresh is under way is not met by that one. */
static void test_a_request_is_met_by_a_later_refresh_only(void **state)
{
    struct fixture *f = *state;
    schedule_one(f);
    PGconn *other = sql_connect(f->url);
    sql_ok(other, "BEGIN");
    sql_ok(other, "REFRESH MATERIALIZED VIEW question_stats");
    sql_ok(f->db, "INSERT INTO view_requests (view_name) VALUES ('question_stats')");
    static const char waiting[] = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = "
                                  "'Lock' AND datname = current_database()";
    for (int n = 0; n < 200 && sql_number(f->db, waiting) == 0; n++)
        idle(f, 20);
    sql_ok(f->db, "UPDATE view_requests SET requests = requests + 1");
    sql_ok(other, "COMMIT");
    PQfinish(other);
    until(f, &f->views, 2);
    idle(f, 100);
    assert_int_equal(f->views, 2);
    sql_is(f->db, "2 2",
           "SELECT concat_ws(' ', refreshes, met_requests) FROM view_schedules "
           "WHERE refreshes > 0");
}

static void test_a_dependent_view_follows(void **state)
{
    struct fixture *f = *state;
    schedule_one(f);
    sql_ok(f->db, "UPDATE view_schedules SET every = '0 s', depends_on = '{question_stats}' "
                  "WHERE view_name = 'exam_attempt_stats'");
    idle(f, 100);
    assert_int_equal(f->views, 0);
    sql_ok(f->db, "INSERT INTO view_requests (view_name) VALUES ('question_stats')");
    until(f, &f->views, 2);
    assert_string_equal(f->last_view, "exam_attempt_stats");
    idle(f, 200);
    assert_int_equal(f->views, 2);
}

static void test_a_failure_is_recorded_and_tried_again(void **state)
{
    struct fixture *f = *state;
    schedule_one(f);
    sql_ok(f->db, "ALTER MATERIALIZED VIEW question_stats RENAME TO hidden");
    make_news(f);
    until(f, &f->failed, 1);
    idle(f, 300);
    assert_int_equal(f->failed, 1); /* not before its time */
    assert_non_null(strstr(f->last_error, "question_stats"));
    sql_is(f->db, "1 t",
           "SELECT concat_ws(' ', failures, next_try_at - last_started_at = '2 s') "
           "FROM view_schedules "
           "WHERE last_error LIKE '%question_stats%'");
    sql_ok(f->db, "ALTER MATERIALIZED VIEW hidden RENAME TO question_stats");
    sql_ok(f->db, "UPDATE view_schedules SET next_try_at = now()");
    until(f, &f->views, 1);
    sql_is(f->db, "0", "SELECT failures FROM view_schedules WHERE refreshes = 1");
    sql_is(f->db, "0", "SELECT count(*) FROM view_schedules WHERE last_error IS NOT NULL");
}

static void test_what_a_dead_worker_did_not_publish_is_found(void **state)
{
    struct fixture *f = *state;
    schedule_one(f);
    sql_ok(f->db, "UPDATE view_schedules SET refreshes = 7, published = 6, "
                  "last_finished_at = now() - interval '5 s' WHERE view_name = 'question_stats'");
    until(f, &f->views, 1);
    assert_int_equal(f->last_refresh, 7);
    idle(f, 200);
    assert_int_equal(f->views, 1);
    sql_is(f->db, "7", "SELECT published FROM view_schedules WHERE refreshes > 0");
}

/* The server's clock was put back by ten years: nothing waits until it gets there again. */
static void test_a_clock_that_was_put_back_holds_up_no_view(void **state)
{
    struct fixture *f = *state;
    schedule_one(f);
    sql_ok(f->db, "UPDATE view_schedules SET refreshes = 7, published = 6, every = '1 hour', "
                  "last_finished_at = now() + interval '10 years', as_of = now() + interval "
                  "'10 years', next_try_at = now() + interval '10 years' "
                  "WHERE view_name = 'question_stats'");
    until(f, &f->views, 1);
    assert_int_equal(f->last_refresh, 7);
    make_news(f);
    until(f, &f->views, 2);
    assert_int_equal(f->last_refresh, 8);
    sql_is(f->db, "t", "SELECT as_of <= now() FROM view_schedules WHERE refreshes = 8");
    idle(f, 200);
    assert_int_equal(f->views, 2);
}

static void test_foreign_changes_stay_until_they_are_confirmed(void **state)
{
    struct fixture *f = *state;
    schedule_one(f);
    f->confirm = false;
    sql_ok(f->db, "INSERT INTO attempts (id) VALUES (" A ")");
    sql_ok(f->db, "UPDATE attempts SET answers = '{\"q\": 1}'");
    until(f, &f->changes, 2);
    assert_int_equal(f->last_revision, 2);
    sql_is(f->db, "2", "SELECT count(*) FROM foreign_changes");
    struct fixture other = *f; /* another worker leaves them to who has them in hand */
    other.changes = 0;
    other.hk = new_housekeeper(&other);
    idle(&other, 100);
    assert_int_equal(other.changes, 0);
    housekeeper_free(other.hk);
    uint64_t first = f->last_news;
    until(f, &f->unconfirmed, 1);
    until(f, &f->changes, 4);
    housekeeper_confirmed(f->hk, first); /* too late: that was the first time */
    until(f, &f->changes, 6);
    sql_is(f->db, "2", "SELECT count(*) FROM foreign_changes");
    f->refuse = true;
    idle(f, 700);
    f->refuse = false;
    f->confirm = true;
    until(f, &f->views, 1); /* behind, because changes were taken */
    sql_is(f->db, "0", "SELECT count(*) FROM foreign_changes");
    sql_is(f->db, "2 2",
           "SELECT concat_ws(' ', taken, foreign_position) FROM foreign_progress, view_schedules "
           "WHERE refreshes = 1");
}

static void check_digest(const struct fixture *f)
{
    static const char answers[] = "{\"z\": 1.50, \"a\": [null, \"\\u00e4\"]}";
    struct arena scratch;
    struct buf room;
    uint8_t digest[HASH_256_BYTES];
    arena_init(&scratch, 4096, 1 << 20);
    buf_init(&room, 1 << 20);
    assert_true(canonical_digest(BYTES(answers), &scratch, &room, digest));
    assert_memory_equal(f->last_submit.digest, digest, sizeof digest);
    arena_release(&scratch);
    buf_release(&room);
}

static void test_a_submit_by_sql_is_digested_and_told(void **state)
{
    struct fixture *f = *state;
    schedule_one(f);
    sql_ok(f->db, "INSERT INTO attempts (id, version, answers) VALUES "
                  "(" A ", 6, '{\"z\": 1.50, \"a\": [null, \"\\u00e4\"]}')");
    until(f, &f->changes, 1);
    f->confirm = false;
    sql_ok(f->db, "UPDATE attempt_rows SET status = 'submitted', version = version + 1, "
                  "submitted_at = now() - interval '1 minute'");
    until(f, &f->changes, 2);
    housekeeper_confirmed(f->hk, f->last_news);
    until(f, &f->submits, 1);
    assert_int_equal(f->last_submit.version, 7);
    assert_int_equal(f->last_submit.committed_at_us,
                     sql_number(f->db, "SELECT extract(epoch FROM recorded_at) * 1000000 "
                                       "FROM submissions"));
    check_digest(f);
    /* Nobody confirms it: it is told again, and only then kept. */
    sql_is(f->db, NULL, "SELECT answers_digest FROM submissions");
    until(f, &f->unconfirmed, 1);
    until(f, &f->submits, 2);
    check_digest(f);
    housekeeper_confirmed(f->hk, f->last_news);
    until(f, &f->finished, 1);
    sql_is(f->db, "t",
           "SELECT octet_length(answers_digest) = 32 AND receipt = 'receipt of ' || "
           "get_byte(answers_digest, 0) FROM submissions");
    f->confirm = true;
    idle(f, 200);
    assert_int_equal(f->submits, 2);
    assert_int_equal(f->troubles, 0);
}

static void test_many_submits_by_sql_all_get_their_digests(void **state)
{
    struct fixture *f = *state;
    schedule_one(f);
    sql_ok(f->db, "INSERT INTO attempts (id, version, answers) SELECT md5(n::text)::uuid, 2, "
                  "jsonb_build_object('q', n) FROM generate_series(1, 230) n");
    sql_ok(f->db, "SELECT batch_submit_attempts(array_agg(id)) FROM attempts");
    until(f, &f->finished, 230);
    assert_int_equal(f->submits, 230);
    /* Version 3 has no receipt: null, as without a signing key. */
    sql_is(f->db, "230 230 0",
           "SELECT concat_ws(' ', count(*), count(DISTINCT answers_digest), count(receipt)) "
           "FROM submissions");
}

/* A refresh that waits for a lock holds up no news, because another housekeeper has that. */
static void test_news_does_not_wait_for_a_refresh(void **state)
{
    struct fixture *f = *state;
    struct fixture views = *f;
    housekeeper_free(f->hk);
    f->jobs = HOUSEKEEPER_NEWS;
    f->hk = new_housekeeper(f);
    views.jobs = HOUSEKEEPER_VIEWS;
    views.hk = new_housekeeper(&views);
    schedule_one(f);
    PGconn *other = sql_connect(f->url);
    sql_ok(other, "BEGIN");
    sql_ok(other, "REFRESH MATERIALIZED VIEW question_stats");
    make_news(f);
    idle(&views, 100);
    sql_ok(f->db, "INSERT INTO attempts (id) VALUES (" A ")");
    sql_ok(f->db, "UPDATE attempts SET status = 'submitted', submitted_at = now()");
    until(f, &f->finished, 1);
    assert_int_equal(f->changes, 2);
    assert_int_equal(views.views + f->views, 0);
    sql_ok(other, "COMMIT");
    PQfinish(other);
    until(&views, &views.views, 1);
    assert_int_equal(views.changes, 0);
    housekeeper_free(views.hk);
}

/* Activity that was stored by SQL makes views stale that count it, and is not told to caches. */
static void test_activity_by_sql_makes_views_stale(void **state)
{
    struct fixture *f = *state;
    schedule_one(f);
    sql_ok(f->db, "SELECT batch_log_attempt_activity('[{\"attempt_id\": "
                  "\"11111111-1111-4111-8111-111111111111\", \"events\": [{\"event_id\": "
                  "\"11111111-1111-4111-8111-111111111111\", \"event_type\": \"x\", "
                  "\"occurred_at\": \"2026-01-01T00:00:00Z\"}]}]')");
    sql_is(f->db, "t", "SELECT stale FROM view_freshness WHERE view_name = 'question_stats'");
    until(f, &f->views, 1);
    idle(f, 100);
    sql_is(f->db, "f", "SELECT stale FROM view_freshness WHERE view_name = 'question_stats'");
    sql_is(f->db, "0 1",
           "SELECT concat_ws(' ', (SELECT count(*) FROM foreign_activity), foreign_position())");
    assert_int_equal(f->changes, 0);
    assert_int_equal(f->views, 1);
}

static void test_old_activity_goes_also_outside_the_partitions(void **state)
{
    struct fixture *f = *state;
    housekeeper_free(f->hk);
    f->months_kept = 3;
    f->hk = new_housekeeper(f);
    sql_ok(f->db, "SELECT make_activity_partition((now() - interval '9 months')::date)");
    sql_ok(f->db, "INSERT INTO activity_events SELECT gen_random_uuid(), " A ", 'x', NULL, "
                  "now() - m * interval '1 month' FROM generate_series(1, 2500) n, "
                  "(VALUES (0), (2), (9), (300), (-600)) AS v (m) WHERE n = 1 OR m = 300");
    /* the first moment that is kept, and the last one that is not */
    sql_ok(f->db, "INSERT INTO activity_events SELECT gen_random_uuid(), " A ", 'x', NULL, "
                  "(date_trunc('month', now() AT TIME ZONE 'UTC') - interval '3 months') "
                  "AT TIME ZONE 'UTC' - n * interval '1 us' FROM generate_series(0, 1) n");
    until(f, &f->dropped, 1);
    /* A thousand a round, and how long that takes is the machine's business. */
    for (int n = 0; n < 200 && sql_number(f->db, "SELECT count(*) FROM activity_events") > 4; n++)
        idle(f, 50);
    sql_is(f->db, "4", "SELECT count(*) FROM activity_events");
    assert_int_equal(f->troubles, 0);
}

static void test_a_missing_month_gets_a_partition(void **state)
{
    struct fixture *f = *state;
    sql_ok(f->db, "DO $$ BEGIN EXECUTE 'DROP TABLE activity_events_' || to_char(now(), 'YYYY_MM'); "
                  "END $$");
    sql_ok(f->db, "INSERT INTO activity_events SELECT gen_random_uuid(), " A ", 'x', NULL, now() "
                  "FROM generate_series(1, 100)");
    sql_is(f->db, "100", "SELECT count(*) FROM activity_events_default");
    until(f, &f->partitions, 1);
    sql_is(f->db, "0", "SELECT count(*) FROM activity_events_default");
    sql_is(f->db, "100", "SELECT count(*) FROM activity_events");
    idle(f, 100);
    assert_int_equal(f->partitions, 1);
    assert_int_equal(f->troubles, 0);
}

static void test_it_comes_back_after_a_lost_connection(void **state)
{
    struct fixture *f = *state;
    schedule_one(f);
    until(f, &f->looks, 1); /* it has one to lose */
    sql_ok(f->db,
           "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
           "WHERE application_name = 'attemptd housekeeper' AND datname = current_database()");
    make_news(f);
    until(f, &f->troubles, 1);
    until(f, &f->views, 1);
}

static void test_a_refresh_by_hand_is_published_by_a_worker(void **state)
{
    struct fixture *f = *state;
    struct pg_client_options options = { .url = f->url };
    struct pg_client *client = NULL;
    struct refresh refresh = { 0 };
    struct err err = { 0 };
    schedule_one(f);
    make_news(f);
    sql_ok(f->db, "INSERT INTO view_requests (view_name, requests) "
                  "VALUES ('exam_attempt_stats', 5)");
    assert_true(pg_client_connect(&options, &client, &err));
    assert_true(refresh_view(client, "exam_attempt_stats", &refresh, &err));
    assert_int_equal(refresh.refreshes, 1);
    assert_int_equal(refresh.position, 10);
    sql_is(f->db, "5 10",
           "SELECT concat_ws(' ', met_requests, position) FROM view_schedules "
           "WHERE refreshes = 1");
    assert_false(refresh_view(client, "nonsense", &refresh, &err));
    assert_int_equal(err.action, ERR_REJECT);
    sql_ok(f->db, "ALTER MATERIALIZED VIEW student_activity_stats RENAME TO hidden");
    assert_false(refresh_view(client, "student_activity_stats", &refresh, &err));
    assert_string_equal(err.code, "42P01");
    sql_is(f->db, "1", "SELECT failures FROM view_schedules WHERE last_error IS NOT NULL");
    pg_client_free(client);
    until(f, &f->views, 2); /* the stale one, and the one refreshed by hand */
    assert_int_equal(f->refreshed, 1);
}

/* Carries out a change, lets it be weighed. */
static int64_t weigh(struct fixture *f, const char *sql)
{
    sql_ok(f->db, sql);
    until(f, &f->balances, f->balances + 2);
    return f->difference;
}

static void test_where_the_ledger_stands_is_told(void **state)
{
    struct fixture *f = *state;
    sql_ok(f->db, "INSERT INTO ingest_progress (topic, partition, generation, first_offset, "
                  "next_offset, published_offset) VALUES ('ledger', 2, 3, 0, 40, 40)");
    until(f, &f->looks, f->looks + 2);
    assert_int_equal(f->generation, 3);
    assert_int_equal(f->next_offset, 40);
    int64_t put_back_ms = clock_now_ms();
    sql_ok(f->db, "UPDATE ingest_progress SET next_offset = 30, published_offset = 30 "
                  "WHERE topic = 'ledger'");
    until(f, &f->looks, f->looks + 2);
    assert_int_equal(f->next_offset, 30);
    assert_int_equal(f->published_offset, 30);
    assert_true(f->asked_ms >= put_back_ms);
    assert_true(f->asked_ms <= clock_now_ms());
}

/* Another server may answer. */
static void test_a_new_session_looks_at_the_ledger_first(void **state)
{
    struct fixture *f = *state;
    housekeeper_free(f->hk);
    f->ledger_interval_ms = 3600000;
    f->refuse = true; /* nothing gets any further than to the publisher */
    f->hk = new_housekeeper(f);
    int looks = f->looks;
    until(f, &f->looks, looks + 1);
    idle(f, 200);
    assert_int_equal(f->looks, looks + 1);
    sql_ok(f->db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> "
                  "pg_backend_pid() AND datname = current_database()");
    until(f, &f->looks, looks + 2);
    assert_true(f->troubles > 0);
}

/* Conservation as it is seen live: somebody has been at the tables by hand. */
static void test_what_is_out_of_balance_is_told(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(
        weigh(f, "INSERT INTO ingest_progress (topic, partition, first_offset, next_offset, "
                 "published_offset, records, applied, stale, late, dead) "
                 "VALUES ('balance', 2, 0, 11, 11, 11, 7, 2, 1, 1);"
                 "INSERT INTO rejected_writes (attempt_id, event_id, outcome, event, topic, "
                 "partition, record_offset) SELECT " A ", " A ", CASE n WHEN 6 THEN 'late' "
                 "ELSE 'stale' END, '{}', 'balance', 2, n FROM unnest('{3,4,6}'::int[]) n;"
                 "INSERT INTO dead_letters (topic, partition, record_offset, reason) "
                 "VALUES ('balance', 2, 5, 'json')"),
        0);
    assert_int_equal(weigh(f, "DELETE FROM rejected_writes WHERE record_offset = 4"), 1);
    assert_int_equal(weigh(f, "UPDATE dead_letters SET record_offset = 11"), 2);
    assert_int_equal(weigh(f, "INSERT INTO dead_letters (topic, partition, record_offset, reason) "
                              "VALUES ('balance', 2, 3, 'json')"),
                     3);
    assert_int_equal(
        weigh(f, "UPDATE rejected_writes SET record_offset = 12 WHERE record_offset = 3"), 4);
    assert_int_equal(weigh(f, "DELETE FROM rejected_writes WHERE outcome = 'late'"), 5);
    assert_int_equal(weigh(f, "ALTER TABLE ingest_progress DROP CONSTRAINT "
                              "ingest_progress_conserved;"
                              "UPDATE ingest_progress SET applied = 3 WHERE topic = 'balance'"),
                     9);
    assert_int_equal(f->troubles, 0);
}

static void test_two_workers_share_the_work(void **state)
{
    struct fixture *f = *state;
    struct fixture other = *f;
    other.hk = new_housekeeper(&other);
    sql_ok(f->db, "UPDATE view_schedules SET every = '1 hour', as_of = now() - interval '2 hours'");
    make_news(f);
    for (int64_t end_ms = clock_now_ms() + PATIENCE_MS; f->views + other.views < 3;) {
        turn(f);
        turn(&other);
        assert_true(clock_now_ms() < end_ms);
    }
    idle(f, 100);
    idle(&other, 100);
    assert_int_equal(f->refreshed + other.refreshed, 3);
    sql_is(f->db, "3", "SELECT sum(refreshes) FROM view_schedules");
    housekeeper_free(other.hk);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_idle_hours_cost_nothing),
        TEST(test_a_stale_view_is_refreshed_and_published),
        TEST(test_a_request_is_met_without_news),
        TEST(test_a_request_is_met_by_a_later_refresh_only),
        TEST(test_a_dependent_view_follows),
        TEST(test_a_failure_is_recorded_and_tried_again),
        TEST(test_what_a_dead_worker_did_not_publish_is_found),
        TEST(test_a_clock_that_was_put_back_holds_up_no_view),
        TEST(test_foreign_changes_stay_until_they_are_confirmed),
        TEST(test_a_submit_by_sql_is_digested_and_told),
        TEST(test_many_submits_by_sql_all_get_their_digests),
        TEST(test_news_does_not_wait_for_a_refresh),
        TEST(test_activity_by_sql_makes_views_stale),
        TEST(test_old_activity_goes_also_outside_the_partitions),
        TEST(test_a_missing_month_gets_a_partition),
        TEST(test_a_refresh_by_hand_is_published_by_a_worker),
        TEST(test_where_the_ledger_stands_is_told),
        TEST(test_a_new_session_looks_at_the_ledger_first),
        TEST(test_what_is_out_of_balance_is_told),
        TEST(test_two_workers_share_the_work),
        TEST(test_it_comes_back_after_a_lost_connection),
    };
    return cmocka_run_group_tests_name("housekeeper", tests, pg_group_start, pg_group_stop);
}
