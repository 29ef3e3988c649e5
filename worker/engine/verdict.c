/* The second half of planner.h: from the database's answers to verdicts and outcome rows. */
#include "worker/engine/fold.h"
#include "worker/engine/planner.h"

#include <stdlib.h>

static struct fold *fold_of(struct planned *planned, const struct uuid *attempt_id)
{
    size_t low = 0, high = planned->fold_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = uuid_compare(&planned->folds[middle].attempt_id, attempt_id);
        if (order == 0)
            return &planned->folds[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static bool all_judged(const struct fold *fold)
{
    for (const struct entry *e = fold->entries; e != NULL; e = e->next_of_attempt)
        if (!e->judged)
            return false;
    return true;
}

bool plan_opened(struct planned *planned, struct arena *arena)
{
    struct plan *plan = &planned->plan;
    for (size_t i = 0; i < plan->start_count; i++) {
        struct start_row *start = &plan->starts[i];
        if (!start->done)
            continue;
        start->entry->judged = true;
        start->entry->outcome = OUTCOME_APPLIED;
        start->entry->version = 1;
    }
    for (size_t i = 0; i < plan->fold_count; i++)
        if (plan->folds[i]->written)
            fold_settle_fast(plan->folds[i]);
    plan->rows = arena_calloc(arena, planned->fold_count + 1, sizeof *plan->rows);
    if (plan->rows == NULL)
        return false;
    plan->row_count = 0;
    for (size_t i = 0; i < planned->fold_count; i++)
        if (!all_judged(&planned->folds[i]))
            plan->rows[plan->row_count++].attempt_id = planned->folds[i].attempt_id;
    planned->needs_lock = plan->row_count > 0;
    return true;
}

bool plan_judge(struct planned *planned, struct arena *arena)
{
    struct plan *plan = &planned->plan;
    size_t room = plan->row_count + 1;
    plan->new_rows = arena_calloc(arena, room, sizeof *plan->new_rows);
    plan->fills = arena_calloc(arena, room, sizeof *plan->fills);
    plan->exact_folds = arena_calloc(arena, room, sizeof *plan->exact_folds);
    if (plan->new_rows == NULL || plan->fills == NULL || plan->exact_folds == NULL)
        return false;
    for (size_t i = 0; i < plan->row_count; i++) {
        struct fold *fold = fold_of(planned, &plan->rows[i].attempt_id);
        struct fold_verdict verdict;
        if (!fold_judge(fold, &plan->rows[i], plan->jump_max, arena, &verdict))
            return false;
        struct start_row start = { .attempt_id = fold->attempt_id };
        if (verdict.new_row) {
            start.entry = verdict.new_start;
            start.has_start = verdict.new_start != NULL;
            if (start.has_start)
                start.started = verdict.new_start->event.started;
            plan->new_rows[plan->new_row_count++] = start;
        }
        if (verdict.fill != NULL)
            plan->fills[plan->fill_count++] =
                (struct start_row){ .attempt_id = fold->attempt_id,
                                    .has_start = true,
                                    .started = verdict.fill->event.started,
                                    .entry = verdict.fill };
        if (fold->exact && fold->has_write)
            plan->exact_folds[plan->exact_fold_count++] = fold;
    }
    return true;
}

static void judge_activities(struct planned *planned)
{
    for (size_t i = 0; i < planned->entry_count; i++) {
        struct entry *entry = planned->entries[i];
        if (entry->judged)
            continue;
        /* Only activity and refresh requests are left; the first are new until shown otherwise. */
        entry->judged = true;
        entry->outcome = entry->event.type == EVENT_ACTIVITY ? OUTCOME_DUPLICATE : OUTCOME_APPLIED;
    }
    const struct plan *plan = &planned->plan;
    for (size_t i = 0; i < plan->activity_count; i++)
        if (plan->activities[i].stored)
            plan->activities[i].entry->outcome = OUTCOME_APPLIED;
}

static bool list_submissions(struct planned *planned, struct arena *arena)
{
    struct plan *plan = &planned->plan;
    plan->submissions = arena_calloc(arena, planned->fold_count + 1, sizeof *plan->submissions);
    if (plan->submissions == NULL)
        return false;
    for (size_t i = 0; i < planned->fold_count; i++) {
        struct fold *fold = &planned->folds[i];
        if (!fold->written || !fold->has_submit)
            continue;
        struct submission_row *row = &plan->submissions[plan->submission_count++];
        row->fold = fold;
        row->entry = fold->submit;
        fold->submit->submission = row;
    }
    return true;
}

bool plan_settle(struct planned *planned, struct arena *arena)
{
    struct plan *plan = &planned->plan;
    judge_activities(planned);
    plan->rejected = arena_calloc(arena, planned->entry_count + 1, sizeof *plan->rejected);
    plan->letters = arena_calloc(arena, planned->entry_count + 1, sizeof *plan->letters);
    if (plan->rejected == NULL || plan->letters == NULL || !list_submissions(planned, arena))
        return false;
    for (size_t i = 0; i < planned->entry_count; i++) {
        struct entry *entry = planned->entries[i];
        if (entry->move != NULL) {
            entry->move->counts[entry->outcome]++;
            if (entry->outcome == OUTCOME_APPLIED && entry->missing > 0)
                entry->move->gaps++;
        }
        if (entry->outcome == OUTCOME_STALE || entry->outcome == OUTCOME_LATE)
            plan->rejected[plan->rejected_count++] = entry;
        else if (entry->outcome == OUTCOME_DEAD)
            plan->letters[plan->letter_count++] = entry;
    }
    return true;
}
