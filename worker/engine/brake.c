#include "worker/engine/brake.h"

#define WINDOW_MS 60000

void brake_claimed(struct partition *partition, const struct claim *claim)
{
    partition->refused = claim->refused;
    /* Behind the log as it is now, what was refused before is over. */
    partition->wary_until = claim->refusals >= REFUSALS_PER_MINUTE_MAX ? partition->log_end : 0;
}

static bool is_second(const struct refused_submit *first, const struct entry *culprit)
{
    return first->known && !uuid_equal(&first->attempt_id, &culprit->event.attempt_id);
}

static bool second_submit(struct brake *brake, struct partition *partition,
                          const struct entry *culprit)
{
    if (culprit->event.type != EVENT_SUBMITTED)
        return false;
    bool second = is_second(&brake->last, culprit) || is_second(&partition->refused, culprit);
    brake->tp = culprit->record.tp;
    brake->last =
        (struct refused_submit){ true, culprit->record.offset, culprit->event.attempt_id };
    partition->refused = brake->last;
    return second;
}

bool brake_pulled(struct brake *brake, struct partition *partition, const struct entry *culprit,
                  int64_t now_ms)
{
    /* Somebody has looked at it, and says that it is the record (dlq accept). */
    if (culprit->record.offset < partition->refusals_until)
        return false;
    if (now_ms - brake->window_from_ms >= WINDOW_MS) {
        brake->window_from_ms = now_ms;
        brake->refusals = 0;
    }
    brake->refusals++;
    bool second = second_submit(brake, partition, culprit);
    /* A partition that was halted goes on only when the refusals have ended. */
    return second || brake->refusals > REFUSALS_PER_MINUTE_MAX || partition->halt != NULL ||
           culprit->record.offset < partition->wary_until;
}

/* Read by the same flush, records of two partitions have no order: the refusal counts. */
static bool came_before(const struct plan *plan, struct tp tp, int64_t offset,
                        const struct record *applied)
{
    if (tp_equal(applied->tp, tp))
        return offset < applied->offset;
    for (size_t i = 0; i < plan->move_count; i++)
        if (tp_equal(plan->moves[i].tp, tp) && plan->moves[i].expected_next <= offset)
            return false;
    return true;
}

void brake_committed(struct brake *brake, const struct partition_table *partitions,
                     const struct plan *plan)
{
    for (size_t i = 0; i < plan->submission_count; i++) {
        const struct record *applied = &plan->submissions[i].entry->record;
        struct partition *partition = partition_find(partitions, applied->tp);
        if (partition != NULL && partition->refused.offset < applied->offset)
            partition->refused.known = false;
        if (came_before(plan, brake->tp, brake->last.offset, applied))
            brake->last.known = false;
    }
}
