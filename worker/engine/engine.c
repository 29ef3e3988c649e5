#include "worker/engine/core.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define COMMIT_EVERY_MS  1000
#define PLAN_BLOCK_BYTES ((size_t)256 * 1024)

/* Canonical text of one attempt's answers: more than all its keys and values can be. */
#define DOCUMENT_BYTES_MAX ((size_t)1 << 30)

struct engine_options engine_options_default(void)
{
    return (struct engine_options){
        .limits = decode_limits_default(),
        .version_jump_max = 1000000,
        .linger_ms = 200,
        .batch_events_max = 200000,
        .batch_bytes_max = (size_t)64 * 1024 * 1024,
        .retry_base_ms = 50,
        .retry_cap_ms = 5000,
        .retries = 3,
        .breaker_failures = 5,
        .breaker_open_ms = 60000,
        .ttl_hint_s = 30,
        .topics = { "attempt.writes", "attempt.activity", "view.refresh" },
        .seed = 1,
    };
}

struct engine *engine_new(const struct engine_options *options, const struct engine_ports *ports)
{
    struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL)
        return NULL;
    engine->options = *options;
    engine->ports = *ports;
    engine->rng.state = options->seed;
    engine->secret = rng_next(&engine->rng);
    engine->now_ms = clock_monotonic_ms(&engine->ports.clock);
    batch_init(&engine->batches[0]);
    batch_init(&engine->batches[1]);
    engine->filling = &engine->batches[0];
    engine->flush.batch = &engine->batches[1];
    engine->batch_events_max = options->batch_events_max;
    pace_init(&engine->pace);
    arena_init(&engine->flush.arena, PLAN_BLOCK_BYTES, 0);
    engine->backoff =
        (struct backoff){ .base_ms = options->retry_base_ms, .cap_ms = options->retry_cap_ms };
    breaker_init(&engine->breaker, options->breaker_failures, options->breaker_open_ms);
    recall_init(&engine->recall, engine->secret);
    arena_init(&engine->call_arena, (size_t)16 * 1024, 0);
    arena_init(&engine->source_arena, (size_t)4 * 1024, 0);
    buf_init(&engine->digest_room, DOCUMENT_BYTES_MAX);
    announcer_init(&engine->announcer, &engine->ports.publisher, &engine->tickets,
                   engine->options.topics, options->ttl_hint_s);
    announcer_init(&engine->repeater, &engine->ports.publisher, &engine->tickets,
                   engine->options.topics, options->ttl_hint_s);
    return engine;
}

void engine_free(struct engine *engine)
{
    if (engine == NULL)
        return;
    announcer_release(&engine->announcer);
    announcer_release(&engine->repeater);
    arena_release(&engine->call_arena);
    arena_release(&engine->source_arena);
    buf_release(&engine->digest_room);
    recall_release(&engine->recall);
    tickets_release(&engine->tickets);
    arena_release(&engine->flush.arena);
    batch_release(&engine->batches[0]);
    batch_release(&engine->batches[1]);
    partition_table_release(&engine->partitions);
    free(engine);
}

/* ------------------------------------------------------------------------------------ notes */

void engine_note(struct engine *engine, const struct note *note)
{
    engine->retrying = engine->retrying || note->kind == NOTE_RETRYING;
    engine->ports.journal.note(engine->ports.journal.self, note);
}

void engine_note_partition(struct engine *engine, enum note_kind kind,
                           const struct partition *partition, const char *word,
                           const struct err *err)
{
    engine_note(engine, &(struct note){ .kind = kind,
                                        .has_tp = true,
                                        .tp = partition->tp,
                                        .word = word,
                                        .err = err,
                                        .number = partition->next_offset });
}

void engine_trouble(struct engine *engine, const struct err *err)
{
    engine_note(engine, &(struct note){ .kind = NOTE_TROUBLE, .err = err });
}

/* ----------------------------------------------------------------------- health of the store */

void engine_failed(struct engine *engine, const struct err *err)
{
    if (breaker_failed(&engine->breaker, engine->now_ms))
        engine_note(engine, &(struct note){ .kind = NOTE_BREAKER,
                                            .word = "open",
                                            .err = err,
                                            .number = engine->breaker.probe_delay_ms });
}

