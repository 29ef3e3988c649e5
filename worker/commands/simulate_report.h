/*
 * What `simulate` says at the end: what was produced, acknowledged, and what must become of it.
 */
#ifndef WORKER_COMMANDS_SIMULATE_REPORT_H
#define WORKER_COMMANDS_SIMULATE_REPORT_H

#include "worker/commands/sender.h"
#include "worker/simulate/exam.h"

#include <stdio.h>

struct simulate_report {
    const struct exam_options *options;
    const struct exam_expectation *expected;
    struct kafka_counts counts;
    double seconds;
    bool complete; /* the whole exam was played, so that the expectation holds */
};

void simulate_report_json(const struct simulate_report *report, FILE *to);
void simulate_report_table(const struct simulate_report *report, FILE *to);

#endif
