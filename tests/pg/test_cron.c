/*
 * Schedules: cron_due() against another reader of cron, written in C, on generated expressions,
 * half of them broken. They refuse the same, with one SQLSTATE, and are due at the same times.
 * CASES in the environment plays more than usual, SEED others.
 */
#include "common/buf.h"
#include "common/rng.h"
#include "tests/pg/private_pg.h"
#include "tests/pg/sql.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define CASES_USUAL 4000
#define TEXT_BYTES  128

/* ---------------------------------------------------------------------------- the other reader */

struct schedule {
    bool allowed[5][60]; /* minute, hour, day, month, weekday (Sunday is 0 and 7) */
    bool starred[5];
};

static const int least[5] = { 0, 0, 1, 1, 0 };
static const int most[5] = { 59, 23, 31, 12, 7 };

/* One or two digits; -1 when there are none. */
static int read_number(const char **at)
{
    int value = 0, digits = 0;
    for (; digits < 2 && isdigit((unsigned char)**at); digits++)
        value = value * 10 + (*(*at)++ - '0');
    return digits == 0 ? -1 : value;
}

static bool read_part(const char **at, int field, struct schedule *ret)
{
    bool star = **at == '*';
    int from = least[field], until = most[field], step = 1;
    if (star) {
        (*at)++;
    } else {
        from = until = read_number(at);
        if (**at == '-') {
            (*at)++;
            until = read_number(at);
        } else if (**at == '/') {
            until = most[field];
        }
    }
    if (**at == '/') {
        (*at)++;
        step = read_number(at);
    }
    if (from < least[field] || until > most[field] || from > until || step < 1)
        return false;
    for (int n = from; n <= until; n += step)
        ret->allowed[field][n] = true;
    return true;
}

static bool is_gap(char c)
{
    return c != '\0' && strchr(" \t\n\r\f\v", c) != NULL;
}

static bool read_schedule(const char *at, struct schedule *ret)
{
    memset(ret, 0, sizeof *ret);
    while (is_gap(*at))
        at++;
    for (int field = 0; field < 5; field++) {
        ret->starred[field] = *at == '*';
        for (;;) {
            if (!read_part(&at, field, ret))
                return false;
            if (*at != ',')
                break;
            at++;
        }
        if (*at != '\0' && !is_gap(*at))
            return false;
        while (is_gap(*at))
            at++;
    }
    return *at == '\0';
}

static bool is_due_at(const struct schedule *schedule, time_t when)
{
    struct tm tm;
    (void)gmtime_r(&when, &tm);
    bool day = schedule->allowed[2][tm.tm_mday];
    bool weekday = schedule->allowed[4][tm.tm_wday] || (tm.tm_wday == 0 && schedule->allowed[4][7]);
    bool either = !schedule->starred[2] && !schedule->starred[4];
    return schedule->allowed[0][tm.tm_min] && schedule->allowed[1][tm.tm_hour] &&
           schedule->allowed[3][tm.tm_mon + 1] && (either ? day || weekday : day && weekday);
}

/* "t", "f", or "!" for a schedule that is none. */
static const char *verdict(const char *text, time_t since, time_t until)
{
    struct schedule schedule;
    if (!read_schedule(text, &schedule))
        return "!";
    for (time_t when = since - since % 60 + 60; when <= until; when += 60)
        if (is_due_at(&schedule, when))
            return "t";
    return "f";
}

/* ----------------------------------------------------------------------------------- generated */

static void put(char *text, const char *more)
{
    size_t len = strlen(text);
    (void)snprintf(text + len, TEXT_BYTES - len, "%s", more);
}

static void put_number(char *text, struct rng *rng, int field)
{
    char digits[16];
    uint64_t span = (uint64_t)most[field] - (uint64_t)least[field] + 1;
    int value = least[field] + (int)rng_below(rng, rng_below(rng, 60) == 0 ? 110 : span);
    (void)snprintf(digits, sizeof digits, rng_below(rng, 10) == 0 ? "%02d" : "%d", value);
    put(text, digits);
}

static void put_field(char *text, struct rng *rng, int field)
{
    do {
        if (rng_below(rng, 3) > 0) {
            put(text, "*");
        } else {
            put_number(text, rng, field);
            if (rng_below(rng, 3) == 0) {
                put(text, "-");
                put_number(text, rng, field);
            }
        }
        if (rng_below(rng, 4) == 0) {
            put(text, "/");
            put_number(text, rng, field);
        }
        put(text, rng_below(rng, 5) == 0 ? "," : "");
    } while (text[strlen(text) - 1] == ',' && strlen(text) < TEXT_BYTES - 20);
}

static void make(char *text, struct rng *rng)
{
    static const char *const gaps[] = { " ", "  ", "\t", " \n", "\r\n", "\v\f" };
    static const char noise[] = "*-/, \t0123456789x#L?@";
    text[0] = '\0';
    if (rng_below(rng, 8) == 0)
        put(text, gaps[rng_below(rng, 6)]);
    for (int field = 0; field < 5; field++) {
        put_field(text, rng, field);
        put(text, field < 4 || rng_below(rng, 8) == 0 ? gaps[rng_below(rng, 6)] : "");
    }
    for (uint64_t n = rng_below(rng, 4); n == 3 && text[0] != '\0'; n = rng_below(rng, 4)) {
        size_t at = (size_t)rng_below(rng, strlen(text));
        if (rng_below(rng, 2) == 0)
            text[at] = noise[rng_below(rng, sizeof noise - 1)];
        else
            memmove(text + at, text + at + 1, strlen(text + at));
    }
}

static void put_time(char *out, time_t when)
{
    struct tm tm;
    (void)gmtime_r(&when, &tm);
    (void)strftime(out, 32, "%Y-%m-%d %H:%M:%SZ", &tm);
}

