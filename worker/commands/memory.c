#include "worker/commands/memory.h"
#include "worker/kafka/kafka_admin.h"
#include "worker/kafka/kafka_publisher.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#define MB ((size_t)1 << 20)

/* A batch, twice, and the plan and the recall list, which may take as much again. */
#define BATCH_PARTS   4
#define BATCH_SHARE   10 /* one part is this fraction of the budget */
#define PROCESS_BYTES (24 * MB)

/* All changes of a batch may be of one attempt, and PostgreSQL takes no JSON document of 256 MB. */
#define BATCH_BYTES_MAX (128 * MB)

/* All partitions of the three topics; false when Kafka does not say. */
static bool count_partitions(const struct settings *settings, const struct kafka_options *kafka,
                             size_t *ret, struct err *err)
{
    struct kafka_admin *admin = kafka_admin_new(kafka, err);
    bool done = admin != NULL;
    size_t count = 0;
    for (int i = 0; done && i < TOPIC_COUNT; i++) {
        struct kafka_topic topic;
        done = kafka_admin_topic(admin, settings->topics[i], &topic, err);
        if (done && topic.exists)
            count += (size_t)topic.partition_count;
    }
    kafka_admin_free(admin);
    if (done)
        *ret = count;
    return done;
}

bool memory_plan(const struct settings *settings, const struct kafka_options *kafka,
                 const struct log *log, struct memory_plan *ret, struct err *err)
{
    size_t partitions = 0;
    if (!count_partitions(settings, kafka, &partitions, err)) {
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
                       "workers need at least %zu",
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
