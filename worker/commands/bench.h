/*
 * bench: what attemptd reaches on the operator's own Kafka and PostgreSQL.
 *
 * It never touches the configured schema and topics: it makes a schema (BENCH_SCHEMA) and topics
 * (BENCH_PREFIX after the configured prefix) of its own, refuses when they are there already, and
 * removes them. What is measured is this very program, `run --drain`, as a child process.
 */
#ifndef WORKER_COMMANDS_BENCH_H
#define WORKER_COMMANDS_BENCH_H

#include "worker/settings.h"

#define BENCH_SCHEMA "attemptd_bench"
#define BENCH_PREFIX "attemptd-bench."

extern const char bench_help[];
int bench_command(const struct settings *settings, int argc, char **argv);

#endif
