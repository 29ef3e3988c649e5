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
    size_t count = 0;
    for (size_t i = 0; i < planned->fold_count; i++)
        count += !fold_is_settled(&planned->folds[i]);
    plan->rows = arena_calloc(arena, count + 1, sizeof *plan->rows);
    if (plan->rows == NULL)
        return false;
    plan->row_count = 0;
    for (size_t i = 0; i < planned->fold_count && plan->row_count < count; i++)
        if (!fold_is_settled(&planned->folds[i]))
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
    const struct plan *plan = &planned->plan;
    if (plan->activity_count + plan->view_count == 0)
        return;
    for (size_t i = 0; i < planned->entry_count; i++) {
        struct entry *entry = planned->entries[i];
        if (entry->judged)
            continue;
        /* Only activity and refresh requests are left; the first are new until shown otherwise. */
        entry->judged = true;
        entry->outcome = entry->event.type == EVENT_ACTIVITY ? OUTCOME_DUPLICATE : OUTCOME_APPLIED;
    }
    for (size_t i = 0; i < plan->activity_count; i++)
        if (plan->activities[i].stored)
            plan->activities[i].entry->outcome = OUTCOME_APPLIED;
}

static size_t count_submissions(const struct planned *planned)
{
    size_t count = 0;
    for (size_t i = 0; i < planned->fold_count; i++)
        count += planned->folds[i].written && planned->folds[i].has_submit;
    return count;
}

static bool list_submissions(struct planned *planned, struct arena *arena)
{
    struct plan *plan = &planned->plan;
    size_t room = count_submissions(planned) + 1;
    plan->submissions = arena_calloc(arena, room, sizeof *plan->submissions);
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

bool plan_wants_telling(const struct entry *entry)
{
    if (entry->outcome == OUTCOME_APPLIED || entry->outcome == OUTCOME_DUPLICATE)
        return entry->event.type == EVENT_SUBMITTED;
    return true;
}

static bool is_rejected(const struct entry *entry)
{
    return entry->outcome == OUTCOME_STALE || entry->outcome == OUTCOME_LATE;
}

static bool is_letter(const struct entry *entry)
{
    return entry->outcome == OUTCOME_DEAD;
}

/* The rows of what was not simply applied: `rejected_count` and `letter_count` say how many. */
static bool list_outcomes(struct planned *planned, struct arena *arena)
{
    struct plan *plan = &planned->plan;
    plan->rejected = arena_alloc(arena, (plan->rejected_count + 1) * sizeof(struct entry *));
    plan->letters = arena_alloc(arena, (plan->letter_count + 1) * sizeof(struct entry *));
    if (plan->rejected == NULL || plan->letters == NULL)
        return false;
    size_t rejected = 0, letters = 0;
    if (plan->rejected_count + plan->letter_count == 0)
        return true;
    for (size_t i = 0; i < planned->entry_count; i++) {
        struct entry *entry = planned->entries[i];
        if (is_rejected(entry))
            plan->rejected[rejected++] = entry;
        else if (is_letter(entry))
            plan->letters[letters++] = entry;
    }
    return true;
}

bool plan_settle(struct planned *planned, struct arena *arena)
{
    struct plan *plan = &planned->plan;
    judge_activities(planned);
    planned->wanted_count = plan->rejected_count = plan->letter_count = 0;
    for (size_t i = 0; i < planned->entry_count; i++) {
        const struct entry *entry = planned->entries[i];
        if (entry->move != NULL) {
            entry->move->counts[entry->outcome]++;
            if (entry->outcome == OUTCOME_APPLIED && entry->missing > 0)
                entry->move->gaps++;
        }
        planned->wanted_count += plan_wants_telling(entry);
        plan->rejected_count += is_rejected(entry);
        plan->letter_count += is_letter(entry);
    }
    return list_outcomes(planned, arena) && list_submissions(planned, arena);
}