void engine_succeeded(struct engine *engine)
{
    bool retried = engine->retrying;
    engine->retrying = false;
    backoff_reset(&engine->backoff);
    if (breaker_succeeded(&engine->breaker))
        engine_note(engine, &(struct note){ .kind = NOTE_BREAKER, .word = "closed" });
    else if (retried)
        engine_note(engine, &(struct note){ .kind = NOTE_ANSWERS });
}

void engine_lost_connection(struct engine *engine)
{
    engine->connected = false;
}

/* ------------------------------------------------------------------------------- partitions */

void engine_drop(struct engine *engine, struct tp tp)
{
    batch_drop(&engine->batches[0], tp);
    batch_drop(&engine->batches[1], tp);
    batch_clear_if_void(engine->filling);
}

/* Only who is being read is taken out of the list: a new list costs all partitions what the source
 * has read ahead. */
static void leave_running(struct engine *engine, struct partition *partition,
                          enum partition_state state)
{
    engine_drop(engine, partition->tp);
    engine->reassign = engine->reassign || partition->assigned;
    partition_set(partition, state);
}

void engine_start_over(struct engine *engine, struct partition *partition)
{
    leave_running(engine, partition, PARTITION_SURVEYING);
}

void engine_ledger_seen(struct engine *engine, const struct seen_ledger *seen, int64_t asked_ms)
{
    struct partition *partition = partition_find(&engine->partitions, seen->tp);
    if (partition == NULL)
        return;
    if (!witness_is_ahead(&partition->witness, seen->generation, seen->next_offset))
        partition->seen_asked_ms = asked_ms;
    /* Once too often does no harm: it was asked before the last note, perhaps. */
    if (seen->generation == partition->ledger.generation &&
        seen->published_offset < partition->published_noted)
        partition->published_noted = seen->published_offset;
}

size_t engine_ledger_looked(struct engine *engine, int64_t asked_ms)
{
    size_t count = 0;
    for (size_t i = 0; i < engine->partitions.count; i++) {
        struct partition *partition = &engine->partitions.items[i];
        if (!partition_in_ledger(partition) || !partition_reads(partition) ||
            partition->witness_at_ms >= asked_ms || partition->seen_asked_ms == asked_ms)
            continue;
        count += !partition->suspected;
        partition->suspected = true;
    }
    return count;
}

static bool is_of_the_database(const char *reason)
{
    return strcmp(reason, "data_errors") == 0 || strcmp(reason, "schema") == 0;
}

void engine_halt(struct engine *engine, struct partition *partition, const char *reason,
                 const struct err *err)
{
    leave_running(engine, partition, PARTITION_HALTED);
    partition->look_again_ms =
        engine->now_ms + (is_of_the_database(reason) ? HALT_TRY_MS : HALT_LOOK_MS);
    bool news = partition->halt == NULL || strcmp(partition->halt, reason) != 0;
    partition->halt = reason;
    partition->refused_at = 0;
    partition->halt_err = *err;
    if (!news)
        return;
    partition->noted_at_ms = engine->now_ms;
    engine_note_partition(engine, NOTE_HALTED, partition, reason, &partition->halt_err);
}

void engine_halt_for(struct engine *engine, struct partition *partition, const char *reason,
                     const char *format, ...)
{
    struct err err = { .action = ERR_HALT };
    va_list list;
    va_start(list, format);
    (void)vsnprintf(err.text, sizeof err.text, format, list);
    va_end(list);
    (void)snprintf(err.code, sizeof err.code, "%s", reason);
    engine_halt(engine, partition, reason, &err);
}

void engine_fence(struct engine *engine, struct partition *partition)
{
    leave_running(engine, partition, PARTITION_FENCED);
    engine->seen.fenced++;
    partition->look_again_ms = engine->now_ms + 500 + (int64_t)rng_below(&engine->rng, 2500);
    engine_note_partition(engine, NOTE_FENCED, partition, NULL, NULL);
}

