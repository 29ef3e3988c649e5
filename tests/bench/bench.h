/*
 * What the parts of the benchmark share: their options, the feed of events, the gate at which each
 * waits, and the meter.
 *
 * One program, `build/tests/benchmark PART OPTION...`, a part each for what is measured by itself
 * (tests/bench/run calls them). A part prepares, prints `ready`, waits for a line on standard
 * input, does its work and prints one JSON object; who started it looks at the servers before and
 * after. Whatever goes wrong ends the program with a sentence and exit code 1: a benchmark has
 * nothing to save.
 */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include "common/err.h"
#include "worker/kafka/kafka_conf.h"
#include "worker/simulate/flood.h"

#include <stdint.h>

#define SEGMENTS_MAX 256

struct bench {
    struct flood_options flood;
    const char *segments[SEGMENTS_MAX]; /* their texts, one after the other */
    size_t segment_count;
    size_t segment;       /* the one that is wanted */
    const char *brokers;  /* KAFKA_BOOTSTRAP_SERVERS */
    const char *database; /* DATABASE_URL */
    const char *prefix;   /* of the topics */
    const char *folder;   /* where the benchmark's SQL lies */
    uint64_t events;      /* stop after so many; 0: all of the segment */
    double seconds;       /* stop after so long; 0: no limit */
    uint64_t batch;       /* events of one flush */
    double rate;          /* latency: events a second */
    const char *hgrm;     /* latency: where the histograms go; NULL: nowhere */
};

/* Says what is wrong and ends the program. */
void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* The same with an error of ours. */
void bench_fail_err(const char *what, const struct err *err) __attribute__((noreturn));

/* Prints `ready`, waits for a line. */
void bench_ready(void);

/* -------------------------------------------------------------------------------------- feed */

/* Where the segment begins and ends in each partition of a log that holds the segments alone. */
struct feed {
    struct flood *flood; /* stands at the beginning of the segment */
    uint64_t events;     /* of the segment */
    int64_t *from[2];    /* by topic (writes, activity) and partition; owned */
    int64_t *to[2];
};

/* Makes the generator and passes over the segments before the one that is wanted. */
void feed_open(struct feed *feed, const struct bench *bench);
void feed_close(struct feed *feed);

int64_t feed_total(const struct feed *feed, const struct bench *bench, bool at_end);

/* ------------------------------------------------------------------------------------- meter */

struct meter {
    int64_t wall_ns, cpu_us; /* now, or between start and stop */
    int64_t thread_ns;       /* CPU of the calling thread alone */
};

void meter_start(struct meter *meter);
void meter_stop(struct meter *meter);
int64_t now_ns(void); /* CLOCK_MONOTONIC */

/* `"events":N,"seconds":S,"client_cpu_us":U`: the beginning of every result. */
void meter_print(const struct meter *meter, uint64_t events);

/* ------------------------------------------------------------------------------------- parts */

void part_rows(const struct bench *bench);    /* the table's rows, for COPY */
void part_topics(const struct bench *bench);  /* all five, with the prefix */
void part_load(const struct bench *bench);    /* a segment to Kafka */
void part_consume(const struct bench *bench); /* (a) librdkafka alone */
void part_fold(const struct bench *bench);    /* (b) consume, decode, fold, plan */
void part_store(const struct bench *bench);   /* (c) the worker's own SQL, prepared batches */
void part_merge(const struct bench *bench);   /* (c') the plain jsonb merge of the same batches */
void part_naive(const struct bench *bench);   /* (d) one transaction an event */
void part_watch(const struct bench *bench);   /* (e) when has the ledger reached the end? */
void part_latency(const struct bench *bench); /* from the intended moment of sending on */
void part_decode(const struct bench *bench);  /* decode and fold alone, in memory */

#endif
