#include "worker/commands/bench_stage.h"

#include "common/buf.h"
#include "worker/commands/bench.h"
#include "worker/kafka/kafka_producer.h"
#include "worker/postgres/migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define GROUP             "attemptd-bench"
#define ROWS_AT_ONCE      1000
#define FLUSH_TIMEOUT_MS  120000
#define ARGUMENTS_MAX     256
#define OUTLET_PARTITIONS 3

/* -------------------------------------------------------------------------------- the schema */

static bool make_schema(struct bench_stage *stage, struct err *err)
{
    struct pg_client_options options = { .url = stage->settings->database_url,
                                         .schema = BENCH_SCHEMA,
                                         .application_name = "attemptd bench" };
    const struct migrate_options migrate = { 0 };
    struct pg_rows *rows = NULL;
    if (!pg_client_connect(&options, &stage->client, err) ||
        !pg_client_run(stage->client, "bench_schema.sql", NULL, 0, &rows, err))
        return false;
    bool there = pg_rows_bool(rows, 0, 0);
    pg_rows_free(rows);
    if (there)
        return err_set(err, ERR_HALT, "schema",
                       "the schema " BENCH_SCHEMA " is there already: left by a bench that was "
                       "killed, or in use by another; if it is not, DROP SCHEMA " BENCH_SCHEMA
                       " CASCADE");
    stage->made_schema = true;
    return migrate_up(stage->client, &migrate, NULL, err) &&
           pg_client_run(stage->client, "bench_no_views.sql", NULL, 0, NULL, err);
}

static void put_row(struct buf *json, const struct flood_options *options, uint32_t attempt)
{
    const struct uuid ids[] = { flood_attempt_id(options, attempt), flood_exam_id(options, attempt),
                                flood_student_id(options, attempt) };
    static const char *const names[] = { "{\"id\":\"", "\",\"exam_id\":\"",
                                         "\",\"student_id\":\"" };
    for (size_t i = 0; i < 3; i++) {
        char text[UUID_TEXT_LEN + 1];
        buf_put(json, bytes_of(names[i]));
        buf_put(json, bytes_of(uuid_format(&ids[i], text)));
    }
    buf_put(json, BYTES("\",\"answers\":"));
    flood_put_document(options, attempt, json);
    buf_put_char(json, '}');
}

static bool make_attempts(struct bench_stage *stage, struct err *err)
{
    struct buf json;
    bool done = true;
    buf_init(&json, (size_t)64 << 20);
    for (uint32_t i = 0; done && i < stage->flood_options.attempts;) {
        buf_clear(&json);
        for (uint32_t n = 0; n < ROWS_AT_ONCE && i < stage->flood_options.attempts; n++, i++) {
            buf_put_char(&json, n == 0 ? '[' : ',');
            put_row(&json, &stage->flood_options, i);
        }
        buf_put_char(&json, ']');
        buf_put_char(&json, '\0');
        const char *params[] = { json.ptr };
        done = json.failed
                   ? err_set(err, ERR_RESOURCE, "ENOMEM", "no memory for the attempts")
                   : pg_client_run(stage->client, "bench_attempts.sql", params, 1, NULL, err);
    }
    buf_release(&json);
    return done && pg_client_execute(stage->client, "VACUUM", "VACUUM (FREEZE, ANALYZE)", err);
}

/* -------------------------------------------------------------------------------- the topics */

/* Calls `act` for each topic with the number of partitions that it has to have. */
static bool each_topic(struct bench_stage *stage, struct kafka_admin *admin,
                       bool (*act)(struct kafka_admin *admin, const char *topic, int32_t partitions,
                                   struct err *err),
                       struct err *err)
{
    const struct kafka_names *names = &stage->kafka.names;
    for (int i = 0; i < TOPIC_COUNT; i++)
        if (!act(admin, names->topics[i], i == TOPIC_REFRESH ? 1 : stage->flood_options.partitions,
                 err))
            return false;
    for (int i = 0; i < OUTLET_COUNT; i++)
        if (!act(admin, names->outlets[i], OUTLET_PARTITIONS, err))
            return false;
    return true;
}

