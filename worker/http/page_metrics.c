#include "common/metric.h"
#include "worker/http/pages.h"

#include <stdio.h>
#include <string.h>

/* A number of the worker's part of the document, as a metric with the label `worker`. */
struct plain {
    struct metric metric;
    const char *key;
    double unit; /* what one of it is in the metric's unit */
};

static const struct plain plains[] = {
    { { "attemptd_records_read_total", METRIC_COUNTER, "Records read from Kafka." },
      "records_read",
      1 },
    { { "attemptd_records_republished_total", METRIC_COUNTER,
        "Records read again after a start, only to publish again." },
      "records_republished",
      1 },
    { { "attemptd_gaps_total", METRIC_COUNTER, "Writes that skipped a version (e > v)." },
      "gaps",
      1 },
    { { "attemptd_flushes_total", METRIC_COUNTER, "Transactions committed." }, "flushes", 1 },
    { { "attemptd_flush_records_total", METRIC_COUNTER,
        "Records in committed transactions; divided by flushes it is the batch size." },
      "flush_events_sum",
      1 },
    { { "attemptd_flush_retries_total", METRIC_COUNTER, "Transactions tried again." },
      "flush_retries",
      1 },
    { { "attemptd_letters_total", METRIC_COUNTER, "Records dead-lettered." }, "letters", 1 },
    { { "attemptd_isolated_total", METRIC_COUNTER,
        "Records dead-lettered because the database refused them." },
      "isolated",
      1 },
    { { "attemptd_fenced_total", METRIC_COUNTER, "Partitions lost to another worker." },
      "fenced",
      1 },
    { { "attemptd_commits_resolved_total", METRIC_COUNTER,
        "Commits whose outcome was unknown and was found out." },
      "resolved",
      1 },
    { { "attemptd_batch_records", METRIC_GAUGE, "Records in the batch that is filling." },
      "batch_events",
      1 },
    { { "attemptd_in_flight_records", METRIC_GAUGE, "Records in the batch that is written." },
      "in_flight_events",
      1 },
    { { "attemptd_batch_memory_bytes", METRIC_GAUGE, "Memory of both batches." },
      "memory_bytes",
      1 },
    { { "attemptd_resident_memory_bytes", METRIC_GAUGE, "Resident memory of the process." },
      "resident_bytes",
      1 },
    { { "attemptd_worker_uptime_seconds", METRIC_GAUGE, "Since the worker's start." },
      "uptime_s",
      1 },
};

/* A number of a partition, with the labels topic and partition. */
static const struct plain partition_plains[] = {
    { { "attemptd_lag_records", METRIC_GAUGE,
        "Records in the log that are not committed yet, also those that no reader gets because a "
        "transaction before them is open." },
      "lag",
      1 },
    { { "attemptd_unpublished_records", METRIC_GAUGE,
        "Records that are committed and not yet confirmed as published." },
      "unpublished",
      1 },
    { { "attemptd_next_offset", METRIC_GAUGE, "Next offset in the ledger." }, "next_offset", 1 },
    { { "attemptd_partition_epoch", METRIC_GAUGE, "Fencing epoch of the partition." }, "epoch", 1 },
};

/* The same, of all partitions in the ledger. */
static const struct plain conservation = {
    { "attemptd_conservation_difference", METRIC_GAUGE,
      "By how much the ledger's counters differ from each other and from the tables of outcomes: "
      "always 0." },
    "difference",
    1
};

static const struct plain view_plains[] = {
    { { "attemptd_view_last_refresh_timestamp_seconds", METRIC_GAUGE,
        "When the view was last refreshed." },
      "last_refresh_ms",
      1e-3 },
    { { "attemptd_view_refresh_duration_seconds", METRIC_GAUGE, "How long that took." },
      "last_duration_ms",
      1e-3 },
    { { "attemptd_view_refreshes_total", METRIC_COUNTER, "Refreshes by this worker." },
      "refreshes",
      1 },
    { { "attemptd_view_failures_total", METRIC_COUNTER, "Refreshes that failed." }, "failures", 1 },
};

