#include "worker/engine/planner.h"

#include "common/uuid_map.h"
#include "common/uuid_sort.h"
#include "worker/engine/fold.h"

#include <stdlib.h>

/* ------------------------------------------------------------------------------ the moves */

static bool part_of_plan(const struct plan_request *request, const struct span *span)
{
    return !span->dropped &&
           (span->tp.topic == TOPIC_REFRESH || request->ledger(request->self, span->tp) != NULL);
}

static int compare_moves(const void *a, const void *b)
{
    const struct ledger_move *x = a, *y = b;
    if (x->tp.topic != y->tp.topic)
        return x->tp.topic < y->tp.topic ? -1 : 1;
    return (x->tp.partition > y->tp.partition) - (x->tp.partition < y->tp.partition);
}

static void set_anchor(struct ledger_move *move, const struct entry *last)
{
    move->has_anchor = last != NULL;
    if (last == NULL)
        return;
    move->anchor.offset = last->record.offset;
    move->anchor.timestamp_ms = last->record.timestamp_ms;
    record_hash(&last->record, move->anchor.hash);
}

static bool build_moves(const struct plan_request *request, struct plan *plan)
{
    struct batch *batch = request->batch;
    plan->moves = arena_calloc(request->arena, batch->span_count + 1, sizeof *plan->moves);
    if (plan->moves == NULL)
        return false;
    for (size_t i = 0; i < batch->span_count; i++) {
        const struct span *span = &batch->spans[i];
        if (!part_of_plan(request, span) || span->tp.topic == TOPIC_REFRESH ||
            span->to == span->from)
            continue;
        const struct ledger_entry *ledger = request->ledger(request->self, span->tp);
        struct ledger_move *move = &plan->moves[plan->move_count++];
        *move = (struct ledger_move){ .tp = span->tp,
                                      .generation = ledger->generation,
                                      .epoch = ledger->epoch,
                                      .expected_next = span->from,
                                      .new_next = span->to,
                                      .published = ledger->published_offset };
        set_anchor(move, span->last);
    }
    qsort(plan->moves, plan->move_count, sizeof *plan->moves, compare_moves);
    return true;
}

static struct ledger_move *move_of(struct plan *plan, struct tp tp)
{
    for (size_t i = 0; i < plan->move_count; i++)
        if (tp_equal(plan->moves[i].tp, tp))
            return &plan->moves[i];
    return NULL;
}

/* --------------------------------------------------------------------------- the attempts */

/* What a run of the batch is to this plan, looked up once and not for each of its records. */
struct part {
    bool planned;
    struct ledger_move *move; /* NULL for view.refresh, and where nothing moves */
};

struct builder {
    const struct plan_request *request;
    struct part *parts; /* by span */
    struct planned *planned;
    struct arena *arena;
    struct uuid_map attempts;
    size_t start_count, activity_count, view_count;
};

/* A fold before its place in the sorted array is known. */
struct built_fold {
    struct fold fold;
    struct built_fold *next;
};

static struct built_fold *fold_for(struct builder *builder, struct built_fold **chain,
                                   const struct uuid *attempt_id)
{
    void **place = uuid_map_place(&builder->attempts, attempt_id);
    if (place == NULL)
        return NULL;
    if (*place == NULL) {
        struct built_fold *built = arena_calloc(builder->arena, 1, sizeof *built);
        if (built == NULL)
            return NULL;
        built->fold.attempt_id = *attempt_id;
        built->next = *chain;
        *chain = built;
        *place = built;
        builder->planned->fold_count++;
    }
    return *place;
}

static void refuse_by_decoder(struct entry *entry)
{
    entry->judged = true;
    entry->outcome = OUTCOME_DEAD;
    entry->reason = entry->refusal->reason;
    entry->detail = entry->refusal->detail;
}

/* Sets an entry back to what the decoder left, keeping a verdict of "refused by the database". */
static void reset_entry(struct entry *entry)
{
    bool refused =
        entry->judged && entry->outcome == OUTCOME_DEAD && entry->reason == REASON_CONSTRAINT;
    entry->next_of_attempt = NULL;
    if (refused)
        return;
    entry->judged = false;
    entry->reason = REASON_NONE;
    entry->late_reason = NULL;
    entry->detail = NULL;
    entry->submission = NULL;
    entry->version = entry->missing = 0;
    if (entry->refusal != NULL)
        refuse_by_decoder(entry);
}

static bool chain_entry(struct builder *builder, struct built_fold **chain, struct entry *entry)
{
    if (entry->judged)
        return true;
    switch (entry->event.type) {
    case EVENT_ACTIVITY:
        builder->activity_count += entry->event.activity.count;
        return true;
    case EVENT_REFRESH:
        builder->view_count++;
        return true;
    case EVENT_STARTED:
        builder->start_count++;
        break;
    case EVENT_SAVED:
    case EVENT_SUBMITTED:
        break;
    }
    struct built_fold *built = fold_for(builder, chain, &entry->event.attempt_id);
    if (built == NULL)
        return false;
    fold_append(&built->fold, entry, builder->request->version_jump_max);
    return true;
}

static bool list_parts(struct builder *builder)
{
    const struct plan_request *request = builder->request;
    const struct batch *batch = request->batch;
    builder->parts = arena_calloc(builder->arena, batch->span_count + 1, sizeof *builder->parts);
    for (size_t i = 0; builder->parts != NULL && i < batch->span_count; i++) {
        const struct span *span = &batch->spans[i];
        if (part_of_plan(request, span))
            builder->parts[i] = (struct part){ true, move_of(&builder->planned->plan, span->tp) };
    }
    return builder->parts != NULL;
}

