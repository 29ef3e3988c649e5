/*
 * A month's partition is made, and an old one dropped, while a writer inserts activity all the
 * time: no insert waits long, and no event is lost or stored twice, also when it comes again while
 * it is on its way from the default partition to its own.
 *
 * ATTEMPTD_TEST_EVENTS says how many lie in the default partition (default: 60,000).
 */
#include "tests/pg/private_pg.h"
#include "tests/pg/sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MONTH   "2031-05"
#define NAME    "activity_events_2031_05"
#define WRITERS 2
/* The lock timeout, and room for a busy machine. */
#define LONGEST_WAIT_US 200000

/* What a writer tells its parent, in shared memory. */
struct writer {
    volatile int stop;
    volatile int64_t longest_us;
    volatile int64_t inserts;
    volatile int64_t stored;  /* events that were new */
    volatile int64_t deleted; /* events it took away again */
};

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static long long events_wanted(void)
{
    const char *text = getenv("ATTEMPTD_TEST_EVENTS");
    return text ? strtoll(text, NULL, 10) : 60000;
}

static void connect_as(PGconn *db, PGconn **ret)
{
    char url[PRIVATE_PG_URL_BYTES];
    (void)snprintf(url, sizeof url, "postgresql://postgres:%s@127.0.0.1:%s/%s", PQpass(db),
                   PQport(db), PQdb(db));
    *ret = sql_connect(url);
    assert_non_null(*ret);
}

/* Event n of the month: its id and its time always go together. */
#define EVENT                                                                                      \
    "md5('v' || n)::uuid, md5('a' || n)::uuid, 'x', NULL, "                                        \
    "timestamptz '" MONTH "-01Z' + n %% 2600000 * interval '1 s'"

/* Three quarters lie in the month, the rest far away. */
static void fill_default(PGconn *db, long long n)
{
    char sql[1024];
    sql_ok(db, "RESET ROLE");
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO activity_events SELECT " EVENT " FROM generate_series(1, %lld) n",
                   n * 3 / 4);
    sql_ok(db, sql);
    (void)snprintf(
        sql, sizeof sql,
        "INSERT INTO activity_events SELECT md5('f' || n)::uuid, md5('a')::uuid, 'x', NULL, "
        "timestamptz '2044-01-01Z' + n * interval '1 s' FROM generate_series(1, %lld) n",
        n / 4);
    sql_ok(db, sql);
}

/* In a writer's process, where a failed assertion would have nobody to go to. */
static int64_t ask(PGconn *db, const char *sql)
{
    PGresult *result = PQexec(db, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        (void)fprintf(stderr, "a writer: %s", PQresultErrorMessage(result));
        _exit(1);
    }
    int64_t number = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return number;
}

/* Five events, some of which are there already; now and then two are deleted. */
static void write_some(PGconn *db, struct writer *writer, long long events, unsigned *seed)
{
    char sql[1024];
    (void)snprintf(
        sql, sizeof sql,
        "WITH stored AS (INSERT INTO activity_events SELECT " EVENT
        " FROM (SELECT DISTINCT (random() * %lld)::bigint AS n FROM generate_series(1, 5)) x "
        "ORDER BY 1 ON CONFLICT DO NOTHING RETURNING 1) SELECT count(*) FROM stored",
        events * 2);
    int64_t begun_us = now_us();
    writer->stored += ask(db, sql);
    int64_t took_us = now_us() - begun_us;
    writer->inserts++;
    if (took_us > writer->longest_us)
        writer->longest_us = took_us;
    if (rand_r(seed) % 8 != 0)
        return;
    (void)snprintf(
        sql, sizeof sql,
        "WITH gone AS (DELETE FROM activity_events WHERE (event_id, occurred_at) IN ("
        "SELECT md5('v' || n)::uuid, timestamptz '" MONTH
        "-01Z' + n %% 2600000 * interval '1 s' FROM (SELECT (random() * %lld)::bigint AS n "
        "FROM generate_series(1, 2)) x) RETURNING 1) SELECT count(*) FROM gone",
        events);
    writer->deleted += ask(db, sql);
}

static pid_t start_writer(PGconn *db, struct writer *writer, long long events, unsigned seed)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    PGconn *own = NULL;
    connect_as(db, &own);
    while (!writer->stop)
        write_some(own, writer, events, &seed);
    PQfinish(own);
    _exit(0);
}

