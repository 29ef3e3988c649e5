#include "worker/kafka/kafka_partitions.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>

static int tp_order(const void *left, const void *right)
{
    const struct tp *a = left, *b = right;
    if (a->topic != b->topic)
        return a->topic < b->topic ? -1 : 1;
    return (a->partition > b->partition) - (a->partition < b->partition);
}

void kafka_partitions_release(struct kafka_partitions *partitions)
{
    for (size_t i = 0; i < partitions->count; i++)
        kafka_partition_close(&partitions->items[i]);
    free(partitions->items);
    free(partitions->tps);
    *partitions = (struct kafka_partitions){ 0 };
}

bool kafka_partitions_set(struct kafka_partitions *partitions, const struct tp *tps, size_t count)
{
    kafka_partitions_release(partitions);
    if (count == 0)
        return true;
    struct kafka_partitions fresh = {
        .items = calloc(count, sizeof *fresh.items),
        .tps = calloc(count, sizeof *fresh.tps),
        .count = count,
    };
    if (fresh.items == NULL || fresh.tps == NULL) {
        free(fresh.items);
        free(fresh.tps);
        return false;
    }
    memcpy(fresh.tps, tps, count * sizeof *tps);
    qsort(fresh.tps, count, sizeof *fresh.tps, tp_order);
    for (size_t i = 0; i < count; i++)
        fresh.items[i].tp = fresh.tps[i];
    *partitions = fresh;
    return true;
}

struct kafka_partition *kafka_partitions_find(const struct kafka_partitions *partitions,
                                              struct tp tp)
{
    size_t low = 0, high = partitions->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = tp_order(&partitions->tps[middle], &tp);
        if (order == 0)
            return &partitions->items[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool kafka_partition_open(struct kafka_partition *partition, struct rd_kafka_s *rk,
                          const char *topic, int fd)
{
    static const uint64_t one = 1;
    if (partition->queue != NULL)
        return true;
    partition->queue = rd_kafka_queue_get_partition(rk, topic, partition->tp.partition);
    if (partition->queue == NULL)
        return false;
    rd_kafka_queue_forward(partition->queue, NULL);
    rd_kafka_queue_io_event_enable(partition->queue, fd, &one, sizeof one);
    return true;
}

void kafka_partition_close(struct kafka_partition *partition)
{
    if (partition->queue == NULL)
        return;
    rd_kafka_queue_io_event_enable(partition->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(partition->queue);
    partition->queue = NULL;
}

void kafka_partition_drain(struct kafka_partition *partition)
{
    rd_kafka_message_t *message;
    while (partition->queue != NULL &&
           (message = rd_kafka_consume_queue(partition->queue, 0)) != NULL)
        rd_kafka_message_destroy(message);
}
