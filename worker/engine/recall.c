#include "worker/engine/recall.h"

#include <stdlib.h>

#define RECALL_BYTES_MAX   ((size_t)4 * 1024 * 1024)
#define RECALL_BLOCK_BYTES ((size_t)64 * 1024)

struct recall_item {
    struct verdict verdict; /* what is known without the database */
    bool refused;           /* by the decoder */
    bool is_submit;
    struct recall_item *next;
};

struct touched {
    struct uuid attempt_id;
    struct log_place place;
    struct touched *next;
};

void recall_init(struct recall_list *list, uint64_t secret)
{
    *list = (struct recall_list){ .secret = secret };
    arena_init(&list->arena, RECALL_BLOCK_BYTES, 0);
    arena_init(&list->scratch, RECALL_BLOCK_BYTES, 0);
}

void recall_release(struct recall_list *list)
{
    arena_release(&list->arena);
    arena_release(&list->scratch);
    free(list->ranges);
    free(list->epochs);
    list->ranges = NULL;
    list->epochs = NULL;
}

static void forget(struct recall_list *list)
{
    arena_reset(&list->arena);
    list->state = RECALL_IDLE;
    list->discarded = false;
    list->first = list->last = NULL;
    list->touched = NULL;
    list->item_count = list->touched_count = list->range_count = 0;
    list->request = (struct recall){ 0 };
    list->announcement = (struct announcement){ 0 };
}

bool recall_begin(struct recall_list *list, struct tickets *tickets, int64_t now_ms)
{
    uint64_t number;
    if (!tickets_open(tickets, 0, &number))
        return false;
    list->announcement.ticket = number;
    list->since_ms = now_ms;
    list->state = RECALL_COLLECTING;
    uuid_map_init(&list->seen, &list->arena, list->secret);
    return true;
}

bool recall_has_room(const struct recall_list *list)
{
    return list->arena.used_bytes < RECALL_BYTES_MAX;
}

/* The last range of a partition; an older epoch's range is another one. */
static struct recall_range *range_of(struct recall_list *list, struct tp tp)
{
    for (size_t i = list->range_count; i-- > 0;)
        if (tp_equal(list->ranges[i].tp, tp))
            return &list->ranges[i];
    return NULL;
}

static struct recall_range *range_in_epoch(struct recall_list *list,
                                           const struct ledger_entry *ledger)
{
    struct recall_range *range = range_of(list, ledger->tp);
    return range != NULL && list->epochs[range - list->ranges] == ledger->epoch ? range : NULL;
}

static bool reserve_range(struct recall_list *list)
{
    if (list->range_count < list->range_capacity)
        return true;
    size_t capacity = list->range_capacity == 0 ? 16 : list->range_capacity * 2;
    struct recall_range *ranges = realloc(list->ranges, capacity * sizeof *ranges);
    if (ranges == NULL)
        return false;
    list->ranges = ranges;
    int64_t *epochs = realloc(list->epochs, capacity * sizeof *epochs);
    if (epochs == NULL)
        return false;
    list->epochs = epochs;
    list->range_capacity = capacity;
    return true;
}

bool recall_open(struct recall_list *list, const struct ledger_entry *ledger, int64_t from,
                 bool cut)
{
    if (range_in_epoch(list, ledger) != NULL)
        return true;
    if (!reserve_range(list))
        return false;
    list->epochs[list->range_count] = ledger->epoch;
    list->ranges[list->range_count++] = (struct recall_range){
        .tp = ledger->tp, .generation = ledger->generation, .from = from, .to = from
    };
    if (cut) {
        list->announcement.everything = true;
        list->announcement.cut = (struct log_place){ .tp = ledger->tp,
                                                     .generation = ledger->generation,
                                                     .offset = from };
    }
    return true;
}

void recall_extend(struct recall_list *list, const struct ledger_entry *ledger, int64_t to)
{
    struct recall_range *range =
        list->state == RECALL_COLLECTING ? range_in_epoch(list, ledger) : NULL;
    if (range != NULL && range->to < to)
        range->to = to;
}

static bool touch(struct recall_list *list, const struct uuid *attempt_id, struct log_place place)
{
    void **slot = uuid_map_place(&list->seen, attempt_id);
    if (slot == NULL)
        return false;
    struct touched *touched = *slot;
    if (touched == NULL) {
        touched = arena_calloc(&list->arena, 1, sizeof *touched);
        if (touched == NULL)
            return false;
        touched->attempt_id = *attempt_id;
        touched->next = list->touched;
        list->touched = touched;
        list->touched_count++;
        *slot = touched;
    }
    touched->place = place;
    return true;
}