static bool chain_entries(struct builder *builder, struct built_fold **chain)
{
    const struct plan_request *request = builder->request;
    struct batch *batch = request->batch;
    struct planned *planned = builder->planned;
    planned->entries = arena_alloc(builder->arena, (batch->count + 1) * sizeof(struct entry *));
    if (planned->entries == NULL)
        return false;
    size_t seen = 0;
    for (struct entry *entry = batch->first; entry != NULL; entry = entry->next) {
        reset_entry(entry);
        const struct part *part = &builder->parts[entry->span];
        if (seen++ >= request->entry_limit || !part->planned)
            continue;
        entry->move = part->move;
        planned->entries[planned->entry_count++] = entry;
        if (!chain_entry(builder, chain, entry))
            return false;
    }
    return true;
}

/* The folds are copied once, into their order: whatever walks over them later goes straight on. */
static bool sort_folds(struct builder *builder, struct built_fold *chain)
{
    struct planned *planned = builder->planned;
    size_t count = planned->fold_count;
    planned->folds = arena_alloc(builder->arena, (count + 1) * sizeof(struct fold));
    struct uuid_key *keys = arena_alloc(builder->arena, (2 * count + 1) * sizeof *keys);
    if (planned->folds == NULL || keys == NULL)
        return false;
    size_t n = 0;
    for (struct built_fold *built = chain; built != NULL; built = built->next)
        keys[n++] = uuid_key(&built->fold.attempt_id, built);
    keys = uuid_sort(keys, keys + count, count);
    for (size_t i = 0; i < count; i++)
        planned->folds[i] = ((const struct built_fold *)keys[i].value)->fold;
    return true;
}

/* Of several starts of one attempt the first counts, if any does. */
static void list_exam(struct plan *plan, const struct fold *fold)
{
    const struct entry *start = fold->entries;
    while (start != NULL && start->event.type != EVENT_STARTED)
        start = start->next_of_attempt;
    if (start != NULL)
        plan->exams[plan->exam_count++] =
            (struct exam_entry){ .attempt_id = fold->attempt_id,
                                 .exam_id = start->event.started.exam_id };
}

static bool list_fast_way(struct builder *builder)
{
    struct planned *planned = builder->planned;
    struct plan *plan = &planned->plan;
    size_t room = builder->start_count + 1;
    plan->starts = arena_alloc(builder->arena, room * sizeof *plan->starts);
    plan->exams = arena_alloc(builder->arena, room * sizeof *plan->exams);
    plan->folds = arena_alloc(builder->arena, (planned->fold_count + 1) * sizeof(struct fold *));
    if (plan->starts == NULL || plan->exams == NULL || plan->folds == NULL)
        return false;
    for (size_t i = 0; i < planned->fold_count; i++) {
        struct fold *fold = &planned->folds[i];
        if (!fold_classify(fold, builder->arena))
            return false;
        if (fold->exact) {
            list_exam(plan, fold);
            continue;
        }
        struct entry *first = fold->entries;
        if (first->event.type == EVENT_STARTED)
            plan->starts[plan->start_count++] = (struct start_row){ .attempt_id = fold->attempt_id,
                                                                    .has_start = true,
                                                                    .started = first->event.started,
                                                                    .entry = first };
        if (fold->has_write)
            plan->folds[plan->fold_count++] = fold;
    }
    return true;
}

static bool list_activities(struct builder *builder)
{
    struct planned *planned = builder->planned;
    struct plan *plan = &planned->plan;
    plan->activities =
        arena_calloc(builder->arena, builder->activity_count + 1, sizeof *plan->activities);
    plan->views = arena_calloc(builder->arena, builder->view_count + 1, sizeof *plan->views);
    if (plan->activities == NULL || plan->views == NULL)
        return false;
    for (size_t i = 0; i < planned->entry_count; i++) {
        struct entry *entry = planned->entries[i];
        if (entry->judged)
            continue;
        const struct event *event = &entry->event;
        if (event->type == EVENT_REFRESH)
            plan->views[plan->view_count++] = event->refresh.view_name;
        if (event->type != EVENT_ACTIVITY)
            continue;
        for (size_t k = 0; k < event->activity.count; k++)
            plan->activities[plan->activity_count++] = (struct activity_row){
                .attempt_id = event->attempt_id, .item = &event->activity.items[k], .entry = entry
            };
    }
    return true;
}

/* What "lock all attempts first" means for OPEN: plan_opened() makes LOCK's own list later. */
static bool list_locks(struct builder *builder)
{
    struct planned *planned = builder->planned;
    struct plan *plan = &planned->plan;
    if (!plan->lock_first)
        return true;
    plan->rows = arena_calloc(builder->arena, planned->fold_count + 1, sizeof *plan->rows);
    if (plan->rows == NULL)
        return false;
    for (size_t i = 0; i < planned->fold_count; i++)
        plan->rows[plan->row_count++].attempt_id = planned->folds[i].attempt_id;
    return true;
}

bool plan_build(const struct plan_request *request, struct planned *ret)
{
    *ret = (struct planned){ 0 };
    ret->plan.jump_max = request->version_jump_max;
    ret->plan.trial = request->trial;
    ret->plan.lock_first = request->lock_first;
    struct builder builder = { .request = request, .planned = ret, .arena = request->arena };
    uuid_map_init(&builder.attempts, builder.arena, request->secret);
    struct built_fold *chain = NULL;
    return build_moves(request, &ret->plan) && list_parts(&builder) &&
           chain_entries(&builder, &chain) && sort_folds(&builder, chain) &&
           list_fast_way(&builder) && list_locks(&builder) && list_activities(&builder);
}

bool plan_hits(const struct plan *plan)
{
    for (size_t i = 0; i < plan->move_count; i++)
        if (!plan->moves[i].hit)
            return false;
    return true;
}
