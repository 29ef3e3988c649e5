/* The session by itself: rounds, errors, and connections that do not come about. */
#include "tests/pg/private_pg.h"
#include "tests/pg/sql.h"
#include "worker/postgres/pg_session.h"

#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char url[PRIVATE_PG_URL_BYTES];
    struct pg_session_options options;
    struct pg_session *session;
    struct pg_params params;
    struct err err;
    size_t results;
    size_t rows;
};

static int open_fixture(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL || !private_pg_database(pg_group_server(), true, false, f->url, &f->err))
        return -1;
    f->options = pg_session_options_default();
    f->options.conninfo = f->url;
    f->options.connect_timeout_ms *= private_pg_patience();
    pg_params_init(&f->params);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    pg_session_free(f->session);
    pg_params_release(&f->params);
    free(f);
    return 0;
}

static enum pg_state run(struct fixture *f)
{
    enum pg_state state;
    f->err = (struct err){ 0 };
    while ((state = pg_session_step(f->session, &f->err)) == PG_BUSY) {
        struct pollfd fd = { pg_session_fd(f->session), pg_session_events(f->session), 0 };
        int64_t wait_ms = pg_session_wait_ms(f->session);
        int most_ms = 10000 * private_pg_patience();
        if (poll(&fd, 1, wait_ms < 0 ? most_ms : (int)wait_ms) == 0 && wait_ms < 0)
            fail_msg("the session hangs");
    }
    return state;
}

static void connect_session(struct fixture *f)
{
    f->session = pg_session_new(&f->options);
    assert_non_null(f->session);
    pg_session_connect(f->session);
    if (run(f) != PG_DONE)
        fail_msg("%s: %s", f->err.code, f->err.text);
    assert_true(pg_session_connected(f->session));
}

static bool count_result(void *self, const struct pg_result *result, struct err *err)
{
    (void)err;
    struct fixture *f = self;
    f->results++;
    f->rows = pg_row_count(result);
    return true;
}

static bool refuse_result(void *self, const struct pg_result *result, struct err *err)
{
    (void)result;
    struct fixture *f = self;
    f->results++;
    return err_set(err, ERR_BUG, "mine", "not what I wanted");
}

static void put_setting(struct fixture *f, const char *name, const char *value)
{
    pg_params_clear(&f->params);
    pg_array_begin(&f->params, PG_TEXT);
    pg_array_text(&f->params, bytes_of(name));
    pg_array_end(&f->params);
    pg_array_begin(&f->params, PG_TEXT);
    pg_array_text(&f->params, bytes_of(value));
    pg_array_end(&f->params);
}

static void test_a_round_of_statements(void **state)
{
    struct fixture *f = *state;
    connect_session(f);
    pg_session_prepare(f->session, "store_now.sql");
    pg_session_send(f->session, "store_now.sql", NULL, count_result, f);
    pg_session_send(f->session, "store_now.sql", NULL, NULL, NULL);
    pg_session_send_once(f->session, "store_now.sql", NULL, count_result, f);
    pg_session_sync(f->session);
    assert_int_equal(run(f), PG_DONE);
    assert_int_equal(f->results, 2);
    assert_int_equal(f->rows, 1);
    assert_int_equal(run(f), PG_DONE); /* nothing to do */
    pg_session_sync(f->session);
    assert_int_equal(run(f), PG_DONE); /* an empty round */
}

static void test_the_first_error_is_the_cause(void **state)
{
    struct fixture *f = *state;
    connect_session(f);
    pg_session_send_once(f->session, "store_now.sql", NULL, count_result, f);
    put_setting(f, "no_such_setting", "1");
    pg_session_send_once(f->session, "session_settings.sql", &f->params, count_result, f);
    put_setting(f, "lock_timeout", "nonsense");
    pg_session_send_once(f->session, "session_settings.sql", &f->params, count_result, f);
    pg_session_sync(f->session);
    assert_int_equal(run(f), PG_FAILED);
    assert_int_equal(f->results, 1);
    assert_string_equal(f->err.code, "42704");
    assert_int_equal(f->err.action, ERR_HALT);
    assert_non_null(strstr(f->err.text, "session_settings.sql"));
    /* The session goes on. */
    assert_true(pg_session_connected(f->session));
    pg_session_send_once(f->session, "store_now.sql", NULL, count_result, f);
    pg_session_sync(f->session);
    assert_int_equal(run(f), PG_DONE);
    assert_int_equal(f->results, 2);
}

