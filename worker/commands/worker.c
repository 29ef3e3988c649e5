#include "worker/commands/worker.h"
#include "worker/commands/chores.h"
#include "worker/commands/drain.h"
#include "worker/commands/interrupt.h"
#include "worker/commands/journal.h"
#include "worker/commands/memory.h"
#include "worker/commands/report.h"
#include "worker/commands/store_setup.h"
#include "worker/commands/watch.h"
#include "worker/commands/withheld.h"
#include "worker/engine/engine.h"
#include "worker/failpoints/failpoints.h"
#include "worker/http/server.h"
#include "worker/kafka/kafka_publisher.h"
#include "worker/kafka/kafka_source.h"
#include "worker/postgres/conninfo.h"

#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#define REPORT_MS    1000
#define TURN_MAX_MS  1000 /* the loop turns at least so often: reports, the parent's pulse */
#define STOP_MS      8500 /* what is not done by then is abandoned */
#define STOP_STEP_MS 100
#define TIDY_MS      2000 /* a refresh that takes longer is rolled back and done by others */
#define LEAVE_MAX_MS 4500 /* leaving takes up to five seconds: later there is no time for it */

struct worker {
    const struct worker_options *options;
    const struct settings *settings;
    const struct log *log;
    struct clock clock;
    int64_t begun_ms;

    struct kafka_setup kafka;
    struct kafka_source *source;
    struct kafka_publisher *publisher;
    struct store_setup database;
    struct pg_store *store;
    struct chores chores;
    struct journal_log journal;
    struct withheld withheld;
    struct engine *engine;
    struct drain *drain; /* NULL unless draining */

    struct event_base *base;
    struct event *signals[3], *timer;
    struct watch source_watch, publisher_watch, store_watch;
    struct http_server *http;

    int64_t report_next_ms, drain_next_ms;
    int64_t stop_at_ms; /* when somebody wanted an end; 0 before */
    int code;
    bool at_once; /* no time for anything, not even for freeing */
    bool restart;
    bool signalled;
};

static int64_t now_ms(const struct worker *w)
{
    return clock_monotonic_ms(&w->clock);
}

/* ------------------------------------------------------------------------------------ status */

static int64_t log_end(const void *source, struct tp tp)
{
    return kafka_source_log(source, tp).high;
}

static json_t *report(const struct worker *w)
{
    struct engine_status engine;
    engine_status(w->engine, &engine);
    return report_worker(&(struct report_facts){
        .settings = w->settings,
        .index = w->options->supervised->index,
        .state = w->stop_at_ms == 0 ? "running" : "stopping",
        .uptime_ms = now_ms(w) - w->begun_ms,
        .engine = &engine,
        .views = w->chores.views.list,
        .balances = w->chores.views.balances,
        .log_end = log_end,
        .source = w->source,
    });
}

static json_t *status(void *self)
{
    const struct worker *w = self;
    return report_document(report(w), now_ms(w) - w->begun_ms);
}

static void report_if_due(struct worker *w)
{
    int64_t now = now_ms(w);
    if (!w->options->supervised->on || (now < w->report_next_ms && !w->journal.news))
        return;
    w->journal.news = false;
    w->report_next_ms = now + REPORT_MS;
    json_t *json = report(w);
    supervised_report(w->options->supervised, json);
    json_decref(json);
}

/* ----------------------------------------------------------------------------------- the end */

static void stop(struct worker *w, const char *why, int code)
{
    if (code > w->code)
        w->code = code;
    if (w->stop_at_ms != 0)
        return;
    w->stop_at_ms = now_ms(w);
    (void)failpoint("in_shutdown");
    log_line(w->log, LEVEL_INFO, "stopping", FIELDS(FIELD_TEXT("why", why)));
    engine_stop(w->engine);
}

static void on_supervisor_stop(void *self)
{
    stop(self, "the supervisor wants it or is gone", EX_OK);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    (void)what;
    struct worker *w = arg;
    if (!w->signalled) {
        w->signalled = true;
        if (w->restart) { /* whoever wants an end does not want a new beginning */
            w->restart = false;
            w->code = EX_OK;
        }
        if (w->drain != NULL && w->stop_at_ms == 0)
            drain_cut_short(w->log);
        stop(w, interrupt_name((int)number), EX_OK);
        return;
    }
    /* A supervisor's wish and a signal to the whole process group are one order, not two. */
    if (w->options->supervised->on && now_ms(w) - w->stop_at_ms < 1000)
        return;
    w->at_once = true;
    w->code = 128 + (int)number;
}

