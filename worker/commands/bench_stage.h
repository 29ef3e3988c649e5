/*
 * The stage of `attemptd bench`: a schema and topics of its own, the attempts in the table, the
 * events in the log, and the worker as a child process.
 */
#ifndef WORKER_COMMANDS_BENCH_STAGE_H
#define WORKER_COMMANDS_BENCH_STAGE_H

#include "worker/commands/kafka_setup.h"
#include "worker/postgres/pg_client.h"
#include "worker/simulate/flood.h"

struct bench_stage {
    const struct settings *settings; /* the operator's */
    struct settings own;             /* the same with schema, prefix and group of our own */
    struct kafka_setup kafka;        /* for the topics of our own */
    struct pg_client *client;        /* in the schema of our own */
    struct flood_options flood_options;
    struct flood *flood;
    bool made_schema, made_topics; /* to be removed */
    char prefix[KAFKA_TOPIC_NAME_MAX + 1];
};

/* Connects to both and makes everything but the events. What was made is noted also on failure. */
bool bench_stage_open(struct bench_stage *stage, const struct settings *settings,
                      const struct flood_options *options, struct err *err);

/* Removes what was made (unless `keep`) and disconnects. False when something stays behind. */
bool bench_stage_close(struct bench_stage *stage, bool keep, struct err *err);

/* Sends one segment, in batches that only a backlog has, and waits until Kafka has it. */
bool bench_stage_fill(struct bench_stage *stage, const struct flood_segment *segment,
                      struct err *err);

struct bench_run {
    double seconds;   /* from the start of the process to its end */
    double cpu_us;    /* of it and its workers */
    long peak_rss_kb; /* of the largest of them */
    double wal_bytes; /* that the whole server wrote meanwhile */
    int64_t applied;  /* by the ledger */
};

/* `run --drain` as a child. False when it failed, or did not settle everything as applied. */
bool bench_stage_drain(struct bench_stage *stage, uint64_t events, struct bench_run *ret,
                       struct err *err);

#endif
