/*
 * Metrics in the text format of Prometheus (0.0.4).
 *
 * A metric is declared once with its name, type and meaning; a page is written metric by metric,
 * each with its samples:
 *
 *     static const struct metric flushes = { "attemptd_flushes_total", METRIC_COUNTER, "..." };
 *     metric_begin(page, &flushes);
 *     metric_sample(page, &flushes, LABELS({ "worker", "0" }), 17);
 *
 * Names follow the conventions that `promtool check metrics` asks for: counters end in _total,
 * times are seconds, sizes bytes. Label values and help texts are escaped here.
 */
#ifndef COMMON_METRIC_H
#define COMMON_METRIC_H

#include "common/buf.h"

#include <stdint.h>

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric {
    const char *name;
    enum metric_type type;
    const char *help;
};

/* A list ends with a NULL name; a NULL value leaves the label out. */
struct metric_label {
    const char *name;
    const char *value;
};

#define LABELS(...)                                                                                \
    (const struct metric_label[])                                                                  \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }

/* The HELP and TYPE lines; its samples must follow before the next metric begins. */
void metric_begin(struct buf *page, const struct metric *metric);

/* `labels` may be NULL. */
void metric_sample(struct buf *page, const struct metric *metric, const struct metric_label *labels,
                   double value);

/* A histogram: counts[i] values fell into (bounds[i-1], bounds[i]]; the last bound is +Inf. */
struct metric_histogram {
    const double *bounds; /* count - 1 of them */
    const uint64_t *counts;
    size_t count;
    double sum;
};

void metric_histogram(struct buf *page, const struct metric *metric,
                      const struct metric_label *labels, const struct metric_histogram *histogram);

#endif
