/* The first half of announce.h: from a committed plan to the facts that are to be told. */
#include "worker/engine/announce.h"

#include "common/uuid_map.h"

/* ---------------------------------------------------------------------------------- changes */

static struct log_place place_of(const struct entry *entry)
{
    return (struct log_place){ .tp = entry->record.tp,
                               .generation = entry->move != NULL ? entry->move->generation : 0,
                               .offset = entry->record.offset };
}

/* The last record of the fold that changed the row; NULL when none did. */
static const struct entry *last_applied(const struct fold *fold)
{
    if (fold->written && !fold->exact)
        return fold->last_entry;
    const struct entry *last = NULL;
    for (const struct entry *e = fold->entries; e != NULL; e = e->next_of_attempt)
        if (e->judged && e->outcome == OUTCOME_APPLIED)
            last = e;
    return last;
}

static const struct start_row *start_with(const struct start_row *rows, size_t count,
                                          const struct uuid *attempt_id)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = uuid_compare(&rows[middle].attempt_id, attempt_id);
        if (order == 0)
            return rows[middle].done ? &rows[middle] : NULL;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static void take_start(struct change *change, const struct start_row *start)
{
    if (start == NULL)
        return;
    if (change->revision < start->revision)
        change->revision = start->revision;
    if (start->has_start) {
        change->has_exam = true;
        change->exam_id = start->started.exam_id;
    }
}

/* True when the fold's attempt has changed at all. */
static bool change_of(const struct planned *planned, const struct fold *fold, struct change *ret)
{
    const struct plan *plan = &planned->plan;
    const struct entry *last = last_applied(fold);
    if (last == NULL)
        return false;
    *ret = (struct change){ .attempt_id = fold->attempt_id,
                            .version = last->version,
                            .place = place_of(last),
                            .committed_at_us = plan->committed_at_us };
    if (fold->written) {
        ret->version = fold->version;
        ret->revision = fold->revision;
        ret->has_exam = fold->has_exam;
        ret->exam_id = fold->exam_id;
    }
    take_start(ret, start_with(plan->starts, plan->start_count, &fold->attempt_id));
    take_start(ret, start_with(plan->new_rows, plan->new_row_count, &fold->attempt_id));
    take_start(ret, start_with(plan->fills, plan->fill_count, &fold->attempt_id));
    return true;
}

bool announce_exams(struct announcement *announcement, struct arena *arena, uint64_t secret)
{
    struct uuid_map seen;
    uuid_map_init(&seen, arena, secret);
    announcement->exams =
        arena_alloc(arena, (announcement->change_count + 1) * sizeof *announcement->exams);
    if (announcement->exams == NULL)
        return false;
    announcement->exam_count = 0;
    for (size_t i = 0; i < announcement->change_count; i++) {
        const struct change *change = &announcement->changes[i];
        if (!change->has_exam)
            continue;
        void **slot = uuid_map_place(&seen, &change->exam_id);
        if (slot == NULL)
            return false;
        if (*slot == NULL)
            *slot = &announcement->exams[announcement->exam_count++];
        *(struct change *)*slot = *change;
    }
    return true;
}

/* --------------------------------------------------------------------------------- verdicts */

static struct bytes reason_of(const struct entry *entry)
{
    if (entry->outcome == OUTCOME_DEAD)
        return bytes_of(reason_name(entry->reason));
    return entry->late_reason != NULL ? bytes_of(entry->late_reason) : BYTES_NONE;
}

static void take_ids(struct verdict *verdict, const struct entry *entry)
{
    const struct refusal *refusal = entry->refusal;
    verdict->traceparent = entry->event.traceparent;
    if (refusal != NULL) {
        verdict->has_attempt_id = refusal->has_attempt_id;
        verdict->has_event_id = refusal->has_event_id;
        verdict->attempt_id = refusal->attempt_id;
        verdict->event_id = refusal->event_id;
        return;
    }
    verdict->has_event_id = true;
    verdict->event_id = entry->event.event_id;
    verdict->has_attempt_id = entry->event.type != EVENT_REFRESH;
    verdict->attempt_id = entry->event.attempt_id;
}

static struct verdict verdict_of(const struct plan *plan, const struct entry *entry)
{
    struct verdict verdict = { .place = place_of(entry),
                               .outcome = entry->outcome,
                               .reason = reason_of(entry),
                               .key = entry->record.key,
                               .has_version = entry->outcome != OUTCOME_DEAD,
                               .version = entry->version,
                               .committed_at_us = plan->committed_at_us };
    take_ids(&verdict, entry);
    if (entry->refusal == NULL && entry->event.type == EVENT_SUBMITTED &&
        entry->outcome == OUTCOME_APPLIED) {
        verdict.is_applied_submit = true;
        verdict.missing = entry->missing;
        verdict.receipt = entry->submission->receipt;
    }
    return verdict;
}

bool announce_plan(const struct planned *planned, struct arena *arena, uint64_t secret,
                   struct announcement *ret)
{
    struct announcement announcement = { 0 };
    size_t wanted = planned->wanted_count;
    announcement.changes =
        arena_alloc(arena, (planned->fold_count + 1) * sizeof *announcement.changes);
    announcement.verdicts = arena_alloc(arena, (wanted + 1) * sizeof *announcement.verdicts);
    if (announcement.changes == NULL || announcement.verdicts == NULL)
        return false;
    for (size_t i = 0; i < planned->fold_count; i++)
        if (change_of(planned, &planned->folds[i],
                      &announcement.changes[announcement.change_count]))
            announcement.change_count++;
    for (size_t i = 0; i < planned->entry_count && announcement.verdict_count < wanted; i++)
        if (plan_wants_telling(planned->entries[i]))
            announcement.verdicts[announcement.verdict_count++] =
                verdict_of(&planned->plan, planned->entries[i]);
    if (!announce_exams(&announcement, arena, secret))
        return false;
    *ret = announcement;
    return true;
}