static const struct metric records = { "attemptd_records_total", METRIC_COUNTER,
                                       "Records by outcome, committed by this process." };
static const struct metric attempts = { "attemptd_attempts_written_total", METRIC_COUNTER,
                                        "Attempt rows written, by path." };
static const struct metric published = { "attemptd_published_total", METRIC_COUNTER,
                                         "Messages confirmed by Kafka." };
static const struct metric flush_time = { "attemptd_flush_duration_seconds", METRIC_HISTOGRAM,
                                          "From BEGIN to the answer of COMMIT." };
static const struct metric breaker = { "attemptd_breaker_state", METRIC_GAUGE,
                                       "1 for the state the circuit breaker is in." };
static const struct metric connected = { "attemptd_database_connected", METRIC_GAUGE,
                                         "1 while connected to PostgreSQL." };
static const struct metric up = { "attemptd_worker_up", METRIC_GAUGE, "1 while running." };
static const struct metric halted = { "attemptd_partition_halted", METRIC_GAUGE,
                                      "1 for a partition that is halted, by reason." };
static const struct metric info = { "attemptd_build_info", METRIC_GAUGE, "1, with the version." };
static const struct metric restarts = { "attemptd_worker_restarts_total", METRIC_COUNTER,
                                        "Workers started again by the supervisor." };

static const double flush_bounds_s[] = {
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5
};
#define FLUSH_COUNTS (sizeof flush_bounds_s / sizeof *flush_bounds_s + 1)

/* What is being written: the page, and the worker with its label. */
struct context {
    struct buf *page;
    const json_t *workers;
};

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

static const char *label_of(const json_t *object, const char *key, char label[static 24])
{
    (void)snprintf(label, 24, "%lld", (long long)json_integer_value(json_object_get(object, key)));
    return label;
}

/* Has this worker ever reported? */
static bool reported(const json_t *worker)
{
    return json_object_get(worker, "outcomes") != NULL;
}

static void put_plain(struct context *c, const struct plain *plain)
{
    size_t i;
    const json_t *worker;
    char label[24];
    metric_begin(c->page, &plain->metric);
    json_array_foreach(c->workers, i, worker)
    {
        const json_t *value = json_object_get(worker, plain->key);
        if (value != NULL)
            metric_sample(c->page, &plain->metric,
                          LABELS({ "worker", label_of(worker, "worker", label) }),
                          json_number_value(value) * plain->unit);
    }
}

/* A member of each member of the workers' list `list`: their partitions, their views. */
static void put_nested(struct context *c, const struct plain *plain, const char *list)
{
    size_t i, k;
    const json_t *worker, *item;
    char number[24], worker_label[24];
    bool views = strcmp(list, "views") == 0;
    metric_begin(c->page, &plain->metric);
    json_array_foreach(c->workers, i, worker)
    {
        json_array_foreach(json_object_get(worker, list), k, item)
        {
            const json_t *value = json_object_get(item, plain->key);
            if (!json_is_number(value))
                continue;
            (void)label_of(worker, "worker", worker_label);
            metric_sample(
                c->page, &plain->metric,
                views ? LABELS({ "view", text_of(item, "view") }, { "worker", worker_label })
                      : LABELS({ "topic", text_of(item, "topic") },
                               { "partition", label_of(item, "partition", number) },
                               { "worker", worker_label }),
                json_number_value(value) * plain->unit);
        }
    }
}

/* A member of the worker that is an object of counters: one sample for each, with `label`. */
static void put_object(struct context *c, const struct metric *metric, const char *key,
                       const char *label)
{
    size_t i;
    const json_t *worker;
    char number[24];
    metric_begin(c->page, metric);
    json_array_foreach(c->workers, i, worker)
    {
        const char *name;
        json_t *value;
        json_object_foreach(json_object_get(worker, key), name, value)
            metric_sample(c->page, metric,
                          LABELS({ label, name }, { "worker", label_of(worker, "worker", number) }),
                          json_number_value(value));
    }
}