static bool keep(struct recall_list *list, struct bytes from, struct bytes *to)
{
    *to = bytes_present(from) ? arena_copy(&list->arena, from) : BYTES_NONE;
    return bytes_present(*to) == bytes_present(from);
}

static bool note_refusal(struct recall_list *list, struct recall_item *item,
                         const struct refusal *refusal)
{
    item->refused = true;
    item->verdict.outcome = OUTCOME_DEAD;
    item->verdict.reason = bytes_of(reason_name(refusal->reason));
    item->verdict.has_attempt_id = refusal->has_attempt_id;
    item->verdict.has_event_id = refusal->has_event_id;
    item->verdict.attempt_id = refusal->attempt_id;
    item->verdict.event_id = refusal->event_id;
    if (!keep(list, refusal->traceparent, &item->verdict.traceparent))
        return false;
    /* It may have changed its attempt, when other limits were in force. */
    return !refusal->has_attempt_id || item->verdict.place.tp.topic != TOPIC_WRITES ||
           touch(list, &refusal->attempt_id, item->verdict.place);
}

static bool note_event(struct recall_list *list, struct recall_item *item,
                       const struct event *event)
{
    item->is_submit = event->type == EVENT_SUBMITTED;
    item->verdict.has_attempt_id = item->verdict.has_event_id = true;
    item->verdict.attempt_id = event->attempt_id;
    item->verdict.event_id = event->event_id;
    if (!keep(list, event->traceparent, &item->verdict.traceparent))
        return false;
    return event->type == EVENT_ACTIVITY || touch(list, &event->attempt_id, item->verdict.place);
}

bool recall_add(struct recall_list *list, const struct record *record,
                const struct decode_limits *limits)
{
    struct recall_range *range = range_of(list, record->tp);
    struct recall_item *item = arena_calloc(&list->arena, 1, sizeof *item);
    if (item == NULL || !keep(list, record->key, &item->verdict.key))
        return false;
    item->verdict.place = (struct log_place){ .tp = record->tp,
                                              .generation = range->generation,
                                              .offset = record->offset };
    struct event event;
    struct refusal refusal;
    arena_reset(&list->scratch);
    switch (decode(record, limits, &list->scratch, &event, &refusal)) {
    case DECODE_EVENT:
        if (!note_event(list, item, &event))
            return false;
        break;
    case DECODE_DEAD:
        if (!note_refusal(list, item, &refusal))
            return false;
        break;
    case DECODE_NO_MEMORY:
        return false;
    }
    if (list->last != NULL)
        list->last->next = item;
    else
        list->first = item;
    list->last = item;
    list->item_count++;
    range->to = record->offset + 1;
    return true;
}

/* ------------------------------------------------------------------------- asking, answering */

static int compare_attempts(const void *a, const void *b)
{
    const struct recalled_attempt *x = a, *y = b;
    return uuid_compare(&x->attempt_id, &y->attempt_id);
}

bool recall_prepare(struct recall_list *list)
{
    struct recall *request = &list->request;
    struct recalled_attempt *attempts = request->attempts;
    if (attempts == NULL || list->attempt_room < list->touched_count) { /* else: asked once more */
        attempts = arena_calloc(&list->arena, list->touched_count + 1, sizeof *attempts);
        if (attempts == NULL)
            return false;
        list->attempt_room = list->touched_count;
    }
    *request = (struct recall){ .ranges = list->ranges,
                                .range_count = list->range_count,
                                .attempts = attempts };
    for (const struct touched *t = list->touched; t != NULL; t = t->next)
        request->attempts[request->attempt_count++].attempt_id = t->attempt_id;
    qsort(request->attempts, request->attempt_count, sizeof *request->attempts, compare_attempts);
    return true;
}