static bool refuse_topic(struct kafka_admin *admin, const char *topic, int32_t partitions,
                         struct err *err)
{
    struct kafka_topic found;
    (void)partitions;
    return kafka_admin_topic(admin, topic, &found, err) &&
           (!found.exists ||
            err_set(err, ERR_HALT, "topic",
                    "the topic %s is there already: left by a bench that was killed, or in use by "
                    "another; if it is not, delete the topics that begin with its prefix",
                    topic));
}

static bool make_topic(struct kafka_admin *admin, const char *topic, int32_t partitions,
                       struct err *err)
{
    return kafka_admin_create(admin, topic, partitions, NULL, 0, err);
}

static bool remove_topic(struct kafka_admin *admin, const char *topic, int32_t partitions,
                         struct err *err)
{
    (void)partitions;
    return kafka_admin_delete(admin, topic, err);
}

static bool make_topics(struct bench_stage *stage, struct err *err)
{
    struct kafka_admin *admin = kafka_setup_reach(&stage->kafka, err);
    if (admin == NULL)
        return false;
    bool done = each_topic(stage, admin, refuse_topic, err);
    stage->made_topics = done;
    done = done && each_topic(stage, admin, make_topic, err);
    kafka_admin_free(admin);
    return done;
}

/* ------------------------------------------------------------------------------ up and down */

bool bench_stage_open(struct bench_stage *stage, const struct settings *settings,
                      const struct flood_options *options, struct err *err)
{
    *stage =
        (struct bench_stage){ .settings = settings, .own = *settings, .flood_options = *options };
    (void)snprintf(stage->prefix, sizeof stage->prefix, "%s" BENCH_PREFIX,
                   settings->topic_prefix == NULL ? "" : settings->topic_prefix);
    stage->own.topic_prefix = stage->prefix;
    stage->own.group = GROUP;
    stage->own.schema = BENCH_SCHEMA;
    if (!kafka_setup_init(&stage->kafka, &stage->own, err))
        return false;
    stage->flood = flood_new(&stage->flood_options);
    if (stage->flood == NULL)
        return err_set(err, ERR_RESOURCE, "ENOMEM", "no memory for the events");
    return make_topics(stage, err) && make_schema(stage, err) && make_attempts(stage, err);
}

static bool remove_topics(struct bench_stage *stage, struct err *err)
{
    struct kafka_admin *admin = kafka_setup_reach(&stage->kafka, err);
    bool done = admin != NULL && each_topic(stage, admin, remove_topic, err);
    kafka_admin_free(admin);
    return done;
}

bool bench_stage_close(struct bench_stage *stage, bool keep, struct err *err)
{
    bool done = true;
    if (stage->made_schema && !keep)
        done = pg_client_execute(stage->client, "DROP SCHEMA",
                                 "DROP SCHEMA IF EXISTS " BENCH_SCHEMA " CASCADE", err);
    if (stage->made_topics && !keep)
        done = remove_topics(stage, done ? err : NULL) && done;
    pg_client_free(stage->client);
    flood_free(stage->flood);
    kafka_setup_release(&stage->kafka);
    return done;
}

bool bench_stage_fill(struct bench_stage *stage, const struct flood_segment *segment,
                      struct err *err)
{
    struct flood_event event;
    struct record record;
    struct kafka_producer *producer = kafka_producer_new(&stage->kafka.options, err);
    bool done = producer != NULL;
    if (done && !flood_begin(stage->flood, segment))
        done = err_set(err, ERR_RESOURCE, "ENOMEM", "no memory for the events");
    while (done && flood_next(stage->flood, &event)) {
        if (!flood_render(stage->flood, &event, &record)) {
            done = err_set(err, ERR_RESOURCE, "ENOMEM", "no memory for an event");
            break;
        }
        struct kafka_outgoing outgoing = { .topic = stage->kafka.names.topics[record.tp.topic],
                                           .partition = record.tp.partition,
                                           .key = record.key,
                                           .value = record.value,
                                           .headers = record.headers,
                                           .header_count = record.header_count };
        done = kafka_producer_send(producer, &outgoing, err);
    }
    done = done && kafka_producer_flush(producer, FLUSH_TIMEOUT_MS, err);
    kafka_producer_free(producer);
    return done;
}

/* ---------------------------------------------------------------------------------- the child */