static void put_flush_times(struct context *c)
{
    size_t i, k;
    const json_t *worker, *count;
    char label[24];
    metric_begin(c->page, &flush_time);
    json_array_foreach(c->workers, i, worker)
    {
        const json_t *buckets = json_object_get(worker, "flush_ms_buckets");
        if (json_array_size(buckets) != FLUSH_COUNTS)
            continue;
        uint64_t counts[FLUSH_COUNTS];
        json_array_foreach(buckets, k, count) counts[k] = (uint64_t)json_integer_value(count);
        struct metric_histogram histogram = {
            .bounds = flush_bounds_s,
            .counts = counts,
            .count = FLUSH_COUNTS,
            .sum = json_number_value(json_object_get(worker, "flush_ms_sum")) / 1000,
        };
        metric_histogram(c->page, &flush_time,
                         LABELS({ "worker", label_of(worker, "worker", label) }), &histogram);
    }
}

static void put_states(struct context *c)
{
    static const char *const breaker_states[] = { "closed", "open", "probing" };
    size_t i;
    const json_t *worker;
    char label[24];
    metric_begin(c->page, &up);
    json_array_foreach(c->workers, i, worker)
        metric_sample(c->page, &up, LABELS({ "worker", label_of(worker, "worker", label) }),
                      strcmp(text_of(worker, "state"), "running") == 0);
    metric_begin(c->page, &connected);
    json_array_foreach(c->workers, i, worker)
        metric_sample(c->page, &connected, LABELS({ "worker", label_of(worker, "worker", label) }),
                      json_is_true(json_object_get(worker, "connected")));
    metric_begin(c->page, &breaker);
    json_array_foreach(c->workers, i, worker)
    {
        for (size_t k = 0; reported(worker) && k < 3; k++)
            metric_sample(c->page, &breaker,
                          LABELS({ "state", breaker_states[k] },
                                 { "worker", label_of(worker, "worker", label) }),
                          strcmp(text_of(worker, "breaker"), breaker_states[k]) == 0);
    }
}

static void put_halted(struct context *c)
{
    size_t i, k;
    const json_t *worker, *partition;
    char number[24], label[24];
    metric_begin(c->page, &halted);
    json_array_foreach(c->workers, i, worker)
    {
        json_array_foreach(json_object_get(worker, "partitions"), k, partition)
        {
            if (json_is_string(json_object_get(partition, "halt")))
                metric_sample(c->page, &halted,
                              LABELS({ "topic", text_of(partition, "topic") },
                                     { "partition", label_of(partition, "partition", number) },
                                     { "reason", text_of(partition, "halt") },
                                     { "worker", label_of(worker, "worker", label) }),
                              1);
        }
    }
}

void page_metrics(struct buf *page, const json_t *status)
{
    struct context c = { page, json_object_get(status, "workers") };
    metric_begin(page, &info);
    metric_sample(page, &info, LABELS({ "version", text_of(status, "version") }), 1);
    metric_begin(page, &restarts);
    metric_sample(page, &restarts, NULL, json_number_value(json_object_get(status, "restarts")));
    put_states(&c);
    put_object(&c, &records, "outcomes", "outcome");
    put_object(&c, &attempts, "attempts", "path");
    put_object(&c, &published, "published", "topic");
    for (size_t i = 0; i < sizeof plains / sizeof *plains; i++)
        put_plain(&c, &plains[i]);
    put_flush_times(&c);
    for (size_t i = 0; i < sizeof partition_plains / sizeof *partition_plains; i++)
        put_nested(&c, &partition_plains[i], "partitions");
    put_nested(&c, &conservation, "conservation");
    put_halted(&c);
    for (size_t i = 0; i < sizeof view_plains / sizeof *view_plains; i++)
        put_nested(&c, &view_plains[i], "views");
}
