#include "worker/commands/run.h"
#include "common/log.h"
#include "worker/commands/command.h"
#include "worker/commands/drain.h"
#include "worker/commands/supervise.h"
#include "worker/commands/supervised.h"
#include "worker/commands/worker.h"
#include "worker/kafka/kafka_conf.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define ARGUMENTS_MAX 512
#define PROGRAM       "/proc/self/exe"

/* The broker looks for dead members only now and then. */
#define SESSION_GRACE_MS 500

const char run_help[] =
    "Consumes attempt.writes, attempt.activity and view.refresh, folds the many saves of one\n"
    "attempt into one row write, commits whole batches to PostgreSQL together with the offsets,\n"
    "and then tells cache.invalidations and attempt.outcomes what changed. Several of these, on\n"
    "one host or many, share the partitions through the consumer group.\n"
    "\n"
    "It waits for what is not there yet (topics, PostgreSQL, Kafka) and says so; nothing but a\n"
    "signal ends it. SIGTERM, SIGINT or SIGHUP: it finishes the batch in flight, publishes,\n"
    "leaves the group and exits 0 within 10 s; a second one ends it at once. SIGUSR1 and\n"
    "SIGUSR2 do nothing.\n"
    "\n"
    "Options:\n"
    "  --drain          end with 0 once everything that was in the topics at the start is\n"
    "                   settled and published; with 65 when a halted partition is in the way.\n"
    "                   What a producer's open transaction holds back cannot be read: it is not\n"
    "                   waited for, and a warning names the partition and how many records.\n"
    "                   A signal before Kafka has said what that is ends it at once with 130,\n"
    "                   a later one as ever with 0, and a warning says that it was too early\n"
    "\n"
    "Examples:\n"
    "  attemptd run --database-url postgresql://localhost/exams --kafka-brokers localhost:9092\n"
    "  attemptd run --workers 4 --http 0.0.0.0:9464 --log json\n"
    "  attemptd run --drain --http off          # in a pipeline: catch up, then end\n"
    "  attemptd run --print-config              # what is in force, and where it came from\n"
    "\n"
    "  curl -s localhost:9464/readyz            # 503 names each halted partition\n"
    "  curl -s localhost:9464/metrics           # for Prometheus\n";

/* ------------------------------------------------------------------------------- supervisor */

/* This process's own command line, as it was before the settings were taken out of it. */
struct arguments {
    char *text;
    char *argv[ARGUMENTS_MAX];
};

static bool read_all(int fd, struct arguments *arguments, size_t *ret_len)
{
    const size_t capacity = (size_t)1 << 20;
    size_t len = 0;
    arguments->text = malloc(capacity);
    if (arguments->text == NULL)
        return false;
    for (ssize_t got = 1; got > 0 && len<capacity - 1; len += got> 0 ? (size_t)got : 0)
        got = read(fd, arguments->text + len, capacity - 1 - len);
    arguments->text[len] = '\0';
    *ret_len = len;
    return len > 0;
}

static bool arguments_init(struct arguments *arguments)
{
    *arguments = (struct arguments){ 0 };
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    size_t len = 0, count = 0;
    bool done = fd >= 0 && read_all(fd, arguments, &len);
    if (fd >= 0)
        (void)close(fd);
    for (size_t at = 0; done && at < len; at += strlen(arguments->text + at) + 1) {
        if (count + 1 == ARGUMENTS_MAX)
            return false;
        arguments->argv[count++] = arguments->text + at;
    }
    return done;
}

static bool settled(void *self, const json_t *status, int *ret_code)
{
    enum drain_state state = drain_step(self, status);
    *ret_code = state == DRAIN_HALTED ? EX_DATAERR : EX_OK;
    return state != DRAIN_GOING;
}

static int run_supervisor(const struct settings *settings, const struct log *log,
                          struct drain *drain)
{
    struct arguments arguments;
    int code = EX_OSERR;
    if (arguments_init(&arguments)) {
        struct supervise_options options = supervise_options_default();
        options.log = log;
        options.program = PROGRAM;
        options.argv = arguments.argv;
        options.workers = (size_t)settings->workers;
        options.session_ms = KAFKA_SESSION_TIMEOUT_MS + SESSION_GRACE_MS;
        options.http_on = settings->http_on;
        options.http_host = settings->http_host;
        options.http_port = settings->http_port;
        options.settled = drain == NULL ? NULL : settled;
        options.self = drain;
        code = supervise(&options);
    } else {
        log_line(log, LEVEL_ERROR, "cannot read my own command line",
                 FIELDS(FIELD_TEXT("error", strerror(errno))));
    }
    free(arguments.text);
    return code;
}

static int supervise_drained(const struct settings *settings, const struct log *log, bool drain)
{
    struct err err;
    struct drain *state = drain ? drain_new(settings, log, &err) : NULL;
    if (drain && state == NULL) {
        log_line(log, LEVEL_ERROR, err.text, FIELDS(FIELD_TEXT("code", err.code)));
        return command_exit_code(&err);
    }
    int code = run_supervisor(settings, log, state);
    drain_free(state);
    return code;
}

/* ------------------------------------------------------------------------------------- worker */

/* The Kafka client of this process is finished: only a new process has a new one. */
static int start_anew(const struct log *log)
{
    struct arguments arguments;
    if (arguments_init(&arguments)) {
        log_line(log, LEVEL_WARN, "starting anew", NULL);
        (void)execv(PROGRAM, arguments.argv);
    }
    free(arguments.text);
    return EX_OSERR;
}

static int run_worker(const struct settings *settings, struct log *log,
                      struct supervised *supervised, bool drain)
{
    const struct log_field context[] = { FIELD_INT("worker", supervised->index), { .key = NULL } };
    if (supervised->on)
        log->context = context;
    bool restart = false;
    int code = worker_run(
        &(struct worker_options){
            .settings = settings, .log = log, .supervised = supervised, .drain = drain },
        &restart);
    log->context = NULL;
    return restart ? start_anew(log) : code;
}

int run_command(const struct settings *settings, int argc, char **argv)
{
    static const struct option options[] = { { "drain", no_argument, NULL, 'd' },
                                             { NULL, 0, NULL, 0 } };
    bool drain = false;
    optind = 0;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option != 'd')
            return command_usage("run", "there is no option '%s'", argv[optind - 1]);
        drain = true;
    }
    if (optind < argc)
        return command_usage("run", "'%s' is one word too many", argv[optind]);
    struct log log;
    struct log_sink sink;
    log_sink_init(&sink, STDERR_FILENO);
    /* What tools send to other daemons must not end this one; its workers inherit it. */
    (void)signal(SIGUSR1, SIG_IGN);
    (void)signal(SIGUSR2, SIG_IGN);
    log_init(&log, &sink, settings->log, settings->log_level);
    struct supervised supervised;
    supervised_init(&supervised);
    int code = settings->workers > 1 && !supervised.on
                   ? supervise_drained(settings, &log, drain)
                   : run_worker(settings, &log, &supervised, drain);
    log_sink_release(&sink);
    return code;
}