void engine_heal(struct engine *engine, struct partition *partition)
{
    partition->bugs = 0;
    if (partition->halt == NULL)
        return;
    engine_note_partition(engine, NOTE_HEALED, partition, partition->halt, NULL);
    partition->halt = NULL;
}

size_t engine_batch_max(const struct engine *engine)
{
    size_t paced = engine->pace.events_max;
    return engine->batch_events_max < paced ? engine->batch_events_max : paced;
}

bool engine_has_room(const struct engine *engine)
{
    return batch_bytes(engine->filling) < engine->options.batch_bytes_max &&
           engine->filling->count < engine_batch_max(engine);
}

/* ------------------------------------------------------------------------------- publishing */

static void take_confirmations(struct engine *engine)
{
    struct publisher *publisher = &engine->ports.publisher;
    uint64_t number;
    while (publisher->confirmed(publisher->self, &number))
        tickets_confirm(&engine->tickets, number);
    const struct ticket *ticket;
    while ((ticket = tickets_complete(&engine->tickets)) != NULL) {
        for (size_t i = 0; i < ticket->span_count; i++) {
            const struct ticket_span *span = &ticket->spans[i];
            struct partition *partition = partition_find(&engine->partitions, span->tp);
            if (partition != NULL && partition->ledger.epoch == span->epoch &&
                partition->ledger.published_offset < span->published) {
                partition->ledger.published_offset = span->published;
                engine->group_is_behind = true;
            }
        }
        tickets_pop(&engine->tickets);
    }
}

static void tell_recalled(struct engine *engine)
{
    struct recall_list *recall = &engine->recall;
    if (recall->state != RECALL_TELLING || !announce_step(&engine->repeater, &recall->announcement))
        return;
    (void)recall_finish(recall, &engine->tickets);
}

/*
 * The group's offsets are for lag tools only: published progress, now and then. What they carry
 * along is for us: up to where the ledger was seen, always after its commit.
 */
static void commit_group(struct engine *engine)
{
    bool early = engine->now_ms < engine->commit_not_before_ms && !engine->stopping;
    if (!engine->group_is_behind || early)
        return;
    engine->group_is_behind = false;
    engine->commit_not_before_ms = engine->now_ms + COMMIT_EVERY_MS;
    arena_reset(&engine->source_arena);
    size_t count = 0, room = engine->partitions.count + 1;
    struct group_offset *offsets = arena_calloc(&engine->source_arena, room, sizeof *offsets);
    for (size_t i = 0; offsets != NULL && i < engine->partitions.count; i++) {
        const struct partition *partition = &engine->partitions.items[i];
        if (partition->state != PARTITION_RUNNING || !partition_in_ledger(partition) ||
            partition->ledger.published_offset < 0) /* not even the first "all" is confirmed */
            continue;
        offsets[count++] = (struct group_offset){ partition->tp, partition->ledger.published_offset,
                                                  partition->witness };
    }
    if (count > 0)
        engine->ports.source.commit(engine->ports.source.self, offsets, count);
}

/* --------------------------------------------------------------------------------- one step */

static void earlier(int64_t *delay_ms, int64_t candidate_ms)
{
    if (candidate_ms < *delay_ms)
        *delay_ms = candidate_ms < 0 ? 0 : candidate_ms;
}

/* When the store may be asked something that is not asked yet. */
static int64_t store_delay_ms(const struct engine *engine)
{
    int64_t delay_ms = INT64_MAX, now_ms = engine->now_ms;
    if (engine->errand != ERRAND_NONE)
        return delay_ms; /* its answer wakes us */
    if (engine->breaker.state == BREAKER_OPEN)
        return engine->breaker.probe_at_ms - now_ms;
    if (!engine->connected)
        return engine->connect_not_before_ms - now_ms;
    earlier(&delay_ms, flush_due_in_ms(engine));
    if (engine->flush.state == FLUSH_UNKNOWN)
        earlier(&delay_ms, engine->flush.not_before_ms - now_ms);
    earlier(&delay_ms, recall_due_in_ms(engine));
    earlier(&delay_ms, mark_due_in_ms(engine));
    for (size_t i = 0; i < engine->partitions.count; i++) {
        const struct partition *partition = &engine->partitions.items[i];
        if (partition->state == PARTITION_CLAIMING)
            earlier(&delay_ms, engine->claim_not_before_ms - now_ms);
    }
    return delay_ms;
}