/* -------------------------------------------------------------------------------- side by side */

/* Cases are asked about in bulk: the way to the server and back costs as much as the answer. */
#define BULK 250

struct one_case {
    char text[TEXT_BYTES], since[32], until[32];
    char ours;
};

static void make_case(struct one_case *ret, struct rng *rng)
{
    make(ret->text, rng);
    time_t since = 1767225600 + (time_t)rng_below(rng, 4 * 366 * (uint64_t)86400);
    time_t until = since + (time_t)rng_below(rng, rng_below(rng, 20) == 0 ? 172800 : 7200);
    put_time(ret->since, since);
    put_time(ret->until, until);
    ret->ours = *verdict(ret->text, since, until);
}

/* An array as PostgreSQL reads it; nothing that is generated has quotes or backslashes. */
static void put_item(struct buf *array, const char *text)
{
    buf_put(array, bytes_of(array->len == 0 ? "{\"" : ",\""));
    buf_put(array, bytes_of(text));
    buf_put(array, BYTES("\""));
}

/* A session and what it was asked last. There are as many as may compute at the same time. */
struct session {
    PGconn *db;
    struct one_case cases[BULK];
    size_t count; /* 0: it was asked nothing */
};

#define SESSIONS 2

static void ask(struct session *session)
{
    struct buf arrays[3];
    const char *params[3];
    for (size_t i = 0; i < 3; i++)
        buf_init(&arrays[i], 1 << 20);
    for (size_t n = 0; n < session->count; n++) {
        put_item(&arrays[0], session->cases[n].text);
        put_item(&arrays[1], session->cases[n].since);
        put_item(&arrays[2], session->cases[n].until);
    }
    for (size_t i = 0; i < 3; i++) {
        buf_put(&arrays[i], (struct bytes){ "}", 2 });
        assert_false(arrays[i].failed);
        params[i] = arrays[i].ptr;
    }
    int sent = PQsendQueryParams(
        session->db,
        "SELECT string_agg(verdict(c, s, u), '' ORDER BY n) FROM unnest($1::text[], "
        "$2::timestamptz[], $3::timestamptz[]) WITH ORDINALITY AS t(c, s, u, n)",
        3, NULL, params, NULL, NULL, 0);
    assert_int_equal(sent, 1);
    for (size_t i = 0; i < 3; i++)
        buf_release(&arrays[i]);
}

/* Waits for the answer, and finds nothing else behind it. */
static void compare(struct session *session)
{
    PGresult *result = PQgetResult(session->db);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s", PQerrorMessage(session->db));
    const char *theirs = PQgetvalue(result, 0, 0);
    assert_int_equal(strlen(theirs), session->count);
    for (size_t n = 0; n < session->count; n++) {
        const struct one_case *one = &session->cases[n];
        if (theirs[n] != one->ours)
            fail_msg("'%s' from %s to %s: %c, not %c", one->text, one->since, one->until, theirs[n],
                     one->ours);
    }
    PQclear(result);
    assert_null(PQgetResult(session->db));
    session->count = 0;
}

struct tally {
    long asked, due, refused;
};

/* One round: hears what each session was asked before and asks it the next cases, up to `count`. */
static bool ask_all(struct session *sessions, struct rng *rng, long count, struct tally *tally)
{
    bool any = false;
    for (struct session *session = sessions; session < sessions + SESSIONS; session++) {
        if (session->count > 0)
            compare(session);
        for (; session->count < BULK && tally->asked < count; tally->asked++) {
            struct one_case *one = &session->cases[session->count++];
            make_case(one, rng);
            tally->due += one->ours == 't';
            tally->refused += one->ours == '!';
        }
        if (session->count > 0)
            ask(session);
        any = any || session->count > 0;
    }
    return any;
}

static void open_sessions(struct session *sessions, const char *url)
{
    for (size_t i = 0; i < SESSIONS; i++) {
        sessions[i].db = sql_connect(url);
        assert_non_null(sessions[i].db);
        /* Half of the time would be spent on plans that differ in nothing but their constants. */
        sql_ok(sessions[i].db, "SET plan_cache_mode = force_generic_plan");
    }
    sql_ok(sessions[0].db,
           "CREATE FUNCTION verdict(text, timestamptz, timestamptz) RETURNS text "
           "LANGUAGE plpgsql AS $$ BEGIN RETURN left(cron_due($1, $2, $3)::text, 1); "
           "EXCEPTION WHEN invalid_parameter_value THEN RETURN '!'; END $$");
}

static void test_schedules_are_read_alike(void **state)
{
    (void)state;
    char url[PRIVATE_PG_URL_BYTES];
    struct err err = { 0 };
    assert_true(private_pg_database(pg_group_server(), true, false, url, &err));
    static struct session sessions[SESSIONS];
    open_sessions(sessions, url);
    const char *wanted = getenv("CASES"), *seed = getenv("SEED");
    long count = wanted != NULL ? strtol(wanted, NULL, 10) : CASES_USUAL;
    struct rng rng = { seed != NULL ? strtoull(seed, NULL, 10) : 5 };
    struct tally tally = { 0 };
    while (ask_all(sessions, &rng, count, &tally))
        continue;
    for (size_t i = 0; i < SESSIONS; i++)
        PQfinish(sessions[i].db);
    print_message("%ld schedules, %ld due, %ld refused\n", tally.asked, tally.due, tally.refused);
    assert_true(tally.due > count / 20 && tally.refused > count / 10 &&
                tally.refused < count * 9 / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_schedules_are_read_alike) };
    return cmocka_run_group_tests(tests, pg_group_start, pg_group_stop);
}