static void test_a_callback_may_fail_the_round(void **state)
{
    struct fixture *f = *state;
    connect_session(f);
    pg_session_send_once(f->session, "store_now.sql", NULL, refuse_result, f);
    pg_session_send_once(f->session, "store_now.sql", NULL, count_result, f);
    pg_session_sync(f->session);
    assert_int_equal(run(f), PG_FAILED);
    assert_string_equal(f->err.code, "mine");
    assert_int_equal(f->results, 1);
    pg_session_send_once(f->session, "no_such_file.sql", NULL, count_result, f);
    pg_session_sync(f->session);
    assert_int_equal(run(f), PG_FAILED);
    assert_int_equal(f->err.action, ERR_BUG);
    assert_true(pg_session_connected(f->session));
}

static void test_more_than_a_socket_takes_at_once(void **state)
{
    struct fixture *f = *state;
    connect_session(f);
    pg_array_begin(&f->params, PG_UUID);
    for (unsigned i = 0; i < 400000; i++) {
        struct uuid uuid = { { 0 } };
        memcpy(uuid.bytes, &i, sizeof i);
        pg_array_uuid(&f->params, &uuid);
    }
    pg_array_end(&f->params);
    for (int i = 0; i < 3; i++)
        pg_session_send_once(f->session, "store_read_rows.sql", &f->params, count_result, f);
    pg_session_sync(f->session);
    assert_int_equal(run(f), PG_DONE);
    assert_int_equal(f->results, 3);
    assert_int_equal(f->rows, 0);
}

static void test_any_name_of_a_schema(void **state)
{
    struct fixture *f = *state;
    PGconn *db = sql_connect(f->url);
    sql_ok(db, "CREATE SCHEMA \"o'd\"\"d, pg_catalog\"");
    sql_ok(db, "CREATE TABLE \"o'd\"\"d, pg_catalog\".schema_migrations (version varchar(128))");
    PQfinish(db);
    f->options.schema = "o'd\"d, pg_catalog";
    connect_session(f);
    pg_session_send_once(f->session, "store_schema_version.sql", NULL, count_result, f);
    pg_session_sync(f->session);
    if (run(f) != PG_DONE)
        fail_msg("%s", f->err.text);
}

static bool take_number(void *self, const struct pg_result *result, struct err *err)
{
    (void)err;
    struct fixture *f = self;
    f->rows = (size_t)pg_get_int8(result, 0, 0);
    return true;
}

/* How many of the settings that a session must have it has not; the view is read by the session. */
static size_t settings_missing(struct fixture *f)
{
    connect_session(f);
    pg_session_send_once(f->session, "store_schema_version.sql", NULL, take_number, f);
    pg_session_sync(f->session);
    assert_int_equal(run(f), PG_DONE);
    pg_session_free(f->session);
    f->session = NULL;
    return f->rows;
}

/* A session without its search path would look for its tables elsewhere. */
static void test_a_path_that_has_no_room(void **state)
{
    struct fixture *f = *state;
    char schema[5000];
    memset(schema, 'x', sizeof schema - 1);
    schema[sizeof schema - 1] = '\0';
    f->options.schema = schema;
    f->session = pg_session_new(&f->options);
    assert_non_null(f->session);
    pg_session_connect(f->session);
    assert_int_equal(run(f), PG_FAILED);
    assert_int_equal(f->err.action, ERR_RESOURCE);
    assert_false(pg_session_connected(f->session));
}

