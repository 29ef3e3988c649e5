#include "tests/bench/bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

void bench_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("benchmark: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void bench_fail_err(const char *what, const struct err *err)
{
    bench_fail("%s: %s (%s)", what, err->text, err->code);
}

void bench_ready(void)
{
    char line[16];
    (void)puts("ready");
    (void)fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL)
        exit(1); /* whoever started us is gone */
}

/* -------------------------------------------------------------------------------------- feed */

static void pass_segment(struct feed *feed, const char *text, int64_t *const counts[2])
{
    struct flood_segment segment;
    struct flood_event event;
    const char *at = text;
    if (!flood_parse(&at, &segment))
        bench_fail("'%s' is no segment", text);
    if (!flood_begin(feed->flood, &segment))
        bench_fail("no memory for the events");
    feed->events = segment.events;
    while (flood_next(feed->flood, &event))
        counts[event.tp.topic][event.tp.partition]++;
}

static struct flood *new_flood(const struct bench *bench)
{
    struct flood *flood = flood_new(&bench->flood);
    if (flood == NULL)
        bench_fail("no memory for the events");
    return flood;
}

/* The generator cannot go back, so the end is found by a second one. */
void feed_open(struct feed *feed, const struct bench *bench)
{
    *feed = (struct feed){ 0 };
    for (size_t topic = 0; topic < 2; topic++) {
        size_t count = (size_t)bench->flood.partitions;
        feed->from[topic] = calloc(count, sizeof(int64_t));
        feed->to[topic] = calloc(count, sizeof(int64_t));
        if (feed->from[topic] == NULL || feed->to[topic] == NULL)
            bench_fail("no memory for %zu partitions", count);
    }
    if (bench->segment >= bench->segment_count)
        bench_fail("there is no segment %zu", bench->segment);
    feed->flood = new_flood(bench);
    for (size_t i = 0; i <= bench->segment; i++)
        pass_segment(feed, bench->segments[i], feed->to);
    flood_free(feed->flood);
    feed->flood = new_flood(bench);
    for (size_t i = 0; i < bench->segment; i++)
        pass_segment(feed, bench->segments[i], feed->from);
    struct flood_segment segment;
    const char *at = bench->segments[bench->segment];
    if (!flood_parse(&at, &segment) || !flood_begin(feed->flood, &segment))
        bench_fail("no memory for the events");
    feed->events = segment.events;
}

void feed_close(struct feed *feed)
{
    for (size_t topic = 0; topic < 2; topic++) {
        free(feed->from[topic]);
        free(feed->to[topic]);
    }
    flood_free(feed->flood);
}

int64_t feed_total(const struct feed *feed, const struct bench *bench, bool at_end)
{
    int64_t total = 0;
    for (size_t topic = 0; topic < 2; topic++)
        for (int32_t i = 0; i < bench->flood.partitions; i++)
            total += (at_end ? feed->to : feed->from)[topic][i];
    return total;
}

/* ------------------------------------------------------------------------------------- meter */

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

void meter_start(struct meter *meter)
{
    meter->wall_ns = now_ns();
    meter->cpu_us = clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000;
    meter->thread_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

void meter_stop(struct meter *meter)
{
    struct meter now;
    meter_start(&now);
    meter->wall_ns = now.wall_ns - meter->wall_ns;
    meter->cpu_us = now.cpu_us - meter->cpu_us;
    meter->thread_ns = now.thread_ns - meter->thread_ns;
}

void meter_print(const struct meter *meter, uint64_t events)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    (void)printf("\"events\":%llu,\"seconds\":%.6f,\"client_cpu_us\":%lld,\"peak_rss_kb\":%ld",
                 (unsigned long long)events, (double)meter->wall_ns / 1e9, (long long)meter->cpu_us,
                 usage.ru_maxrss);
}
