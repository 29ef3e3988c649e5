#include "worker/commands/memory.h"

#include "common/patience.h"
#include "worker/kafka/kafka_admin.h"
#include "worker/kafka/kafka_publisher.h"

#include <stdlib.h>
#include <string.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#define MB ((size_t)1 << 20)

#define CENSUS_MS 3000 /* how long the start waits for the number of partitions */

/*
 * A batch, twice; the plan and the recall list, which may take as much again; and the statements
 * that are made of a batch, once as parameters and once in libpq's buffer.
 */
#define BATCH_PARTS   5
#define BATCH_SHARE   12 /* one part is this fraction of the budget */
#define PROCESS_BYTES (24 * MB)

/* All changes of a batch may be of one attempt, and PostgreSQL takes no JSON document of 256 MB. */
#define BATCH_BYTES_MAX (128 * MB)

/* The question, with all that it needs: whoever asks may be left behind. */
struct census {
    struct kafka_admin *admin;
    struct kafka_names names;
    size_t partitions;
    bool done;
    struct err err;
};

static void census_take(void *self)
{
    struct census *census = self;
    census->done = true;
    for (int i = 0; census->done && i < TOPIC_COUNT; i++) {
        struct kafka_topic topic;
        census->done =
            kafka_admin_topic(census->admin, census->names.topics[i], &topic, &census->err);
        if (census->done && topic.exists)
            census->partitions += (size_t)topic.partition_count;
    }
}

static void census_free(void *self)
{
    struct census *census = self;
    if (census != NULL)
        kafka_admin_free(census->admin);
    free(census);
}

/*
 * All partitions of the three topics; false when Kafka does not say. The library would wait longer,
 * and for ever when the wall clock is set back, while nobody listens to signals yet.
 */
static bool count_partitions(const struct kafka_options *kafka, size_t *ret, struct err *err)
{
    struct census *census = calloc(1, sizeof *census);
    if (census == NULL)
        return err_set(err, ERR_RESOURCE, "memory", "no memory to count partitions");
    census->names = *kafka->names;
    census->admin = kafka_admin_new(kafka, err);
    bool asked = census->admin != NULL;
    if (asked && !patience_run(census_take, census_free, census, CENSUS_MS))
        return err_set(err, ERR_LOST, "time", "no answer within %d s", CENSUS_MS / 1000);
    bool done = asked && census->done;
    if (done)
        *ret = census->partitions;
    else if (asked)
        *err = census->err;
    census_free(census);
    return done;
}

bool memory_plan(const struct settings *settings, const struct kafka_options *kafka,
                 const struct log *log, struct memory_plan *ret, struct err *err)
{
    size_t partitions = 0;
    if (!count_partitions(kafka, &partitions, err)) {
        if (err->action == ERR_HALT && strcmp(err->code, "property") == 0)
            return false; /* waiting mends no setting */
        log_line(
            log, LEVEL_WARN, "Kafka does not answer yet; waiting for it",
            FIELDS(FIELD_TEXT("brokers", settings->kafka_brokers), FIELD_TEXT("error", err->text)));
        partitions = 0;
    }
    size_t assumed = 2 * (size_t)settings->partitions + 1;
    if (partitions == 0)
        partitions = assumed;
    /* Ours when all workers are there; the group divides evenly. */
    size_t workers = (size_t)settings->workers;
    size_t ours = (partitions + workers - 1) / workers;

    size_t budget = (size_t)settings->memory_mb * MB;
    size_t batch = budget / BATCH_SHARE;
    if (batch > BATCH_BYTES_MAX)
        batch = BATCH_BYTES_MAX;
    size_t batch_min = 2 * (size_t)settings->max_value_bytes;
    if (batch < batch_min)
        batch = batch_min;
    size_t fixed = BATCH_PARTS * batch + KAFKA_PUBLISHER_BYTES_MAX + PROCESS_BYTES;
    size_t needed = fixed + kafka_prefetch_bytes_min(ours);
    if (budget < needed) {
        /* With a larger budget the batches' share grows too; find where both fit. */
        size_t floor = KAFKA_PUBLISHER_BYTES_MAX + PROCESS_BYTES + kafka_prefetch_bytes_min(ours);
        size_t enough = floor * BATCH_SHARE / (BATCH_SHARE - BATCH_PARTS);
        if (enough < floor + BATCH_PARTS * batch_min)
            enough = floor + BATCH_PARTS * batch_min;
        return err_set(err, ERR_HALT, "memory",
                       "ATTEMPTD_MEMORY_MB=%lld is too small: %zu partitions for each of %zu "
                       "workers need at least %zu: set that, or more",
                       (long long)settings->memory_mb, ours, workers, (enough + MB - 1) / MB);
    }
    ret->batch_bytes = batch;
    return kafka_prefetch_kbytes(budget - fixed, ours, &ret->prefetch_kbytes, err);
}

void memory_keep(void)
{
#ifdef __GLIBC__
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 128 << 20);
#endif
}