/* One step; the text it gives, "locked" when a lock was not to be had. */
static void step(PGconn *db, const char *sql, char ret_text[64])
{
    PGresult *result = PQexec(db, sql);
    const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (code && strcmp(code, "55P03") == 0)
        (void)snprintf(ret_text, 64, "locked");
    else if (PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQresultErrorMessage(result));
    else
        (void)snprintf(ret_text, 64, "%s", PQgetvalue(result, 0, 0));
    PQclear(result);
}

/* Until the partition is there; how many steps, and how many of them found a lock taken. */
static int move_all(PGconn *db, int *ret_locked)
{
    char text[64] = "";
    int steps = 0;
    *ret_locked = 0;
    while (strcmp(text, NAME) != 0) {
        step(db, "SELECT make_activity_partition('" MONTH "-17')", text);
        *ret_locked += strcmp(text, "locked") == 0;
        if (strcmp(text, "locked") == 0 || strcmp(text, "busy") == 0)
            (void)usleep(20000);
        if (++steps > 100000)
            fail_msg("it never ends");
    }
    return steps;
}

struct crew {
    struct writer *writers;
    pid_t pids[WRITERS];
};

static void start_crew(PGconn *db, struct crew *crew, long long events)
{
    crew->writers = mmap(NULL, WRITERS * sizeof *crew->writers, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(crew->writers, MAP_FAILED);
    for (unsigned i = 0; i < WRITERS; i++)
        crew->pids[i] = start_writer(db, &crew->writers[i], events, i + 1);
    (void)usleep(300000);
}

static struct writer stop_crew(struct crew *crew)
{
    struct writer sum = { 0 };
    for (int i = 0; i < WRITERS; i++)
        crew->writers[i].stop = 1;
    for (int i = 0; i < WRITERS; i++) {
        int status = 0;
        assert_int_equal(waitpid(crew->pids[i], &status, 0), crew->pids[i]);
        assert_int_equal(status, 0);
        struct writer *writer = &crew->writers[i];
        sum.inserts += writer->inserts;
        sum.stored += writer->stored;
        sum.deleted += writer->deleted;
        if (writer->longest_us > sum.longest_us)
            sum.longest_us = writer->longest_us;
    }
    (void)munmap(crew->writers, WRITERS * sizeof *crew->writers);
    return sum;
}

/* Each event is there once, and where it belongs. */
static void check_events(PGconn *db, long long expected)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%lld", expected);
    sql_is(db, text, "SELECT count(*) FROM activity_events");
    sql_is(db, text,
           "SELECT count(*) FROM (SELECT DISTINCT event_id, occurred_at FROM activity_events) e");
    sql_is(db, "0",
           "SELECT count(*) FROM activity_events_default WHERE occurred_at >= '" MONTH
           "-01Z' AND occurred_at < '2031-06-01Z'");
    sql_is(db, "activity_events_2031_05_pkey activity_events_default_pkey",
           "SELECT string_agg(conname, ' ' ORDER BY conname) FROM pg_constraint WHERE conrelid IN "
           "('" NAME "'::regclass, 'activity_events_default'::regclass) AND contype <> 'n'");
    sql_is(db, "0", "SELECT count(*) FROM pg_class WHERE relname LIKE 'activity_events%next%'");
    sql_is(db, "0", "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'activity_mirror%'");
    sql_is(db, "t f f", "SELECT concat_ws(' ', month IS NULL, copied, broken) FROM activity_moves");
}

/* How long writers would wait if all were moved under one lock, on this machine as busy as it is.
 */
static int64_t measure_at_once_us(PGconn *db)
{
    sql_ok(db, "CREATE TABLE at_once (LIKE activity_events INCLUDING ALL)");
    int64_t begun_us = now_us();
    sql_ok(db, "INSERT INTO at_once SELECT * FROM activity_events_default");
    int64_t took_us = now_us() - begun_us;
    sql_ok(db, "DROP TABLE at_once");
    return took_us;
}

static void test_events_are_sorted_out_while_more_come(void **state)
{
    PGconn *db = *state;
    long long n = events_wanted();
    fill_default(db, n);
    struct crew crew;
    start_crew(db, &crew, n);
    int64_t at_once_us = measure_at_once_us(db);
    int locked = 0;
    int64_t begun_us = now_us();
    int steps = move_all(db, &locked);
    int64_t took_us = now_us() - begun_us;
    (void)usleep(200000);
    struct writer sum = stop_crew(&crew);
    print_message(
        "          %lld events in %lld ms, %d steps (%d found a lock taken); %lld inserts "
        "meanwhile, the longest %.1f ms\n",
        n, (long long)took_us / 1000, steps, locked, (long long)sum.inserts,
        (double)sum.longest_us / 1000);
    assert_true(sum.inserts > 50 && sum.stored > 0 && sum.deleted > 0);
    check_events(db, n * 3 / 4 + n / 4 + sum.stored - sum.deleted);
    assert_true(sum.longest_us < LONGEST_WAIT_US || sum.longest_us < at_once_us / 2);
}

