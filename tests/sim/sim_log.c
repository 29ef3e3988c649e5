#include "tests/sim/sim_log.h"

void sim_log_init(struct sim_log *log, struct sim *sim, int partitions)
{
    *log = (struct sim_log){ .sim = sim, .partitions = partitions };
    for (int i = 0; i < SIM_TPS; i++) {
        if (sim_tp(i).partition >= partitions)
            continue;
        log->tps[i].exists = true;
        log->tps[i].records = arena_alloc(&sim->arena, SIM_OFFSETS * sizeof *log->tps[i].records);
        /* Logs that do not begin at 0 are the rule in old clusters. */
        int64_t low = sim_one_in(sim, 3) ? sim_below(sim, 20) : 0;
        for (int64_t offset = 0; offset < low; offset++)
            log->tps[i].records[offset].present = false;
        log->tps[i].low = low;
        log->tps[i].high = low;
    }
}

struct sim_record *sim_log_append(struct sim_log *log, struct tp tp)
{
    struct sim_partition *partition = &log->tps[sim_tp_index(tp)];
    if (partition->high >= SIM_OFFSETS || partition->replaced)
        return NULL;
    struct sim_record *record = &partition->records[partition->high];
    *record = (struct sim_record){ .present = true, .appended_after = log->sim->commit_serial };
    record->wire.tp = tp;
    record->wire.offset = partition->high;
    record->wire.timestamp_ms = 1700000000000 + log->sim->now_ms;
    partition->high++;
    return record;
}

struct sim_record *sim_log_at(struct sim_log *log, struct tp tp, int64_t offset)
{
    struct sim_partition *partition = &log->tps[sim_tp_index(tp)];
    if (!partition->exists || offset < 0 || offset >= partition->high)
        return NULL;
    struct sim_record *record = &partition->records[offset];
    return record->present ? record : NULL;
}

int64_t sim_log_readable(const struct sim_partition *partition)
{
    bool cut = partition->corrupt && partition->corrupt_at < partition->high;
    return cut ? partition->corrupt_at : partition->high;
}

int64_t sim_log_count(struct sim_log *log, struct tp tp, int64_t from, int64_t to)
{
    int64_t count = 0;
    for (int64_t offset = from; offset < to; offset++)
        count += sim_log_at(log, tp, offset) != NULL;
    return count;
}
