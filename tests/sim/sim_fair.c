#include "tests/sim/sim_fair.h"

#define SHARES 8 /* of a batch */

static bool holds_record(struct sim_source *source, struct tp tp, int64_t from, int64_t to)
{
    for (int64_t offset = from; offset < to; offset++)
        if (sim_log_at(source->log, tp, offset) != NULL)
            return true;
    return false;
}

static bool waits(struct sim_source *source, const struct partition_status *partition)
{
    int tp = sim_tp_index(partition->tp);
    int64_t readable = sim_log_readable(&source->log->tps[tp]);
    return partition->state == PARTITION_RUNNING && (source->reading & 1u << tp) &&
           source->sim->now_ms >= source->down_until &&
           holds_record(source, partition->tp, partition->position, readable);
}

/* The flush in flight, the batch that is full, and as many more as it takes to serve each once. */
static uint64_t bound(size_t partitions, size_t batch_least)
{
    size_t served = batch_least < SHARES ? batch_least : SHARES;
    return 2 + (partitions + served - 1) / served;
}

void sim_fair_look(struct sim_fair *fair, struct sim_source *source,
                   const struct engine_status *status)
{
    bool seen[SIM_TPS] = { false };
    for (size_t i = 0; i < status->partition_count; i++) {
        const struct partition_status *partition = &status->partitions[i];
        int tp = sim_tp_index(partition->tp);
        seen[tp] = waits(source, partition);
        if (!seen[tp])
            continue;
        if (!fair->tps[tp].waits || fair->tps[tp].position != partition->position) {
            fair->tps[tp].waits = true;
            fair->tps[tp].position = partition->position;
            fair->tps[tp].since = status->flushes;
            fair->tps[tp].batch_least = status->batch_max;
        }
        if (status->batch_max < fair->tps[tp].batch_least)
            fair->tps[tp].batch_least = status->batch_max;
        if (status->flushes - fair->tps[tp].since >
            bound(status->partition_count, fair->tps[tp].batch_least))
            sim_violate(source->sim,
                        "fairness: %s/%d waits at %lld while %llu flushes of %zu records and more "
                        "go by",
                        sim_topic_name(partition->tp.topic), partition->tp.partition,
                        (long long)partition->position,
                        (unsigned long long)(status->flushes - fair->tps[tp].since),
                        fair->tps[tp].batch_least);
    }
    for (int tp = 0; tp < SIM_TPS; tp++)
        fair->tps[tp].waits = seen[tp];
}
