#include "worker/engine/partition.h"

#include <stdlib.h>

void partition_table_release(struct partition_table *table)
{
    free(table->items);
    free(table->status);
    *table = (struct partition_table){ 0 };
}

struct partition *partition_find(const struct partition_table *table, struct tp tp)
{
    for (size_t i = 0; i < table->count; i++)
        if (tp_equal(table->items[i].tp, tp))
            return &table->items[i];
    return NULL;
}

static bool reserve(struct partition_table *table, size_t count)
{
    if (count <= table->capacity)
        return true;
    struct partition *items = realloc(table->items, count * sizeof *items);
    if (items == NULL)
        return false;
    table->items = items;
    struct partition_status *status = realloc(table->status, count * sizeof *status);
    if (status == NULL)
        return false;
    table->status = status;
    table->capacity = count;
    return true;
}

bool partition_table_assign(struct partition_table *table, const struct tp *tps, size_t count)
{
    if (!reserve(table, count))
        return false;
    table->count = count;
    for (size_t i = 0; i < count; i++)
        table->items[i] = (struct partition){
            .tp = tps[i], .state = PARTITION_SURVEYING, .log_end = -1, .ledger = { .tp = tps[i] }
        };
    return true;
}

void partition_table_clear(struct partition_table *table)
{
    table->count = 0;
}

void partition_set(struct partition *partition, enum partition_state state)
{
    partition->state = state;
    partition->corrupt = false;
    if (state == PARTITION_SURVEYING)
        partition->suspected = false;
    if (!partition_reads(partition))
        partition->assigned = false;
}

void partition_witness(struct partition *partition, int64_t generation, int64_t next_offset,
                       int64_t now_ms)
{
    partition->witness_at_ms = now_ms;
    if (!witness_is_ahead(&partition->witness, generation, next_offset))
        partition->witness = (struct witness){ true, generation, next_offset };
}

bool partition_take_witness(struct partition *partition, const struct witness *witness)
{
    if (!witness->present)
        return !partition->witness.present;
    if (witness_is_ahead(&partition->witness, witness->generation, witness->next_offset))
        return false;
    partition->witness = *witness;
    return true;
}

const char *partition_state_name(enum partition_state state)
{
    switch (state) {
    case PARTITION_SURVEYING:
        return "surveying";
    case PARTITION_CLAIMING:
        return "claiming";
    case PARTITION_RECALLING:
        return "recalling";
    case PARTITION_RUNNING:
        return "running";
    case PARTITION_FENCED:
        return "fenced";
    case PARTITION_HALTED:
        return "halted";
    }
    return "unknown";
}