/* Something other than a signal that ends the process. */
static void check_ends(struct worker *w)
{
    const struct supervised *supervised = w->options->supervised;
    if (supervised->on && getppid() != supervised->supervisor)
        stop(w, "the supervisor is gone", EX_OK);
    if (w->stop_at_ms != 0)
        return; /* what is found out now changes nothing */
    if (w->journal.settings_refused)
        stop(w, "other settings are stored in the database", EX_CONFIG);
    if (w->journal.client_finished) {
        w->restart = true;
        stop(w, "the Kafka client has to be started anew", EX_TEMPFAIL);
    }
}

static void check_drained(struct worker *w)
{
    if (w->drain == NULL || w->stop_at_ms != 0 || now_ms(w) < w->drain_next_ms)
        return;
    w->drain_next_ms = now_ms(w) + DRAIN_STEP_MS;
    json_t *document = status(w);
    enum drain_state state = document == NULL ? DRAIN_GOING : drain_step(w->drain, document);
    json_decref(document);
    if (state != DRAIN_GOING)
        stop(w, state == DRAIN_SETTLED ? "drained" : "drained, but for a halted partition",
             state == DRAIN_SETTLED ? EX_OK : EX_DATAERR);
}

/* True when there is nothing left to wait for, or no time. */
static bool is_over(struct worker *w)
{
    if (w->at_once)
        return true;
    if (w->stop_at_ms == 0)
        return false;
    bool idle = chores_idle(&w->chores);
    if (engine_stopped(w->engine) && (idle || now_ms(w) - w->stop_at_ms > TIDY_MS))
        return true;
    if (now_ms(w) - w->stop_at_ms < STOP_MS)
        return false;
    struct engine_status engine;
    engine_status(w->engine, &engine);
    log_line(w->log, LEVEL_WARN,
             "time is up: what is not finished is abandoned; the next owner reads it again",
             FIELDS(FIELD_INT("records", engine.batch_events + engine.in_flight_events),
                    FIELD_INT("unpublished_messages", kafka_publisher_waiting(w->publisher)),
                    FIELD_TEXT("database", engine.connected ? "connected" : "not connected")));
    w->at_once = true;
    return true;
}

/* ---------------------------------------------------------------------------------- the loop */

static int64_t sooner(int64_t a, int64_t b)
{
    return b >= 0 && b < a ? b : a;
}

static void tell_publisher_troubles(struct worker *w)
{
    struct err err;
    while (kafka_publisher_trouble(w->publisher, &err))
        journal_log_trouble(&w->journal, "Kafka", &err);
}

/*
 * One turn. The order is fixed:
 *   1. the wake-ups are cleared before anybody is asked for news, so that news that comes meanwhile
 *      wakes the loop again;
 *   2. delivery reports come before the engine, which frees room by them;
 *   3. the engine does all it can without waiting;
 *   4. the housekeepers come after it: the engine has just told which messages arrived;
 *   5. what others shall know or decide follows from where it stands now;
 *   6. the sockets are looked at last, because all of that may have changed them.
 * Returns how long the loop may sleep.
 */
