#include "worker/engine/batch.h"

#include <stdlib.h>

/* Large enough that a busy batch needs few blocks, small enough that an idle worker is small. */
#define BATCH_BLOCK_BYTES ((size_t)256 * 1024)

void batch_init(struct batch *batch)
{
    *batch = (struct batch){ 0 };
    arena_init(&batch->arena, BATCH_BLOCK_BYTES, 0);
    arena_init(&batch->entries, BATCH_BLOCK_BYTES, 0);
}

void batch_release(struct batch *batch)
{
    arena_release(&batch->arena);
    arena_release(&batch->entries);
    free(batch->spans);
    batch->spans = NULL;
    batch->span_count = batch->span_capacity = 0;
}

void batch_clear(struct batch *batch)
{
    arena_reset(&batch->arena);
    arena_reset(&batch->entries);
    batch->first = batch->last = NULL;
    batch->count = 0;
    batch->span_count = 0;
    batch->submit_at = 0;
}

struct span *batch_span(struct batch *batch, struct tp tp)
{
    for (size_t i = 0; i < batch->span_count; i++)
        if (tp_equal(batch->spans[i].tp, tp) && !batch->spans[i].dropped)
            return &batch->spans[i];
    return NULL;
}

static struct span *span_for(struct batch *batch, struct tp tp, int64_t position, int64_t now_ms)
{
    /* Records come in runs of one partition: mostly it is the last one's. */
    struct span *span = batch->last != NULL ? &batch->spans[batch->last->span] : NULL;
    if (span == NULL || span->dropped || !tp_equal(span->tp, tp))
        span = batch_span(batch, tp);
    if (span != NULL)
        return span;
    if (batch->span_count == batch->span_capacity) {
        size_t capacity = batch->span_capacity == 0 ? 16 : batch->span_capacity * 2;
        struct span *spans = realloc(batch->spans, capacity * sizeof *spans);
        if (spans == NULL)
            return NULL;
        batch->spans = spans;
        batch->span_capacity = capacity;
    }
    if (batch->span_count == 0)
        batch->opened_at_ms = now_ms;
    span = &batch->spans[batch->span_count++];
    *span = (struct span){ .tp = tp, .from = position, .to = position };
    return span;
}

static bool copy_present(struct arena *arena, struct bytes *b)
{
    if (!bytes_present(*b))
        return true;
    *b = arena_copy(arena, *b);
    return bytes_present(*b);
}

static bool copy_record(struct arena *arena, const struct record *from, struct record *to)
{
    *to = *from;
    if (!copy_present(arena, &to->key) || !copy_present(arena, &to->value))
        return false;
    if (from->header_count == 0)
        return true;
    struct header *headers = arena_calloc(arena, from->header_count, sizeof *headers);
    if (headers == NULL)
        return false;
    for (size_t i = 0; i < from->header_count; i++) {
        headers[i] = from->headers[i];
        if (!copy_present(arena, &headers[i].name) || !copy_present(arena, &headers[i].value))
            return false;
    }
    to->headers = headers;
    return true;
}

static bool decode_entry(struct batch *batch, struct entry *entry,
                         const struct decode_limits *limits)
{
    struct refusal refusal;
    switch (decode(&entry->record, limits, &batch->arena, &entry->event, &refusal)) {
    case DECODE_EVENT:
        return true;
    case DECODE_DEAD: {
        struct refusal *kept = arena_alloc(&batch->arena, sizeof *kept);
        if (kept == NULL)
            return false;
        *kept = refusal;
        entry->refusal = kept;
        entry->event.traceparent = kept->traceparent;
        return true;
    }
    case DECODE_NO_MEMORY:
        break;
    }
    return false;
}

bool batch_add(struct batch *batch, const struct record *record, int64_t position,
               const struct decode_limits *limits, int64_t now_ms)
{
    struct entry *entry = arena_calloc(&batch->entries, 1, sizeof *entry);
    if (entry == NULL || !copy_record(&batch->arena, record, &entry->record) ||
        !decode_entry(batch, entry, limits))
        return false;
    struct span *span = span_for(batch, record->tp, position, now_ms);
    if (span == NULL)
        return false;
    entry->span = (unsigned)(span - batch->spans);
    span->to = record->offset + 1;
    span->last = entry;
    if (batch->last != NULL)
        batch->last->next = entry;
    else
        batch->first = entry;
    batch->last = entry;
    batch->count++;
    if (entry->refusal == NULL && entry->event.type == EVENT_SUBMITTED && batch->submit_at == 0)
        batch->submit_at = batch->count;
    return true;
}

bool batch_pass(struct batch *batch, struct tp tp, int64_t position, int64_t to, int64_t now_ms)
{
    struct span *span = span_for(batch, tp, position, now_ms);
    if (span == NULL)
        return false;
    span->to = to;
    return true;
}

void batch_drop(struct batch *batch, struct tp tp)
{
    struct span *span = batch_span(batch, tp);
    if (span != NULL)
        span->dropped = true;
}

void batch_drop_all(struct batch *batch)
{
    for (size_t i = 0; i < batch->span_count; i++)
        batch->spans[i].dropped = true;
}

void batch_cut(struct batch *batch, size_t count)
{
    struct entry **link = &batch->first;
    batch->last = NULL;
    for (size_t i = 0; i < batch->span_count; i++) {
        batch->spans[i].last = NULL;
        batch->spans[i].cut = false;
    }
    for (size_t i = 0; i < count; i++, link = &batch->last->next) {
        batch->last = *link;
        batch->spans[batch->last->span].last = batch->last;
    }
    for (const struct entry *gone = *link; gone != NULL; gone = gone->next) {
        struct span *span = &batch->spans[gone->span];
        if (!span->cut)
            span->to = gone->record.offset;
        span->cut = true;
    }
    *link = NULL;
    batch->count = count;
}

void batch_clear_if_void(struct batch *batch)
{
    if (batch->span_count > 0 && !batch_has_work(batch))
        batch_clear(batch);
}

bool batch_has_work(const struct batch *batch)
{
    for (size_t i = 0; i < batch->span_count; i++)
        if (!batch->spans[i].dropped && batch->spans[i].to > batch->spans[i].from)
            return true;
    return false;
}