/* As it nearly always is: one step, and nobody who writes to that month at this moment is refused.
 */
static void test_few_events_move_in_one_step(void **state)
{
    PGconn *db = *state;
    fill_default(db, 400);
    struct crew crew;
    start_crew(db, &crew, 200);
    int locked = 0;
    int steps = move_all(db, &locked) - locked;
    struct writer sum = stop_crew(&crew);
    assert_int_equal(steps, 1);
    check_events(db, 400 + sum.stored - sum.deleted);
}

/* Whoever did the steps so far is gone; somebody else goes on. Two do not do it at once. */
static void test_who_is_killed_leaves_it_to_others(void **state)
{
    PGconn *db = *state;
    PGconn *other = NULL;
    char text[64];
    fill_default(db, 20000);
    connect_as(db, &other);
    step(other, "SELECT make_activity_partition('" MONTH "-17')", text);
    assert_string_equal(text, "moving");
    sql_ok(other, "BEGIN");
    step(other, "SELECT make_activity_partition('" MONTH "-17')", text);
    assert_string_equal(text, "moving");
    step(db, "SELECT make_activity_partition('" MONTH "-17')", text);
    assert_string_equal(text, "busy");
    char sql[96];
    (void)snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%d, 5000)", PQbackendPID(other));
    sql_is(db, "t", sql);
    PQfinish(other);
    int locked = 0;
    (void)move_all(db, &locked);
    check_events(db, 20000);
    step(db, "SELECT make_activity_partition('" MONTH "-17')", text);
    assert_string_equal(text, "");
}

/* Another partition goes when all is copied: its events, from the first moment of its month on,
 * then fit neither copy, and are not refused. */
static void test_a_partition_that_goes_meanwhile_breaks_nothing(void **state)
{
    PGconn *db = *state;
    char text[64];
    fill_default(db, 20000);
    do
        step(db, "SELECT make_activity_partition('" MONTH "-17')", text);
    while (sql_number(db, "SELECT copied::int FROM activity_moves") == 0);
    sql_ok(db, "DO $$ BEGIN EXECUTE 'DROP TABLE activity_events_' || to_char(now(), 'YYYY_MM'); "
               "END $$");
    sql_ok(db,
           "INSERT INTO activity_events SELECT gen_random_uuid(), gen_random_uuid(), 'x', NULL, "
           "date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + n * interval '1 s' "
           "FROM generate_series(0, 9) n");
    sql_is(db, "t", "SELECT broken FROM activity_moves");
    int locked = 0;
    (void)move_all(db, &locked);
    check_events(db, 20010);
}

/* An event at the first moment of a month is of that month, wherever it comes in. */
static void test_events_at_midnight_are_not_lost(void **state)
{
    PGconn *db = *state;
    char text[64];
    int locked = 0;
    static const char at_midnight[] =
        "INSERT INTO activity_events SELECT gen_random_uuid(), gen_random_uuid(), 'x', NULL, at "
        "FROM unnest(ARRAY['" MONTH "-01Z', '2031-06-01Z']::timestamptz[]) AS at";
    fill_default(db, 8000);
    sql_ok(db, at_midnight);
    for (int i = 0; i < 3; i++)
        step(db, "SELECT make_activity_partition('" MONTH "-17')", text);
    sql_ok(db, at_midnight);
    (void)move_all(db, &locked);
    sql_ok(db, at_midnight);
    check_events(db, 8006);
    sql_is(db, "3",
           "SELECT count(*) FROM activity_events_default WHERE occurred_at < '2044-01-01Z'");
}