static int64_t worker_turn(struct worker *w)
{
    kafka_source_clear(w->source);
    kafka_publisher_clear(w->publisher);

    int64_t sleep_ms = sooner(TURN_MAX_MS, kafka_publisher_tend(w->publisher));
    tell_publisher_troubles(w);

    sleep_ms = sooner(sleep_ms, engine_step(w->engine));
    sleep_ms = sooner(sleep_ms, chores_step(&w->chores, now_ms(w), w->stop_at_ms != 0));

    check_ends(w);
    check_drained(w);
    report_if_due(w);
    withheld_look(&w->withheld, w->engine, w->source);

    const struct pg_session *session = pg_store_session(w->store);
    (void)watch_set(&w->source_watch, w->base, kafka_source_fd(w->source), POLLIN);
    (void)watch_set(&w->publisher_watch, w->base, kafka_publisher_fd(w->publisher), POLLIN);
    (void)watch_set(&w->store_watch, w->base, pg_session_fd(session), pg_session_events(session));
    sleep_ms = sooner(sleep_ms, pg_session_wait_ms(session));
    if (w->stop_at_ms != 0)
        sleep_ms = sooner(sleep_ms, STOP_STEP_MS);
    return w->drain == NULL ? sleep_ms : sooner(sleep_ms, DRAIN_STEP_MS);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

static void loop(struct worker *w)
{
    while (!is_over(w)) {
        int64_t sleep_ms = worker_turn(w);
        struct timeval delay = { .tv_sec = sleep_ms / 1000, .tv_usec = sleep_ms % 1000 * 1000 };
        if (sleep_ms > 0)
            (void)event_add(w->timer, &delay);
        (void)event_base_loop(w->base, sleep_ms > 0 ? EVLOOP_ONCE : EVLOOP_NONBLOCK);
    }
}

/* --------------------------------------------------------------------------------- the start */

static bool make_loop(struct worker *w, struct err *err)
{
    static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
    w->base = event_base_new();
    w->timer = w->base == NULL ? NULL : evtimer_new(w->base, on_timer, NULL);
    bool done = w->timer != NULL;
    for (size_t i = 0; done && i < 3; i++) {
        if (numbers[i] == SIGHUP && !interrupt_hangup_counts())
            continue;
        w->signals[i] = evsignal_new(w->base, numbers[i], on_signal, w);
        done = w->signals[i] != NULL && event_add(w->signals[i], NULL) == 0;
    }
    done = done && supervised_listen(w->options->supervised, w->base, on_supervisor_stop, w);
    return done || err_set(err, ERR_RESOURCE, "memory", "no memory for the event loop");
}

static bool make_http(struct worker *w, struct err *err)
{
    const struct settings *settings = w->settings;
    if (!settings->http_on || w->options->supervised->on)
        return true;
    struct http_content content = { .self = w, .status = status };
    w->http = http_server_new(w->base, settings->http_host, settings->http_port, &content, err);
    if (w->http == NULL)
        return false;
    log_line(w->log, LEVEL_INFO, "http listens",
             FIELDS(FIELD_TEXT("address", settings->http_host),
                    FIELD_INT("port", http_server_port(w->http))));
    return true;
}

static struct engine_options make_engine_options(const struct settings *settings,
                                                 size_t batch_bytes, uint64_t seed)
{
    struct engine_options options = engine_options_default();
    options.limits = settings_limits(settings);
    options.version_jump_max = settings->max_version_jump;
    options.linger_ms = settings->linger_ms;
    options.batch_events_max = (size_t)settings->batch_events;
    options.batch_bytes_max = batch_bytes;
    options.retries = (unsigned)settings->retries;
    options.breaker_failures = (unsigned)settings->breaker_failures;
    options.breaker_open_ms = settings->breaker_open_ms;
    options.seed = seed;
    for (int i = 0; i < TOPIC_COUNT; i++)
        options.topics[i] = settings->topics[i];
    return options;
}

static bool make_adapters(struct worker *w, struct err *err)
{
    const struct settings *settings = w->settings;
    if (!conninfo_valid(settings->database_url))
        return err_set(err, ERR_HALT, "conninfo", "%s", CONNINFO_UNREADABLE);
    if (!kafka_setup_init(&w->kafka, settings, err) || !kafka_options_check(&w->kafka.options, err))
        return false;
    struct memory_plan memory;
    if (!memory_plan(settings, &w->kafka.options, w->log, &memory, err))
        return false;
    w->kafka.options.prefetch_kbytes = memory.prefetch_kbytes;
    store_setup_init(&w->database, settings, w->options->supervised->index);
    w->store = pg_store_new(&w->database.options);
    if (w->store == NULL)
        return err_set(err, ERR_RESOURCE, "memory", "no memory for the database session");
    w->publisher = kafka_publisher_new(&w->kafka.options, err);
    if (w->publisher == NULL)
        return false;
    uint64_t seed = (uint64_t)clock_wall_us(&w->clock) ^ (uint64_t)getpid() << 32;
    struct engine_options options = make_engine_options(settings, memory.batch_bytes, seed);
    struct chores_options chores = { .settings = settings,
                                     .journal = &w->journal,
                                     .base = w->base,
                                     .publisher = kafka_publisher_port(w->publisher),
                                     .writer = pg_store_session(w->store),
                                     .ttl_hint_s = options.ttl_hint_s,
                                     .seed = seed ^ 1 };
    if (!chores_init(&w->chores, &chores, err))
        return false;
    /* Last, because from here on the group gives us partitions. */
    w->source = kafka_source_new(&w->kafka.options, err);
    if (w->source == NULL)
        return false;
    struct engine_ports ports = {
        .source = kafka_source_port(w->source),
        .store = pg_store_port(w->store),
        .publisher = chores_port(&w->chores),
        .journal = journal_log_port(&w->journal),
        .clock = w->clock,
    };
    failpoints_wrap(&ports.source, &ports.store, &ports.publisher);
    w->engine = engine_new(&options, &ports);
    chores_tell(&w->chores, w->engine);
    return w->engine != NULL || err_set(err, ERR_RESOURCE, "memory", "no memory for the engine");
}

static bool make_drain(struct worker *w, struct err *err)
{
    if (!w->options->drain || w->options->supervised->on)
        return true;
    w->drain = drain_new(w->settings, w->log, err);
    return w->drain != NULL;
}

static void release(struct worker *w)
{
    drain_free(w->drain);
    engine_free(w->engine);
    kafka_source_free(w->source); /* leaves the group */
    kafka_publisher_free(w->publisher);
    chores_release(&w->chores);
    pg_store_free(w->store);
    kafka_setup_release(&w->kafka);
    http_server_free(w->http);
    watch_release(&w->source_watch);
    watch_release(&w->publisher_watch);
    watch_release(&w->store_watch);
    for (size_t i = 0; i < 3; i++) {
        if (w->signals[i] != NULL)
            event_free(w->signals[i]);
    }
    if (w->timer != NULL)
        event_free(w->timer);
    supervised_release(w->options->supervised);
    if (w->base != NULL)
        event_base_free(w->base);
}

static int exit_code_of(const struct err *err)
{
    return err->action == ERR_HALT  ? EX_CONFIG
           : err->action == ERR_BUG ? EX_SOFTWARE
                                    : EX_UNAVAILABLE;
}

int worker_run(const struct worker_options *options, bool *ret_restart)
{
    struct worker w = { .options = options,
                        .settings = options->settings,
                        .log = options->log,
                        .clock = clock_system() };
    struct err err;
    w.begun_ms = now_ms(&w);
    journal_log_init(&w.journal, w.log, w.settings);
    withheld_init(&w.withheld, w.log, w.settings);
    memory_keep();
    /*
     * Before the loop takes the signals: it would hear none while Kafka is asked. And HTTP before
     * the adapters: a taken port is found out before the group is disturbed.
     */
    if (!make_drain(&w, &err) || !make_loop(&w, &err) || !make_http(&w, &err) ||
        !make_adapters(&w, &err)) {
        log_line(w.log, LEVEL_ERROR, err.text, FIELDS(FIELD_TEXT("code", err.code)));
        release(&w);
        return exit_code_of(&err);
    }
    log_line(w.log, LEVEL_INFO, "worker runs",
             FIELDS(FIELD_TEXT("version", ATTEMPTD_VERSION), FIELD_TEXT("group", w.settings->group),
                    FIELD_TEXT("brokers", w.settings->kafka_brokers),
                    FIELD_INT("prefetch_kbytes", w.kafka.options.prefetch_kbytes)));
    loop(&w);
    *ret_restart = w.restart && !options->supervised->on && !w.at_once;
    int64_t took_ms = w.stop_at_ms == 0 ? 0 : now_ms(&w) - w.stop_at_ms;
    bool in_order = !w.at_once && took_ms < LEAVE_MAX_MS;
    if (in_order)
        release(&w);
    log_line(w.log, LEVEL_INFO, "worker ends", FIELDS(FIELD_INT("exit_code", w.code)));
    /* The clients' threads are still at work with what our callers would take away. */
    if (!in_order && !*ret_restart)
        _exit(w.code);
    return w.code;
}