static int compare_outcomes(const void *a, const void *b)
{
    const struct recalled_outcome *x = a, *y = b;
    if (x->tp.topic != y->tp.topic)
        return x->tp.topic < y->tp.topic ? -1 : 1;
    if (x->tp.partition != y->tp.partition)
        return x->tp.partition < y->tp.partition ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static const struct recalled_outcome *outcome_at(const struct recall *request,
                                                 const struct log_place *place)
{
    struct recalled_outcome key = { .tp = place->tp, .offset = place->offset };
    return request->outcome_count == 0 ? NULL
                                       : bsearch(&key, request->outcomes, request->outcome_count,
                                                 sizeof key, compare_outcomes);
}

static const struct recalled_attempt *attempt_with(const struct recall *request,
                                                   const struct uuid *id)
{
    struct recalled_attempt key = { .attempt_id = *id };
    const struct recalled_attempt *attempt =
        bsearch(&key, request->attempts, request->attempt_count, sizeof key, compare_attempts);
    return attempt != NULL && attempt->found ? attempt : NULL;
}

/* True when the record's producer is to be told; completes the verdict. */
static bool complete(const struct recall *request, struct recall_item *item)
{
    struct verdict *verdict = &item->verdict;
    const struct recalled_outcome *outcome = outcome_at(request, &verdict->place);
    if (outcome != NULL) {
        verdict->outcome = outcome->outcome;
        verdict->reason = outcome->reason;
        verdict->has_version = outcome->has_version;
        verdict->version = outcome->version;
        verdict->is_applied_submit = outcome->outcome == OUTCOME_APPLIED;
        verdict->missing = outcome->missing;
        verdict->receipt = outcome->receipt;
        verdict->committed_at_us = outcome->committed_at_us;
        return true;
    }
    /* What was refused then has its letter: this one was not, other limits were in force. */
    if (item->refused || !item->is_submit)
        return false;
    /* A submit that is in none of the outcome tables was a duplicate. */
    const struct recalled_attempt *attempt = attempt_with(request, &verdict->attempt_id);
    verdict->outcome = OUTCOME_DUPLICATE;
    verdict->has_version = attempt != NULL;
    verdict->version = attempt != NULL ? attempt->version : 0;
    verdict->committed_at_us = attempt != NULL ? attempt->committed_at_us : 0;
    return true;
}

static void list_changes(struct recall_list *list)
{
    struct announcement *announcement = &list->announcement;
    for (const struct touched *t = list->touched; t != NULL; t = t->next) {
        const struct recalled_attempt *attempt = attempt_with(&list->request, &t->attempt_id);
        if (attempt != NULL)
            announcement->changes[announcement->change_count++] =
                (struct change){ .attempt_id = attempt->attempt_id,
                                 .version = attempt->version,
                                 .revision = attempt->revision,
                                 .has_exam = attempt->has_exam,
                                 .exam_id = attempt->exam_id,
                                 .place = t->place,
                                 .committed_at_us = attempt->committed_at_us };
    }
}

bool recall_answered(struct recall_list *list)
{
    struct announcement *announcement = &list->announcement;
    struct recall *request = &list->request;
    announcement->changes =
        arena_calloc(&list->arena, list->touched_count + 1, sizeof *announcement->changes);
    announcement->verdicts =
        arena_calloc(&list->arena, list->item_count + 1, sizeof *announcement->verdicts);
    if (announcement->changes == NULL || announcement->verdicts == NULL)
        return false;
    if (request->outcome_count > 0)
        qsort(request->outcomes, request->outcome_count, sizeof *request->outcomes,
              compare_outcomes);
    announcement->change_count = announcement->verdict_count = 0;
    list_changes(list);
    for (struct recall_item *item = list->first; item != NULL; item = item->next)
        if (complete(request, item))
            announcement->verdicts[announcement->verdict_count++] = item->verdict;
    return announce_exams(announcement, &list->arena, list->secret);
}

bool recall_finish(struct recall_list *list, struct tickets *tickets)
{
    struct ticket *ticket = tickets_get(tickets, list->announcement.ticket);
    if (!ticket_reserve(ticket, list->range_count))
        return false;
    for (size_t i = 0; i < list->range_count; i++)
        ticket->spans[ticket->span_count++] = (struct ticket_span){
            .tp = list->ranges[i].tp, .epoch = list->epochs[i], .published = list->ranges[i].to
        };
    ticket->sealed = true;
    forget(list);
    return true;
}

void recall_discard(struct recall_list *list, struct tickets *tickets)
{
    if (list->state == RECALL_IDLE)
        return;
    if (list->state == RECALL_ASKING) {
        list->discarded = true;
        return;
    }
    tickets_get(tickets, list->announcement.ticket)->sealed = true;
    forget(list);
}
