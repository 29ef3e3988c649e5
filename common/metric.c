#include "common/metric.h"

#include <math.h>
#include <stdio.h>

static const char *type_name(enum metric_type type)
{
    switch (type) {
    case METRIC_COUNTER:
        return "counter";
    case METRIC_GAUGE:
        return "gauge";
    case METRIC_HISTOGRAM:
        return "histogram";
    }
    return "untyped";
}

/* Backslash and line feed, and inside quotes the quote. */
static void put_escaped(struct buf *page, const char *text, bool quoted)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            buf_put(page, BYTES("\\n"));
            continue;
        }
        if (*text == '\\' || (quoted && *text == '"'))
            buf_put_char(page, '\\');
        buf_put_char(page, *text);
    }
}

void metric_begin(struct buf *page, const struct metric *metric)
{
    buf_printf(page, "# HELP %s ", metric->name);
    put_escaped(page, metric->help, false);
    buf_printf(page, "\n# TYPE %s %s\n", metric->name, type_name(metric->type));
}

static void put_label(struct buf *page, bool first, const char *name, const char *value)
{
    buf_printf(page, "%s%s=\"", first ? "{" : ",", name);
    put_escaped(page, value, true);
    buf_put_char(page, '"');
}

/* `le` is NULL outside histograms. */
static void put_labels(struct buf *page, const struct metric_label *labels, const char *le)
{
    bool first = true;
    for (; labels != NULL && labels->name != NULL; labels++) {
        if (labels->value == NULL)
            continue;
        put_label(page, first, labels->name, labels->value);
        first = false;
    }
    if (le != NULL) {
        put_label(page, first, "le", le);
        first = false;
    }
    if (!first)
        buf_put_char(page, '}');
}

static void put_value(struct buf *page, double value)
{
    if (isnan(value))
        buf_put(page, BYTES(" NaN\n"));
    else if (isinf(value))
        buf_put(page, value > 0 ? BYTES(" +Inf\n") : BYTES(" -Inf\n"));
    else
        buf_printf(page, " %.17g\n", value);
}

void metric_sample(struct buf *page, const struct metric *metric, const struct metric_label *labels,
                   double value)
{
    buf_put(page, bytes_of(metric->name));
    put_labels(page, labels, NULL);
    put_value(page, value);
}

void metric_histogram(struct buf *page, const struct metric *metric,
                      const struct metric_label *labels, const struct metric_histogram *histogram)
{
    uint64_t sum_of_counts = 0;
    for (size_t i = 0; i < histogram->count; i++) {
        char le[32] = "+Inf";
        if (i + 1 < histogram->count)
            (void)snprintf(le, sizeof le, "%g", histogram->bounds[i]);
        sum_of_counts += histogram->counts[i];
        buf_printf(page, "%s_bucket", metric->name);
        put_labels(page, labels, le);
        put_value(page, (double)sum_of_counts);
    }
    buf_printf(page, "%s_sum", metric->name);
    put_labels(page, labels, NULL);
    put_value(page, histogram->sum);
    buf_printf(page, "%s_count", metric->name);
    put_labels(page, labels, NULL);
    put_value(page, (double)sum_of_counts);
}
