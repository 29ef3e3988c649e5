#include "worker/commands/bench.h"

#include "worker/commands/bench_stage.h"
#include "worker/commands/command.h"
#include "worker/commands/interrupt.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define ROUNDS_MAX 100

const char bench_help[] =
    "Measures what this program reaches on your Kafka and your PostgreSQL: it sends a log of saves\n"
    "(446 bytes each) and lets `attemptd run --drain` work it off, with every guarantee on, from\n"
    "the start of the process to its end.\n"
    "\n"
    "Your schema and your topics are not touched: it makes a schema " BENCH_SCHEMA " and topics\n"
    "that begin with " BENCH_PREFIX
    " (after your prefix), refuses when they are there already, and\n"
    "removes them at the end. But it does load both servers with all they can take: not beside an\n"
    "exam. The role needs CREATE in the database. --workers, --linger-ms, --batch-events and\n"
    "--memory-mb are the worker's own. `make bench` in the source measures far more.\n"
    "\n"
    "Options:\n"
    "  --events N    200000: saves in a round\n"
    "  --attempts N  20000: attempts in the table, with 40 answers each\n"
    "  --folding F   1: saves of one attempt that come close together\n"
    "  --rounds N    3; the median is the result\n"
    "  --keep        leave schema and topics for a look\n"
    "  --json        the result as JSON\n"
    "\n"
    "Exit codes: 0, 69 or 78 a server is missing or refuses, 70 the worker failed, 130 ended early.\n"
    "\n"
    "Examples:\n"
    "  attemptd bench\n"
    "  attemptd bench --folding 20 --workers 2 --events 1000000 --json\n";

struct bench {
    const struct settings *settings;
    struct flood_options flood;
    uint64_t events;
    unsigned folding, rounds;
    bool keep, json;
    struct bench_run runs[ROUNDS_MAX];
};

/* ----------------------------------------------------------------------------------- options */

static bool read_number(const char *text, uint64_t low, uint64_t high, uint64_t *ret)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || value < low || value > high)
        return false;
    *ret = value;
    return true;
}

static bool read_option(struct bench *bench, int option, const char *text)
{
    uint64_t number = 0;
    switch (option) {
    case 'e':
        return read_number(text, 1, UINT32_MAX, &bench->events);
    case 'a':
        if (!read_number(text, 1, 100000000, &number))
            return false;
        bench->flood.attempts = (uint32_t)number;
        return true;
    case 'f':
        if (!read_number(text, 1, 10000, &number))
            return false;
        bench->folding = (unsigned)number;
        return true;
    default:
        if (!read_number(text, 1, ROUNDS_MAX, &number))
            return false;
        bench->rounds = (unsigned)number;
        return true;
    }
}

static int parse(struct bench *bench, int argc, char **argv)
{
    static const struct option options[] = { { "events", required_argument, NULL, 'e' },
                                             { "attempts", required_argument, NULL, 'a' },
                                             { "folding", required_argument, NULL, 'f' },
                                             { "rounds", required_argument, NULL, 'r' },
                                             { "keep", no_argument, NULL, 'k' },
                                             { "json", no_argument, NULL, 'j' },
                                             { 0 } };
    optind = 0;
    opterr = 0;
    for (int option, at = 0; (option = getopt_long(argc, argv, "", options, &at)) != -1;) {
        if (option == '?')
            return command_usage("bench", "unknown option or missing value: %s", argv[optind - 1]);
        if (option == 'k')
            bench->keep = true;
        else if (option == 'j')
            bench->json = true;
        else if (!read_option(bench, option, optarg))
            return command_usage("bench", "--%s %s: out of range, or no number", options[at].name,
                                 optarg);
    }
    if (optind < argc)
        return command_usage("bench", "'%s' is one word too many", argv[optind]);
    return EX_OK;
}

/* ------------------------------------------------------------------------------------ report */