/* The nearest moment at which something of ours is due. */
static int64_t next_delay_ms(const struct engine *engine)
{
    if (engine->more || (engine->throttled && !batch_has_work(engine->filling)))
        return 0; /* the batch that was full is on its way, or void */
    int64_t delay_ms = 1000;
    earlier(&delay_ms, store_delay_ms(engine));
    if (engine->flush.state == FLUSH_TELLING || engine->recall.state == RECALL_TELLING)
        earlier(&delay_ms, 10); /* the publisher's queue was full */
    for (size_t i = 0; i < engine->partitions.count; i++) {
        const struct partition *partition = &engine->partitions.items[i];
        if (partition->state == PARTITION_FENCED || partition->state == PARTITION_HALTED)
            earlier(&delay_ms, partition->look_again_ms - engine->now_ms);
        if (partition->state == PARTITION_SURVEYING && !engine->survey_running)
            earlier(&delay_ms, engine->survey_not_before_ms - engine->now_ms);
    }
    /* What is past due waits for something else, which wakes us: do not spin. */
    return delay_ms == 0 ? 1 : delay_ms;
}

int64_t engine_step(struct engine *engine)
{
    engine->now_ms = clock_monotonic_ms(&engine->ports.clock);
    engine->more = false;
    intake_news(engine);
    take_confirmations(engine);
    errand_poll(engine);
    flush_tell(engine);
    tell_recalled(engine);
    intake_look_again(engine);
    intake_survey(engine);
    intake_assign(engine);
    intake_read(engine);
    errand_choose(engine);
    commit_group(engine);
    return next_delay_ms(engine);
}

void engine_stop(struct engine *engine)
{
    engine->stopping = true;
}

bool engine_stopped(const struct engine *engine)
{
    if (!engine->stopping || engine->errand != ERRAND_NONE || engine->flush.state != FLUSH_IDLE ||
        batch_has_work(engine->filling) || !tickets_empty(&engine->tickets) ||
        engine->group_is_behind)
        return false;
    for (size_t i = 0; i < engine->partitions.count; i++) {
        const struct partition *partition = &engine->partitions.items[i];
        if (partition->state == PARTITION_RUNNING && partition_in_ledger(partition) &&
            partition->ledger.published_offset > partition->published_noted)
            return false;
    }
    return true;
}

void engine_status(const struct engine *engine, struct engine_status *ret)
{
    *ret = engine->seen;
    for (size_t i = 0; i < engine->partitions.count; i++) {
        const struct partition *partition = &engine->partitions.items[i];
        engine->partitions.status[i] =
            (struct partition_status){ .tp = partition->tp,
                                       .state = partition->state,
                                       .halt = partition->halt,
                                       .generation = partition->ledger.generation,
                                       .epoch = partition->ledger.epoch,
                                       .next_offset = partition->next_offset,
                                       .published_offset = partition->ledger.published_offset,
                                       .position = partition->position,
                                       .log_end = partition->log_end };
    }
    ret->partitions = engine->partitions.status;
    ret->partition_count = engine->partitions.count;
    ret->invalidations_published = engine->announcer.invalidations + engine->repeater.invalidations;
    ret->outcomes_published = engine->announcer.outcomes + engine->repeater.outcomes;
    ret->batch_events = engine->filling->count;
    ret->batch_max = engine_batch_max(engine);
    ret->in_flight_events = engine->flush.state == FLUSH_IDLE ? 0 : engine->flush.batch->count;
    ret->memory_bytes = batch_bytes(&engine->batches[0]) + batch_bytes(&engine->batches[1]) +
                        engine->flush.arena.used_bytes + engine->recall.arena.used_bytes;
    ret->breaker = engine->breaker.state;
    ret->connected = engine->connected;
    ret->last_flush_ms_ago = engine->flushed_once ? engine->now_ms - engine->last_flush_at_ms : -1;
}
