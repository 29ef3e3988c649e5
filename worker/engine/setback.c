/*
 * What becomes of a flush whose transaction failed: tried again as it is, made smaller, searched
 * for the record that the database refuses, or halted until somebody mends the database
 * (DESIGN 2.5).
 */
#include "worker/engine/core.h"

#define BUGS_MAX  3
#define RACES_MAX 10

/* Halts what the batch holds of the ledger, or of view.refresh. False when that is nothing. */
static bool halt_spans(struct engine *engine, bool in_ledger, const char *reason,
                       const struct err *err)
{
    const struct batch *batch = engine->flush.batch;
    bool any = false;
    for (size_t i = 0; i < batch->span_count; i++) {
        const struct span *span = &batch->spans[i];
        struct partition *partition = partition_find(&engine->partitions, span->tp);
        if (span->dropped || partition == NULL || partition_in_ledger(partition) != in_ledger)
            continue;
        engine_halt(engine, partition, reason, err);
        any = true;
    }
    return any;
}

/* Requests for a refresh go first: saves do not wait for what only those may have met. */
static void halt_plan(struct engine *engine, const char *reason, const struct err *err)
{
    if (!halt_spans(engine, false, reason, err))
        (void)halt_spans(engine, true, reason, err);
    flush_again(engine, 0);
}

/* Errors of which a smaller batch may be free: statement timeout, out of memory there or here. */
static bool is_too_much(const struct err *err)
{
    static const char *const codes[] = { "57014", "53200", "memory" };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(err->code, codes[i]) == 0)
            return true;
    return false;
}

/* Repeated as it is, a batch that took too long would take too long for ever. Gives back its second
 * half, to be read again, and reads less at a time from now on. */
static void halve(struct engine *engine)
{
    struct batch *batch = engine->flush.batch;
    if (batch->count < 2)
        return;
    batch_cut(batch, batch->count / 2);
    engine->batch_events_max = batch->count;
    engine->flush.isolation.active = false; /* it counts records that are gone */
    for (size_t i = 0; i < batch->span_count; i++) {
        const struct span *span = &batch->spans[i];
        struct partition *partition = partition_find(&engine->partitions, span->tp);
        if (!span->cut || span->dropped || partition == NULL)
            continue;
        batch_drop(engine->filling, span->tp);
        partition->position = span->to;
        engine->reassign = true;
    }
    batch_clear_if_void(engine->filling);
}

/* What went well may be a little more the next time. */
void setback_over(struct engine *engine)
{
    size_t more = engine->batch_events_max / 8 + 1;
    if (engine->options.batch_events_max - engine->batch_events_max > more)
        engine->batch_events_max += more;
    else
        engine->batch_events_max = engine->options.batch_events_max;
}

/*
 * Another writer was quicker. The database is well and what that one did is seen by the next try,
 * so it is no reason to ask less of it; unless that never ends (a trigger takes rows away), and
 * then it is none. 23503 is only retried where it is such a race.
 */
static bool was_outrun(const struct engine *engine, const struct err *err)
{
    return engine->flush.tries < RACES_MAX &&
           (strcmp(err->code, "race") == 0 || strcmp(err->code, "23503") == 0);
}

static void count_against_database(struct engine *engine, const struct err *err)
{
    if (was_outrun(engine, err))
        return;
    engine_failed(engine, err);
    if (engine->flush.tries >= engine->options.retries &&
        breaker_trip(&engine->breaker, engine->now_ms))
        engine_note(engine, &(struct note){ .kind = NOTE_BREAKER, .word = "open", .err = err });
}

static void retry(struct engine *engine, const struct err *err)
{
    struct flush *flush = &engine->flush;
    if (is_too_much(err))
        halve(engine);
    flush->tries++;
    engine->seen.flush_retries++;
    if (strcmp(err->code, "40P01") == 0 || strcmp(err->code, "55P03") == 0)
        flush->lock_first = true;
    count_against_database(engine, err);
    int64_t delay = backoff_next_ms(&engine->backoff, &engine->rng);
    engine_note(engine, &(struct note){ .kind = NOTE_RETRYING, .err = err, .number = delay });
    flush_again(engine, delay);
}

static struct entry *nth_entry(const struct batch *batch, size_t n)
{
    struct entry *entry = batch->first;
    while (n-- > 0)
        entry = entry->next;
    return entry;
}

/* The halt names the record, so that somebody can look at it. */
static void halt_at(struct engine *engine, struct partition *partition, const struct entry *culprit,
                    const struct err *refusal)
{
    struct err err;
    err_set(&err, refusal->action, refusal->code, "record at offset %lld: %s",
            (long long)culprit->record.offset, refusal->text);
    engine_halt(engine, partition, "data_errors", &err);
    partition->refused_at = culprit->record.offset;
}

