/*
 * build/tests/benchmark PART [OPTION...]: see bench.h. For tests/bench/run, not for people.
 */
#include "common/hash.h"
#include "tests/bench/bench.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const struct part {
    const char *name;
    void (*run)(const struct bench *bench);
} parts[] = {
    { "rows", part_rows },       { "load", part_load },     { "consume", part_consume },
    { "fold", part_fold },       { "store", part_store },   { "merge", part_merge },
    { "naive", part_naive },     { "watch", part_watch },   { "decode", part_decode },
    { "latency", part_latency }, { "topics", part_topics },
};

enum {
    OPT_SEED = 1,
    OPT_ATTEMPTS,
    OPT_WINDOW,
    OPT_PARTITIONS,
    OPT_BEGIN,
    OPT_FORM,
    OPT_SEGMENT,
    OPT_AT,
    OPT_PREFIX,
    OPT_SQL,
    OPT_EVENTS,
    OPT_SECONDS,
    OPT_BATCH,
    OPT_RATE,
    OPT_HGRM,
};

static const struct option long_options[] = {
    { "seed", required_argument, NULL, OPT_SEED },
    { "attempts", required_argument, NULL, OPT_ATTEMPTS },
    { "window", required_argument, NULL, OPT_WINDOW },
    { "partitions", required_argument, NULL, OPT_PARTITIONS },
    { "begin", required_argument, NULL, OPT_BEGIN },
    { "form", required_argument, NULL, OPT_FORM },
    { "segment", required_argument, NULL, OPT_SEGMENT },
    { "at", required_argument, NULL, OPT_AT },
    { "prefix", required_argument, NULL, OPT_PREFIX },
    { "sql", required_argument, NULL, OPT_SQL },
    { "events", required_argument, NULL, OPT_EVENTS },
    { "seconds", required_argument, NULL, OPT_SECONDS },
    { "batch", required_argument, NULL, OPT_BATCH },
    { "rate", required_argument, NULL, OPT_RATE },
    { "hgrm", required_argument, NULL, OPT_HGRM },
    { 0 },
};

static uint64_t number(const char *name, const char *text, uint64_t low, uint64_t high)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < low || value > high)
        bench_fail("--%s %s is no number from %llu to %llu", name, text, (unsigned long long)low,
                   (unsigned long long)high);
    return value;
}

static void take_option(struct bench *bench, int option, const char *name, const char *text)
{
    struct flood_options *flood = &bench->flood;
    switch (option) {
    case OPT_SEED:
        flood->seed = number(name, text, 0, UINT64_MAX);
        return;
    case OPT_ATTEMPTS:
        flood->attempts = (uint32_t)number(name, text, 1, 100000000);
        return;
    case OPT_WINDOW:
        flood->window = (uint32_t)number(name, text, 1, 100000000);
        return;
    case OPT_PARTITIONS:
        flood->partitions = (int32_t)number(name, text, 1, 10000);
        return;
    case OPT_BEGIN:
        flood->begin_us = (int64_t)number(name, text, 946684800, 4100000000) * 1000000;
        return;
    case OPT_FORM:
        flood->form = strcmp(text, "binary") == 0 ? WRAP_BINARY : WRAP_BARE;
        return;
    case OPT_SEGMENT:
        if (bench->segment_count == SEGMENTS_MAX)
            bench_fail("more than %d segments", SEGMENTS_MAX);
        bench->segments[bench->segment_count++] = text;
        return;
    case OPT_AT:
        bench->segment = number(name, text, 0, SEGMENTS_MAX - 1);
        return;
    case OPT_PREFIX:
        bench->prefix = text;
        return;
    case OPT_SQL:
        bench->folder = text;
        return;
    case OPT_EVENTS:
        bench->events = number(name, text, 0, UINT64_MAX);
        return;
    case OPT_SECONDS:
        bench->seconds = (double)number(name, text, 0, 1000000);
        return;
    case OPT_BATCH:
        bench->batch = number(name, text, 1, 10000000);
        return;
    case OPT_RATE:
        bench->rate = (double)number(name, text, 1, 10000000);
        return;
    case OPT_HGRM:
        bench->hgrm = text;
        return;
    default:
        bench_fail("an option that is not known, or without its value");
    }
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value == NULL ? "" : value;
}

int main(int argc, char **argv)
{
    struct bench bench = { .flood = flood_options_default(),
                           .brokers = variable("KAFKA_BOOTSTRAP_SERVERS"),
                           .database = variable("DATABASE_URL"),
                           .prefix = "",
                           .folder = "tests/bench",
                           .batch = 20000,
                           .rate = 1000 };
    (void)signal(SIGPIPE, SIG_IGN);
    if (!hash_init())
        bench_fail("libsodium does not work on this machine");
    for (int option, index = 0; (option = getopt_long(argc, argv, "", long_options, &index)) != -1;)
        take_option(&bench, option, option == '?' ? "" : long_options[index].name, optarg);
    for (size_t i = 0; optind == argc - 1 && i < sizeof parts / sizeof parts[0]; i++) {
        if (strcmp(parts[i].name, argv[optind]) == 0) {
            parts[i].run(&bench);
            return 0;
        }
    }
    bench_fail("which part? see tests/bench/main.c");
}