/* A month of long ago is worth a partition when many of its events are there, and are kept. */
static void test_a_month_is_wanted_for_many_events(void **state)
{
    PGconn *db = *state;
    static const char wanted[] =
        "SELECT concat_ws(' ', activity_month_wanted(2, 0) = m, activity_month_wanted(2, 3) = m, "
        "activity_month_wanted(2, 2) IS NULL) FROM (SELECT (date_trunc('month', now() AT TIME "
        "ZONE 'UTC') - interval '3 months')::date AS m) AS month";
    static const char some[] =
        "INSERT INTO activity_events SELECT gen_random_uuid(), gen_random_uuid(), 'x', NULL, "
        "(date_trunc('month', now() AT TIME ZONE 'UTC') - interval '3 months') AT TIME ZONE 'UTC' "
        "+ n * interval '1 s' FROM generate_series(%d, %d) n";
    char sql[512];
    sql_ok(db, "RESET ROLE");
    sql_is(db, "t", "SELECT activity_month_wanted(2, 0) IS NULL");
    (void)snprintf(sql, sizeof sql, some, 0, 9998);
    sql_ok(db, sql);
    sql_is(db, "t", wanted);
    (void)snprintf(sql, sizeof sql, some, 9999, 9999);
    sql_ok(db, sql);
    sql_is(db, "t t t", wanted);
}

/* The copies follow updates, deletes and TRUNCATE of what was copied already. */
static void test_changes_of_copied_events_are_kept(void **state)
{
    PGconn *db = *state;
    char text[64];
    fill_default(db, 8000);
    for (int i = 0; i < 4; i++)
        step(db, "SELECT make_activity_partition('" MONTH "-17')", text);
    sql_is(db, "t", "SELECT count(*) > 2000 FROM activity_events_next");
    sql_ok(db, "SET session_replication_role = replica");
    sql_ok(db, "UPDATE activity_events SET payload = '1'");
    sql_ok(db, "DELETE FROM activity_events WHERE get_byte(uuid_send(event_id), 15) < 64");
    sql_ok(db, "RESET session_replication_role");
    long long left = sql_number(db, "SELECT count(*) FROM activity_events");
    int locked = 0;
    (void)move_all(db, &locked);
    check_events(db, left);
    sql_is(db, "0", "SELECT count(*) FROM activity_events WHERE payload IS DISTINCT FROM '1'");

    sql_ok(db, "DROP TABLE " NAME);
    sql_ok(db, "TRUNCATE activity_events");
    fill_default(db, 8000);
    for (int i = 0; i < 4; i++)
        step(db, "SELECT make_activity_partition('" MONTH "-17')", text);
    sql_ok(db, "TRUNCATE activity_events");
    (void)move_all(db, &locked);
    check_events(db, 0);
}

/* A reader of minutes: each try ends after the lock timeout, writers hardly notice, and at last it
 * is dropped. */
static void test_old_partitions_go_without_keeping_writers_waiting(void **state)
{
    PGconn *db = *state;
    PGconn *reader = NULL;
    char text[64];
    sql_ok(db, "RESET ROLE");
    sql_ok(db,
           "SELECT make_activity_partition('2019-03-01'), make_activity_partition('2019-04-01')");
    fill_default(db, 4000);
    connect_as(db, &reader);
    sql_ok(reader, "BEGIN");
    sql_ok(reader, "SELECT count(*) FROM activity_events");
    struct crew crew;
    start_crew(db, &crew, 4000);
    for (int i = 0; i < 10; i++) {
        step(db, "SELECT drop_activity_partition('2019-05-01')", text);
        assert_string_equal(text, "locked");
    }
    sql_ok(reader, "COMMIT");
    int dropped = 0;
    for (int tries = 0; dropped < 2 && tries < 1000; tries++) {
        step(db, "SELECT drop_activity_partition('2019-05-01')", text);
        dropped += strncmp(text, "activity_events_2019", 20) == 0;
        (void)usleep(5000);
    }
    struct writer sum = stop_crew(&crew);
    print_message("          %lld inserts, the longest %.1f ms\n", (long long)sum.inserts,
                  (double)sum.longest_us / 1000);
    assert_int_equal(dropped, 2);
    step(db, "SELECT drop_activity_partition('2019-05-01')", text);
    assert_string_equal(text, "");
    assert_true(sum.longest_us < 3 * LONGEST_WAIT_US);
    PQfinish(reader);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, pg_test_open, pg_test_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_events_are_sorted_out_while_more_come),
        TEST(test_few_events_move_in_one_step),
        TEST(test_who_is_killed_leaves_it_to_others),
        TEST(test_a_partition_that_goes_meanwhile_breaks_nothing),
        TEST(test_events_at_midnight_are_not_lost),
        TEST(test_a_month_is_wanted_for_many_events),
        TEST(test_changes_of_copied_events_are_kept),
        TEST(test_old_partitions_go_without_keeping_writers_waiting),
    };
    return cmocka_run_group_tests_name("partitions", tests, pg_group_start, pg_group_stop);
}
