/*
 * A histogram of microseconds with a relative error below 0.1 % (log-linear, as HdrHistogram's),
 * written in HdrHistogram's own percentile format, which its plotters read.
 */
#ifndef TESTS_BENCH_HIST_H
#define TESTS_BENCH_HIST_H

#include <stdint.h>
#include <stdio.h>

struct hist {
    uint64_t *counts; /* owned */
    uint64_t total, sum;
    int64_t max_us;
};

void hist_init(struct hist *hist);
void hist_release(struct hist *hist);
void hist_add(struct hist *hist, int64_t us); /* below 0 counts as 0 */

/* The value that a share (0 to 1) of all values do not exceed; 0 when there are none. */
int64_t hist_at(const struct hist *hist, double share);

/* `{"count":..,"p50":..,..,"curve":[[share, value],..]}`, milliseconds. */
void hist_print_json(const struct hist *hist, FILE *to);

/* The percentile distribution, milliseconds. */
void hist_print_hgrm(const struct hist *hist, FILE *to);

#endif
