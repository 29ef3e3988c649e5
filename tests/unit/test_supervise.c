/*
 * The supervisor against small stand-in workers: this very program, started again by it.
 */
#include "worker/commands/supervise.h"
#include "worker/commands/supervised.h"
#include "worker/http/pages.h"

#include <event2/event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

/* ------------------------------------------------------------------------ stand-in workers */

struct worker {
    struct supervised supervised;
    struct event_base *base;
};

/* Not /proc/self/exe, which under valgrind is valgrind. */
static const char *this_program;

static void on_stop(void *self)
{
    struct worker *worker = self;
    (void)event_base_loopbreak(worker->base);
}

static int work(const char *kind)
{
    struct worker worker = { 0 };
    supervised_init(&worker.supervised);
    if (!worker.supervised.on)
        return 99;
    if (strcmp(kind, "refuses") == 0)
        return EX_CONFIG;
    worker.base = event_base_new();
    if (!supervised_listen(&worker.supervised, worker.base, on_stop, &worker))
        return 98;
    json_t *report = json_pack("{s:s, s:b, s:{s:i}}", "state", "running", "connected", 1,
                               "outcomes", "applied", 1);
    supervised_report(&worker.supervised, report);
    json_decref(report);
    if (strcmp(kind, "crashes") == 0 && worker.supervised.index == 0) {
        (void)event_base_loop(worker.base, EVLOOP_NONBLOCK);
        (void)raise(SIGKILL);
    }
    (void)event_base_dispatch(worker.base);
    if (strcmp(kind, "is-killed") == 0)
        (void)raise(SIGKILL);
    while (strcmp(kind, "never-ends") == 0)
        (void)pause();
    supervised_release(&worker.supervised);
    event_base_free(worker.base);
    return strcmp(kind, "ends-badly") == 0 && worker.supervised.index == 1 ? EX_DATAERR : 0;
}

/* -------------------------------------------------------------------------------- the tests */

struct watch {
    int ticks;
    bool all_ready, silent;
    bool wants_silence;
    json_int_t restarts;
    json_int_t wanted_restarts;
    int signals; /* to send to ourselves when all is as wanted, instead of an end */
};

static bool settled(void *self, const json_t *status, int *ret_code)
{
    struct watch *watch = self;
    struct buf page;
    buf_init(&page, 65536);
    watch->all_ready = page_ready(&page, status);
    buf_put_char(&page, '\0');
    watch->silent = strstr(page.ptr, "worker 1 is silent") != NULL;
    buf_release(&page);
    watch->restarts = json_integer_value(json_object_get(status, "restarts"));
    bool enough =
        watch->restarts >= watch->wanted_restarts &&
        (watch->wants_silence ? watch->silent : watch->all_ready || watch->wanted_restarts > 0);
    if (!enough && ++watch->ticks < 50)
        return false;
    *ret_code = EX_OK;
    if (watch->signals == 0)
        return true;
    for (; watch->signals > 0; watch->signals--)
        (void)raise(SIGTERM);
    return false;
}

static int run(const char *kind, struct watch *watch)
{
    struct log log;
    struct log_sink sink;
    log_sink_init(&sink, 2);
    log_init(&log, &sink, "json", "error");
    char name[] = "worker", word[32];
    (void)snprintf(word, sizeof word, "%s", kind);
    char *argv[] = { name, word, NULL };
    struct supervise_options options = supervise_options_default();
    options.log = &log;
    options.program = this_program;
    options.argv = argv;
    options.restart_base_ms = 20;
    options.restart_cap_ms = 100;
    if (watch->wants_silence)
        options.silence_ms = 100;
    if (strcmp(kind, "never-ends") == 0)
        options.stop_ms = 300;
    options.settled = settled;
    options.self = watch;
    return supervise(&options);
}

static void test_supervise_starts_and_stops(void **state)
{
    (void)state;
    struct watch watch = { 0 };
    assert_int_equal(run("works", &watch), EX_OK);
    assert_true(watch.all_ready);
    assert_int_equal(watch.restarts, 0);
}

static void test_supervise_ends_on_sigterm(void **state)
{
    (void)state;
    struct watch watch = { .signals = 1 };
    assert_int_equal(run("works", &watch), EX_OK);
}

static void test_supervise_restarts_what_dies(void **state)
{
    (void)state;
    struct watch watch = { .wanted_restarts = 3 };
    (void)run("crashes", &watch);
    assert_true(watch.restarts >= 3);
}

static void test_supervise_gives_up_on_wrong_settings(void **state)
{
    (void)state;
    struct watch watch = { 0 };
    assert_int_equal(run("refuses", &watch), EX_CONFIG);
    assert_int_equal(watch.restarts, 0);
}

static void test_supervise_takes_the_worst_code(void **state)
{
    (void)state;
    struct watch watch = { 0 };
    assert_int_equal(run("ends-badly", &watch), EX_DATAERR);
}

/* Who is killed while he ends may have left something undone. */
static void test_supervise_does_not_take_a_kill_for_an_end(void **state)
{
    (void)state;
    struct watch watch = { 0 };
    assert_int_equal(run("is-killed", &watch), EX_SOFTWARE);
}

static void test_supervise_kills_who_does_not_end(void **state)
{
    (void)state;
    struct watch watch = { 0 };
    assert_int_equal(run("never-ends", &watch), EX_SOFTWARE);
}

/* A worker that hangs is there, connected, and not ready. */
static void test_supervise_notices_silence(void **state)
{
    (void)state;
    struct watch watch = { .wants_silence = true };
    assert_int_equal(run("works", &watch), EX_OK);
    assert_true(watch.silent);
    assert_false(watch.all_ready);
}

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as attemptd's own main does: a worker may be gone already */
    if (argc > 1)
        return work(argv[1]);
    this_program = argv[0];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_supervise_starts_and_stops),
        cmocka_unit_test(test_supervise_ends_on_sigterm),
        cmocka_unit_test(test_supervise_restarts_what_dies),
        cmocka_unit_test(test_supervise_gives_up_on_wrong_settings),
        cmocka_unit_test(test_supervise_takes_the_worst_code),
        cmocka_unit_test(test_supervise_does_not_take_a_kill_for_an_end),
        cmocka_unit_test(test_supervise_kills_who_does_not_end),
        cmocka_unit_test(test_supervise_notices_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
