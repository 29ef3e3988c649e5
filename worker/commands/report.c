#include "worker/commands/report.h"

#include <stdio.h>
#include <unistd.h>

static json_int_t resident_bytes(void)
{
    long long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    int read = fscanf(file, "%lld %lld", &total, &resident);
    (void)fclose(file);
    return read == 2 ? (json_int_t)(resident * sysconf(_SC_PAGESIZE)) : 0;
}

/* As the engine and as the source know it: both only ever know too little. */
static int64_t log_end_of(const struct report_facts *facts, const struct partition_status *p)
{
    int64_t seen = facts->log_end == NULL ? -1 : facts->log_end(facts->source, p->tp);
    return seen > p->log_end ? seen : p->log_end;
}

static json_t *partition(const struct report_facts *facts, const struct partition_status *p)
{
    const struct settings *settings = facts->settings;
    bool ledger = p->tp.topic != TOPIC_REFRESH; /* view.refresh has no row in it */
    int64_t log_end = log_end_of(facts, p);
    int64_t lag = log_end < 0 ? 0 : log_end - (ledger ? p->next_offset : p->position);
    int64_t unpublished = ledger ? p->next_offset - p->published_offset : 0;
    return json_pack("{s:s, s:i, s:s, s:s?, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "topic",
                     settings->topics[p->tp.topic], "partition", p->tp.partition, "state",
                     partition_state_name(p->state), "halt", p->halt, "generation",
                     (json_int_t)p->generation, "epoch", (json_int_t)p->epoch, "next_offset",
                     (json_int_t)p->next_offset, "published_offset",
                     (json_int_t)p->published_offset, "position", (json_int_t)p->position,
                     "log_end", (json_int_t)log_end, "lag", (json_int_t)(lag < 0 ? 0 : lag),
                     "unpublished", (json_int_t)(unpublished < 0 ? 0 : unpublished));
}

static json_t *partitions(const struct report_facts *facts)
{
    json_t *list = json_array();
    for (size_t i = 0; i < facts->engine->partition_count; i++)
        (void)json_array_append_new(list, partition(facts, &facts->engine->partitions[i]));
    return list;
}

static json_t *outcomes(const struct engine_status *engine)
{
    json_t *object = json_object();
    for (int i = 0; i < OUTCOME_COUNT; i++)
        (void)json_object_set_new(object, outcome_name((enum outcome)i),
                                  json_integer((json_int_t)engine->outcomes[i]));
    return object;
}

static json_t *buckets(const struct engine_status *engine)
{
    json_t *list = json_array();
    for (int i = 0; i < FLUSH_BUCKETS; i++)
        (void)json_array_append_new(list, json_integer((json_int_t)engine->flush_ms_buckets[i]));
    return list;
}

/* The plain counters of the engine; the keys are those that page_metrics.c looks for. */
static void add_counters(json_t *worker, const struct engine_status *engine)
{
    const struct {
        const char *key;
        uint64_t value;
    } counters[] = {
        { "gaps", engine->gaps },
        { "records_read", engine->records_read },
        { "records_republished", engine->records_republished },
        { "flushes", engine->flushes },
        { "flush_retries", engine->flush_retries },
        { "flush_ms_sum", engine->flush_ms_sum },
        { "flush_events_sum", engine->flush_events_sum },
        { "letters", engine->letters },
        { "isolated", engine->isolated },
        { "fenced", engine->fenced },
        { "resolved", engine->resolved },
        { "batch_events", engine->batch_events },
        { "in_flight_events", engine->in_flight_events },
        { "memory_bytes", engine->memory_bytes },
    };
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        (void)json_object_set_new(worker, counters[i].key,
                                  json_integer((json_int_t)counters[i].value));
}

json_t *report_worker(const struct report_facts *facts)
{
    const struct engine_status *engine = facts->engine;
    const struct settings *settings = facts->settings;
    json_t *worker = json_pack(
        "{s:i, s:i, s:s, s:I, s:b, s:s, s:I, s:I, s:o, s:o, s:o, s:{s:I, s:I}, s:{s:I, s:I}}",
        "worker", facts->index, "pid", (int)getpid(), "state", facts->state, "uptime_s",
        (json_int_t)(facts->uptime_ms / 1000), "connected", engine->connected, "breaker",
        breaker_state_name(engine->breaker), "last_flush_ms_ago",
        (json_int_t)engine->last_flush_ms_ago, "resident_bytes", resident_bytes(), "partitions",
        partitions(facts), "outcomes", outcomes(engine), "flush_ms_buckets", buckets(engine),
        "attempts", "fast", (json_int_t)engine->fast_attempts, "careful",
        (json_int_t)engine->careful_attempts, "published", settings->invalidations_topic,
        (json_int_t)engine->invalidations_published, settings->outcomes_topic,
        (json_int_t)engine->outcomes_published);
    if (worker == NULL)
        return NULL;
    add_counters(worker, engine);
    if (facts->views != NULL)
        (void)json_object_set(worker, "views", facts->views);
    if (facts->balances != NULL)
        (void)json_object_set(worker, "conservation", facts->balances);
    return worker;
}

json_t *report_document(json_t *worker, int64_t uptime_ms)
{
    return json_pack("{s:s, s:I, s:I, s:[o]}", "version", ATTEMPTD_VERSION, "uptime_s",
                     (json_int_t)(uptime_ms / 1000), "restarts", (json_int_t)0, "workers", worker);
}