/* Whatever somebody has set for the role or the database: durable, and nobody waits for ever. */
static void test_no_default_takes_away_what_a_session_needs(void **state)
{
    struct fixture *f = *state;
    char sql[PRIVATE_PG_URL_BYTES + 128];
    static const char *const bad[] = { "synchronous_commit = off",
                                       "statement_timeout = 0",
                                       "lock_timeout = 0",
                                       "idle_in_transaction_session_timeout = 0",
                                       "default_transaction_isolation = 'serializable'",
                                       "DateStyle = 'SQL, DMY'",
                                       "TimeZone = 'Asia/Kathmandu'" };
    PGconn *db = sql_connect(f->url);
    sql_ok(db,
           "CREATE SCHEMA seen; CREATE VIEW seen.schema_migrations AS "
           "SELECT (SELECT count(*) FROM pg_settings "
           "        WHERE (name = 'synchronous_commit' AND setting NOT IN ('on', 'remote_apply'))"
           "           OR (name IN ('statement_timeout', 'lock_timeout', "
           "                        'idle_in_transaction_session_timeout') AND setting = '0')"
           "           OR (name = 'DateStyle' AND setting NOT LIKE 'ISO%')"
           "           OR (name = 'TimeZone' AND setting <> 'UTC'))::text AS version");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        (void)snprintf(sql, sizeof sql, "ALTER DATABASE \"%s\" SET %s", PQdb(db), bad[i]);
        sql_ok(db, sql);
    }
    f->options.schema = "seen";
    assert_int_equal(settings_missing(f), 0);
    /* What asks for more stays. */
    (void)snprintf(sql, sizeof sql, "ALTER DATABASE \"%s\" SET synchronous_commit = remote_apply",
                   PQdb(db));
    sql_ok(db, sql);
    sql_ok(db, "CREATE OR REPLACE VIEW seen.schema_migrations AS SELECT "
               "(current_setting('synchronous_commit') <> 'remote_apply')::int::text AS version");
    assert_int_equal(settings_missing(f), 0);
    PQfinish(db);
}

static void test_a_server_that_says_nothing(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    char url[64];
    (void)snprintf(url, sizeof url, "postgresql://127.0.0.1:%d/x", ntohs(address.sin_port));
    f->options.conninfo = url;
    f->options.connect_timeout_ms = 200;
    f->session = pg_session_new(&f->options);
    pg_session_connect(f->session);
    assert_int_equal(run(f), PG_FAILED);
    assert_int_equal(f->err.action, ERR_LOST);
    assert_string_equal(f->err.code, "timeout");
    assert_int_equal(pg_session_fd(f->session), -1);
    (void)close(listener);
}

static void test_who_is_refused_is_told_by_sqlstate(void **state)
{
    struct fixture *f = *state;
    char url[PRIVATE_PG_URL_BYTES + 8];
    (void)snprintf(url, sizeof url, "%s_none", f->url);
    f->options.conninfo = url;
    f->session = pg_session_new(&f->options);
    pg_session_connect(f->session);
    assert_int_equal(run(f), PG_FAILED);
    assert_int_equal(f->err.action, ERR_HALT);
    assert_string_equal(f->err.code, "3D000");
    assert_int_equal(run(f), PG_FAILED); /* from now on simply not connected */
    assert_int_equal(f->err.action, ERR_LOST);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_round_of_statements),
        TEST(test_the_first_error_is_the_cause),
        TEST(test_a_callback_may_fail_the_round),
        TEST(test_more_than_a_socket_takes_at_once),
        TEST(test_any_name_of_a_schema),
        TEST(test_a_path_that_has_no_room),
        TEST(test_no_default_takes_away_what_a_session_needs),
        TEST(test_a_server_that_says_nothing),
        TEST(test_who_is_refused_is_told_by_sqlstate),
    };
    return cmocka_run_group_tests_name("session", tests, pg_group_start, pg_group_stop);
}