struct summary {
    double median, low, high;
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct summary summarize(const struct bench *bench,
                                double (*of)(const struct bench *bench,
                                             const struct bench_run *run))
{
    double values[ROUNDS_MAX];
    size_t count = bench->rounds;
    for (size_t i = 0; i < count; i++)
        values[i] = of(bench, &bench->runs[i]);
    qsort(values, count, sizeof values[0], compare);
    return (struct summary){ (values[(count - 1) / 2] + values[count / 2]) / 2, values[0],
                             values[count - 1] };
}

static double rate_of(const struct bench *bench, const struct bench_run *run)
{
    return (double)bench->events / run->seconds;
}

static double cpu_of(const struct bench *bench, const struct bench_run *run)
{
    return run->cpu_us / (double)bench->events;
}

static double wal_of(const struct bench *bench, const struct bench_run *run)
{
    return run->wal_bytes / (double)bench->events;
}

static double rss_of(const struct bench *bench, const struct bench_run *run)
{
    (void)bench;
    return (double)run->peak_rss_kb / 1024;
}

static json_t *json_of(struct summary summary)
{
    return json_pack("{s:f, s:f, s:f}", "median", summary.median, "min", summary.low, "max",
                     summary.high);
}

static bool report_json(const struct bench *bench, const struct pg_rows *server)
{
    json_t *json = json_pack(
        "{s:s, s:I, s:I, s:i, s:i, s:I, s:o, s:o, s:o, s:o, s:{s:s, s:s, s:s, s:s, s:s, s:s}}",
        "version", ATTEMPTD_VERSION, "events", (json_int_t)bench->events, "attempts",
        (json_int_t)bench->flood.attempts, "folding", (int)bench->folding, "rounds",
        (int)bench->rounds, "workers", (json_int_t)bench->settings->workers, "events_per_second",
        json_of(summarize(bench, rate_of)), "worker_cpu_us_per_event",
        json_of(summarize(bench, cpu_of)), "wal_bytes_per_event", json_of(summarize(bench, wal_of)),
        "peak_rss_mb", json_of(summarize(bench, rss_of)), "postgres", "server_version",
        pg_rows_text(server, 0, 0, ""), "fsync", pg_rows_text(server, 0, 1, ""),
        "synchronous_commit", pg_rows_text(server, 0, 2, ""), "full_page_writes",
        pg_rows_text(server, 0, 3, ""), "shared_buffers", pg_rows_text(server, 0, 4, ""),
        "max_wal_size", pg_rows_text(server, 0, 5, ""));
    bool done = json != NULL && json_dumpf(json, stdout, JSON_INDENT(2)) == 0;
    (void)putchar('\n');
    json_decref(json);
    return done;
}

static void report_table(const struct bench *bench, const struct pg_rows *server)
{
    const struct {
        const char *name;
        double (*of)(const struct bench *bench, const struct bench_run *run);
        int digits;
    } lines[] = { { "events/s", rate_of, 0 },
                  { "worker CPU, us/event", cpu_of, 2 },
                  { "WAL, bytes/event", wal_of, 0 },
                  { "worker's peak memory, MB", rss_of, 0 } };
    (void)printf("%llu saves of %u attempts, folding %u, %lld workers, %u rounds; PostgreSQL %s, "
                 "fsync %s, synchronous_commit %s, full_page_writes %s\n\n",
                 (unsigned long long)bench->events, bench->flood.attempts, bench->folding,
                 (long long)bench->settings->workers, bench->rounds, pg_rows_text(server, 0, 0, ""),
                 pg_rows_text(server, 0, 1, ""), pg_rows_text(server, 0, 2, ""),
                 pg_rows_text(server, 0, 3, ""));
    (void)printf("  %-26s %12s %12s %12s\n", "", "median", "min", "max");
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct summary s = summarize(bench, lines[i].of);
        (void)printf("  %-26s %12.*f %12.*f %12.*f\n", lines[i].name, lines[i].digits, s.median,
                     lines[i].digits, s.low, lines[i].digits, s.high);
    }
}

static bool report(const struct bench *bench, struct bench_stage *stage, struct err *err)
{
    struct pg_rows *server = NULL;
    if (!pg_client_run(stage->client, "bench_server.sql", NULL, 0, &server, err))
        return false;
    if (bench->json)
        (void)report_json(bench, server);
    else
        report_table(bench, server);
    pg_rows_free(server);
    return true;
}

/* --------------------------------------------------------------------------------- measuring */

/* False with an error, or (err untouched) when somebody wants an end. */
static bool measure(struct bench *bench, struct bench_stage *stage, bool *ret_interrupted,
                    struct err *err)
{
    /* The round before the first does not count: every attempt is saved once. */
    struct flood_segment segment = { FLOOD_SAVES, 1, bench->flood.attempts };
    struct bench_run warm;
    if (!bench_stage_fill(stage, &segment, err) ||
        !bench_stage_drain(stage, segment.events, &warm, err))
        return false;
    segment = (struct flood_segment){ FLOOD_SAVES, bench->folding, bench->events };
    for (unsigned i = 0; i < bench->rounds; i++) {
        *ret_interrupted = *ret_interrupted || interrupt_seen();
        if (*ret_interrupted)
            return false;
        if (!bench_stage_fill(stage, &segment, err) ||
            !bench_stage_drain(stage, segment.events, &bench->runs[i], err))
            return false;
        if (!bench->json)
            (void)fprintf(stderr, "round %u of %u: %.0f events/s\n", i + 1, bench->rounds,
                          rate_of(bench, &bench->runs[i]));
    }
    return true;
}

int bench_command(const struct settings *settings, int argc, char **argv)
{
    struct bench bench = { .settings = settings,
                           .flood = flood_options_default(),
                           .events = 200000,
                           .folding = 1,
                           .rounds = 3 };
    struct bench_stage stage;
    struct err err = { 0 }, left = { 0 };
    bool interrupted = false;
    bench.flood.attempts = 20000;
    bench.flood.partitions = (int32_t)settings->partitions;
    int code = parse(&bench, argc, argv);
    if (code != EX_OK)
        return code;
    interrupt_hold();
    bool done = bench_stage_open(&stage, settings, &bench.flood, &err) &&
                measure(&bench, &stage, &interrupted, &err) && report(&bench, &stage, &err);
    interrupted = interrupted || interrupt_seen();
    if (!done)
        code = interrupted ? EXIT_INTERRUPTED : command_fail("bench", &err);
    if (!bench_stage_close(&stage, bench.keep, &left)) {
        int failed = command_fail("bench", &left);
        code = code == EX_OK ? failed : code;
    }
    return code;
}