/* What came by flags is said again; environment and file are there for the child as well. Without
 * all of it the child would drain what the environment names, so it must not begin. */
static bool set_environment(const struct bench_stage *stage)
{
    const struct settings *settings = stage->settings;
    const struct {
        const char *name, *text;
        int64_t number;
    } items[] = {
        { "DATABASE_URL", settings->database_url, 0 },
        { "KAFKA_BOOTSTRAP_SERVERS", settings->kafka_brokers, 0 },
        { "ATTEMPTD_SCHEMA", BENCH_SCHEMA, 0 },
        { "ATTEMPTD_TOPIC_PREFIX", stage->prefix, 0 },
        { "ATTEMPTD_GROUP", GROUP, 0 },
        { "ATTEMPTD_HTTP", "off", 0 },
        { "ATTEMPTD_LOG_LEVEL", "warn", 0 },
        { "ATTEMPTD_WORKERS", NULL, settings->workers },
        { "ATTEMPTD_LINGER_MS", NULL, settings->linger_ms },
        { "ATTEMPTD_BATCH_EVENTS", NULL, settings->batch_events },
        { "ATTEMPTD_MEMORY_MB", NULL, settings->memory_mb },
    };
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        char number[24];
        (void)snprintf(number, sizeof number, "%lld", (long long)items[i].number);
        const char *text = items[i].text != NULL ? items[i].text : number;
        if ((items[i].text != NULL || items[i].number != 0) && setenv(items[i].name, text, 1) != 0)
            return false;
    }
    return true;
}

static void become_worker(const struct bench_stage *stage)
{
    char *argv[ARGUMENTS_MAX] = { (char *)"attemptd", (char *)"run", (char *)"--drain" };
    size_t count = 3;
    const struct settings *settings = stage->settings;
    if (settings->config != NULL) {
        argv[count++] = (char *)"--config";
        argv[count++] = (char *)settings->config;
    }
    for (size_t i = 0; i < settings->property_count && count + 3 < ARGUMENTS_MAX; i++) {
        char *pair = NULL;
        if (settings->properties[i].rank != CONF_FLAG)
            continue;
        if (asprintf(&pair, "%s=%s", settings->properties[i].name, settings->properties[i].value) <
            0)
            _exit(EX_OSERR);
        argv[count++] = (char *)"-X";
        argv[count++] = pair;
    }
    if (set_environment(stage))
        (void)execv("/proc/self/exe", argv);
    _exit(EX_OSERR);
}

static double now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool look(struct bench_stage *stage, double *ret_wal, int64_t *ret_applied, struct err *err)
{
    struct pg_rows *rows = NULL;
    if (!pg_client_run(stage->client, "bench_facts.sql", NULL, 0, &rows, err))
        return false;
    *ret_wal = (double)pg_rows_int(rows, 0, 0);
    *ret_applied = pg_rows_int(rows, 0, 1);
    pg_rows_free(rows);
    return true;
}

/* Our own held signals must not be held in the child, which has its own way to end. */
static pid_t start_child(const struct bench_stage *stage)
{
    pid_t pid = fork();
    if (pid == 0) {
        sigset_t none;
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        become_worker(stage);
    }
    return pid;
}

bool bench_stage_drain(struct bench_stage *stage, uint64_t events, struct bench_run *ret,
                       struct err *err)
{
    double wal;
    int64_t applied;
    int status;
    struct rusage usage;
    if (!look(stage, &wal, &applied, err))
        return false;
    double begun = now_s();
    pid_t pid = start_child(stage);
    if (pid < 0 || wait4(pid, &status, 0, &usage) != pid)
        return err_set(err, ERR_RESOURCE, "fork", "cannot run the worker: %s", strerror(errno));
    ret->seconds = now_s() - begun;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(err, ERR_BUG, "run", "the worker ended with %d; its own words are above",
                       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    ret->cpu_us = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
                  (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    ret->peak_rss_kb = usage.ru_maxrss;
    if (!look(stage, &ret->wal_bytes, &ret->applied, err))
        return false;
    ret->wal_bytes -= wal;
    ret->applied -= applied;
    return ret->applied == (int64_t)events ||
           err_set(err, ERR_BUG, "applied", "of %llu events %lld were applied",
                   (unsigned long long)events, (long long)ret->applied);
}