static void condemn(struct engine *engine, struct entry *culprit)
{
    struct flush *flush = &engine->flush;
    struct isolation *isolation = &flush->isolation;
    isolation->active = false;
    struct partition *partition = partition_find(&engine->partitions, culprit->record.tp);
    if (partition == NULL) {
        flush_again(engine, 0);
        return;
    }
    bool dead_already = culprit->judged && culprit->outcome == OUTCOME_DEAD;
    if (dead_already || brake_pulled(&engine->brake, partition, culprit, engine->now_ms)) {
        halt_at(engine, partition, culprit, &isolation->err);
        flush_again(engine, 0);
        return;
    }
    culprit->judged = true;
    culprit->outcome = OUTCOME_DEAD;
    culprit->reason = REASON_CONSTRAINT;
    /* The type goes first: by it a later claim knows that a submit was refused. */
    culprit->detail =
        arena_format(&flush->batch->arena, "%s refused by PostgreSQL: %s: %s",
                     event_type_name(culprit->event.type), isolation->err.code, isolation->err.text)
            .ptr;
    engine->seen.isolated++;
    engine_note(engine, &(struct note){ .kind = NOTE_ISOLATED,
                                        .has_tp = true,
                                        .tp = culprit->record.tp,
                                        .err = &isolation->err,
                                        .number = culprit->record.offset });
    flush_again(engine, 0);
}

/*
 * What the last trial has shown. Other sessions write between two trials, so what passed before may
 * fail now: then the search goes on among fewer records.
 */
static void learn(struct isolation *isolation, bool passed, const struct err *err)
{
    size_t limit = isolation->limit;
    if (passed) {
        isolation->shown = limit == isolation->good ? isolation->shown + 1 : 0;
        isolation->good = limit;
        return;
    }
    isolation->shown = limit == isolation->bad ? isolation->shown + 1 : 1;
    isolation->bad = limit;
    isolation->err = *err;
    if (isolation->good >= limit)
        isolation->good = 0;
}

/* One step of the search: `passed` says what the last trial (if any) has shown. */
void setback_isolate(struct engine *engine, bool passed, const struct err *err)
{
    struct flush *flush = &engine->flush;
    struct isolation *isolation = &flush->isolation;
    size_t count = flush->batch->count;
    if (count == 0 || (isolation->active && isolation->limit == 0 && !passed)) {
        /* Not one record is needed for the refusal: the fault is not in the data. */
        isolation->active = false;
        halt_plan(engine, "data_errors", err);
        return;
    }
    if (isolation->active)
        learn(isolation, passed, err);
    else
        *isolation = (struct isolation){ .active = true, .bad = count, .shown = 1, .err = *err };
    if (isolation->good == isolation->bad) {
        /* What was refused passes now, as somebody mended the database or another row moved. */
        isolation->active = false;
        flush_again(engine, engine->options.retry_base_ms);
        return;
    }
    bool narrow = isolation->bad - isolation->good == 1;
    if (narrow && isolation->shown >= ISOLATION_PROOF) {
        condemn(engine, nth_entry(flush->batch, isolation->bad - 1));
        return;
    }
    if (narrow)
        isolation->limit = isolation->shown % 2 == 1 ? isolation->good : isolation->bad;
    else
        isolation->limit = isolation->good + (isolation->bad - isolation->good) / 2;
    flush_again(engine, 0);
}

static void count_bug(struct engine *engine, const struct err *err)
{
    const struct batch *batch = engine->flush.batch;
    unsigned most = 0;
    for (size_t i = 0; i < batch->span_count; i++) {
        struct partition *partition = partition_find(&engine->partitions, batch->spans[i].tp);
        if (partition != NULL && !batch->spans[i].dropped && ++partition->bugs > most)
            most = partition->bugs;
    }
    if (most >= BUGS_MAX)
        halt_plan(engine, "schema", err);
    else
        retry(engine, err);
}

/* The transaction is gone without effect; `err` says what to do about it. */
void setback_react(struct engine *engine, const struct err *err)
{
    switch (err->action) {
    case ERR_REJECT:
        setback_isolate(engine, false, err);
        return;
    case ERR_HALT:
        halt_plan(engine, "schema", err);
        return;
    case ERR_BUG:
        count_bug(engine, err);
        return;
    case ERR_NONE: /* undone on purpose: a fenced plan */
        flush_again(engine, 0);
        return;
    case ERR_RETRY:
    case ERR_RESOURCE:
    case ERR_LOST:
        retry(engine, err);
        return;
    }
}
