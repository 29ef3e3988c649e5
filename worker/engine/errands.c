/*
 * The store serves one call at a time. Here is what it is asked next, and why in this order: find
 * out about an unknown commit, note what has been published (only in quiet moments, or when no
 * flush has done it for long), go on with the flush, claim what is newly ours, ask what must be
 * told again.
 */
#include "worker/engine/core.h"

#define CLAIM_RETRY_MS 500
#define MARK_EVERY_MS  200

/* How much longer a mark waits for a quiet moment before it interrupts. */
#define MARK_PATIENCE_MS 1500

/* How long records that are to be told again wait for those of other partitions. */
#define RECALL_WAIT_MS 1000

void errand_start(struct engine *engine, enum errand errand, enum store_step step)
{
    engine->errand = errand;
    engine->call.step = step;
    engine->ports.store.start(engine->ports.store.self, &engine->call);
}

static void start_in_own_arena(struct engine *engine, enum errand errand, enum store_step step)
{
    engine->call.arena = &engine->call_arena;
    errand_start(engine, errand, step);
}

/* ---------------------------------------------------------------------------------- connect */

static bool work_waits(const struct engine *engine)
{
    for (size_t i = 0; i < engine->partitions.count; i++)
        if (engine->partitions.items[i].state == PARTITION_CLAIMING)
            return true;
    return engine->flush.state == FLUSH_READY || engine->flush.state == FLUSH_UNKNOWN ||
           engine->recall.state == RECALL_COLLECTING;
}

/*
 * Connecting checks tables and settings: what it halted need not wait for its minute. What a
 * statement halted must, or each look would close the session, and each new session look.
 */
static void look_at_schema_again(struct engine *engine)
{
    bool by_statement = engine->halt_closed;
    engine->halt_closed = false;
    if (by_statement)
        return;
    for (size_t i = 0; i < engine->partitions.count; i++) {
        struct partition *partition = &engine->partitions.items[i];
        if (partition->state == PARTITION_HALTED && strcmp(partition->halt, "schema") == 0)
            partition->look_again_ms = engine->now_ms;
    }
}

static void connected(struct engine *engine, bool ok, const struct err *err)
{
    if (ok) {
        engine->connected = true;
        /* A connection proves little while work is waiting to prove more. */
        if (!work_waits(engine))
            engine_succeeded(engine);
        look_at_schema_again(engine);
        return;
    }
    engine_lost_connection(engine);
    engine_failed(engine, err);
    if (err->action == ERR_HALT) {
        engine->halt_closed = false; /* the next connection does prove something */
        /* The whole database is not as it must be: nothing of ours can go on. */
        for (size_t i = 0; i < engine->partitions.count; i++) {
            struct partition *partition = &engine->partitions.items[i];
            if (partition->halt == NULL && partition_in_ledger(partition))
                engine_halt(engine, partition, "schema", err);
        }
    }
    int64_t delay = backoff_next_ms(&engine->backoff, &engine->rng);
    engine->connect_not_before_ms = engine->now_ms + delay;
    engine_note(
        engine,
        &(struct note){ .kind = NOTE_RETRYING, .word = "connect", .err = err, .number = delay });
}

/* ------------------------------------------------------------------------------------ claim */

static bool start_claim(struct engine *engine)
{
    size_t count = 0;
    for (size_t i = 0; i < engine->partitions.count; i++)
        count += engine->partitions.items[i].state == PARTITION_CLAIMING;
    if (count == 0 || engine->now_ms < engine->claim_not_before_ms)
        return false;
    arena_reset(&engine->call_arena);
    struct claim *claims = arena_calloc(&engine->call_arena, count, sizeof *claims);
    if (claims == NULL)
        return false;
    count = 0;
    for (size_t i = 0; i < engine->partitions.count; i++) {
        const struct partition *partition = &engine->partitions.items[i];
        if (partition->state == PARTITION_CLAIMING)
            claims[count++] = (struct claim){ .tp = partition->tp,
                                              .low = partition->log_low,
                                              .may_create = !partition->has_committed };
    }
    engine->call.claim.items = claims;
    engine->call.claim.count = count;
    start_in_own_arena(engine, ERRAND_CLAIM, STORE_CLAIM);
    return true;
}

static void take_claim(struct partition *partition, const struct claim *claim)
{
    if (claim->generation != partition->ledger.generation)
        partition->refused_at = 0; /* another log: its offsets mean something else */
    partition->ledger = (struct ledger_entry){ .tp = claim->tp,
                                               .generation = claim->generation,
                                               .epoch = claim->epoch,
                                               .published_offset = claim->published_offset };
    partition->next_offset = claim->next_offset;
    partition->published_noted = claim->published_offset;
    partition->has_anchor = claim->has_anchor;
    partition->anchor = claim->anchor;
    partition->refusals_until = claim->refusals_until;
    brake_claimed(partition, claim);
    /* Of an earlier generation (accept-gap) nothing can be read again, whatever the log holds. */
    int64_t readable =
        claim->first_offset > partition->log_low ? claim->first_offset : partition->log_low;
    partition->log_was_cut = claim->published_offset < readable;
    partition->recall_from = partition->log_was_cut ? readable : claim->published_offset;
    partition->anchor_pending = claim->has_anchor && claim->anchor.offset >= partition->log_low;
    partition->position = partition->recall_from;
    if (partition->anchor_pending && claim->anchor.offset < partition->position)
        partition->position = claim->anchor.offset;
}

/*
 * The database was put back, or a standby took over that lacks the last commits. Nobody would be
 * hurt by reading on, as rows and offset went back together; but what was told to the world, and
 * what others have written there, is gone without a word. The witness goes to the group once more,
 * for it may only be in this worker's memory, and `accept-gap` must see it, too.
 */
static void halt_behind(struct engine *engine, struct partition *partition,
                        const struct claim *claim)
{
    const struct witness *witness = &partition->witness;
    engine_halt_for(engine, partition, "ledger_behind",
                    "the ledger is at offset %lld of generation %lld, but was seen at offset %lld "
                    "of generation %lld",
                    (long long)claim->next_offset, (long long)claim->generation,
                    (long long)witness->next_offset, (long long)witness->generation);
    if (partition->witness_told)
        return;
    struct source *source = &engine->ports.source;
    int64_t offset = partition->has_committed ? partition->committed : claim->next_offset;
    source->commit(source->self,
                   &(struct group_offset){ partition->tp, offset, partition->witness }, 1);
}

static void claimed_one(struct engine *engine, struct partition *partition,
                        const struct claim *claim)
{
    if (!claim->found) {
        engine_halt_for(engine, partition, "ledger_missing",
                        "the group has committed offset %lld, but the ledger has no row",
                        (long long)partition->committed);
        return;
    }
    take_claim(partition, claim);
    if (witness_is_ahead(&partition->witness, claim->generation, claim->next_offset)) {
        halt_behind(engine, partition, claim);
        return;
    }
    partition_witness(partition, claim->generation, claim->next_offset, engine->now_ms);
    if (claim->next_offset < partition->log_low) {
        engine_halt_for(engine, partition, "log_start",
                        "the ledger reads on at offset %lld, but the log begins at %lld: what was "
                        "between them was removed before it was read",
                        (long long)claim->next_offset, (long long)partition->log_low);
        return;
    }
    if (claim->next_offset > partition->log_end) {
        /* The predecessor may have gone on after our survey; it cannot since our claim. */
        if (!partition->doubted) {
            partition->doubted = true;
            partition_set(partition, PARTITION_SURVEYING);
            return;
        }
        partition->doubted = false; /* the next look begins with another survey, too */
        engine_halt_for(engine, partition, "log_end", LOG_ENDS_EARLY, (long long)claim->next_offset,
                        (long long)partition->log_end);
        return;
    }
    partition->doubted = false;
    bool again = partition->position < partition->next_offset || partition->log_was_cut;
    partition_set(partition, again ? PARTITION_RECALLING : PARTITION_RUNNING);
    engine->reassign = true;
    engine_note_partition(engine, NOTE_CLAIMED, partition, NULL, NULL);
}

static void claimed(struct engine *engine, bool ok, const struct err *err)
{
    if (!ok) {
        if (err->action == ERR_LOST)
            engine_lost_connection(engine);
        engine_failed(engine, err);
        engine->claim_not_before_ms = engine->now_ms + CLAIM_RETRY_MS;
        if (err->action != ERR_HALT)
            engine_note(engine, &(struct note){
                                    .kind = NOTE_RETRYING, .err = err, .number = CLAIM_RETRY_MS });
        else
            for (size_t i = 0; i < engine->call.claim.count; i++) {
                struct partition *partition =
                    partition_find(&engine->partitions, engine->call.claim.items[i].tp);
                if (partition != NULL)
                    engine_halt(engine, partition, "schema", err);
            }
        return;
    }
    engine_succeeded(engine);
    for (size_t i = 0; i < engine->call.claim.count; i++) {
        const struct claim *claim = &engine->call.claim.items[i];
        struct partition *partition = partition_find(&engine->partitions, claim->tp);
        /* A rebalance may have taken it away, or begun anew, while the call was under way. */
        if (partition != NULL && partition->state == PARTITION_CLAIMING)
            claimed_one(engine, partition, claim);
    }
}

/* ---------------------------------------------------------------------------------- resolve */

static bool start_resolve(struct engine *engine)
{
    struct flush *flush = &engine->flush;
    if (flush->state != FLUSH_UNKNOWN || engine->now_ms < flush->not_before_ms)
        return false;
    const struct plan *plan = &flush->planned.plan;
    arena_reset(&engine->call_arena);
    struct resolution *items =
        arena_calloc(&engine->call_arena, plan->move_count + 1, sizeof *items);
    if (items == NULL)
        return false;
    for (size_t i = 0; i < plan->move_count; i++)
        items[i].tp = plan->moves[i].tp;
    engine->call.resolve.items = items;
    engine->call.resolve.count = plan->move_count;
    flush->state = FLUSH_RESOLVING;
    start_in_own_arena(engine, ERRAND_RESOLVE, STORE_RESOLVE);
    return true;
}

/* ----------------------------------------------------------------------------------- recall */

/* True while other partitions may still add to the list. */
static bool recall_grows(const struct engine *engine)
{
    if (!recall_has_room(&engine->recall) || engine->stopping)
        return false;
    for (size_t i = 0; i < engine->partitions.count; i++)
        if (engine->partitions.items[i].state == PARTITION_RECALLING)
            return true;
    return false;
}

int64_t recall_due_in_ms(const struct engine *engine)
{
    if (engine->recall.state != RECALL_COLLECTING)
        return INT64_MAX;
    int64_t due_ms = recall_grows(engine) ? engine->recall.since_ms + RECALL_WAIT_MS : 0;
    if (due_ms < engine->recall_not_before_ms)
        due_ms = engine->recall_not_before_ms;
    return due_ms - engine->now_ms;
}

static bool start_recall(struct engine *engine)
{
    if (recall_due_in_ms(engine) > 0 || !recall_prepare(&engine->recall))
        return false;
    engine->recall.state = RECALL_ASKING;
    engine->call.recall = &engine->recall.request;
    engine->call.arena = &engine->recall.arena;
    errand_start(engine, ERRAND_RECALL, STORE_RECALL);
    return true;
}

/* Nothing can be told again before somebody mends the database. The list comes again then. */
static void halt_recall(struct engine *engine, const struct err *err)
{
    struct recall_list *recall = &engine->recall;
    for (size_t i = 0; i < recall->range_count; i++) {
        struct partition *partition = partition_find(&engine->partitions, recall->ranges[i].tp);
        if (partition != NULL)
            engine_halt(engine, partition, "schema", err);
    }
    recall_discard(recall, &engine->tickets);
}

static void recalled(struct engine *engine, bool ok, const struct err *err)
{
    struct recall_list *recall = &engine->recall;
    if (recall->discarded) {
        recall->state = RECALL_COLLECTING; /* the store has let go of it */
        recall_discard(recall, &engine->tickets);
        return;
    }
    if (ok && recall_answered(recall)) {
        engine_succeeded(engine);
        recall->announcement.everything_at_us = clock_wall_us(&engine->ports.clock);
        recall->state = RECALL_TELLING;
        return;
    }
    recall->state = RECALL_COLLECTING;
    int64_t delay = backoff_next_ms(&engine->backoff, &engine->rng);
    engine->recall_not_before_ms = engine->now_ms + delay;
    if (ok)
        return;
    if (err->action == ERR_LOST)
        engine_lost_connection(engine);
    engine_failed(engine, err);
    if (err->action == ERR_HALT)
        halt_recall(engine, err);
    else
        engine_note(engine, &(struct note){ .kind = NOTE_RETRYING, .err = err, .number = delay });
}

/* ------------------------------------------------------------------------------------- mark */

static bool mark_wanted(const struct partition *partition)
{
    return partition->state == PARTITION_RUNNING && partition_in_ledger(partition) &&
           partition->ledger.published_offset > partition->published_noted;
}

/*
 * In a quiet moment at once. Under load the next flush carries most of it along; the rest, of
 * partitions that have nothing in that flush, is not put off for ever.
 */
int64_t mark_due_in_ms(const struct engine *engine)
{
    if (engine->flush.state != FLUSH_IDLE && engine->flush.state != FLUSH_TELLING)
        return INT64_MAX;
    bool quiet = engine->stopping || !batch_has_work(engine->filling);
    for (size_t i = 0; i < engine->partitions.count; i++) {
        const struct partition *partition = &engine->partitions.items[i];
        if (mark_wanted(partition) && (quiet || batch_span(engine->filling, partition->tp) == NULL))
            return engine->mark_not_before_ms + (quiet ? 0 : MARK_PATIENCE_MS) - engine->now_ms;
    }
    return INT64_MAX;
}

static bool start_mark(struct engine *engine)
{
    if (mark_due_in_ms(engine) > 0)
        return false;
    size_t count = 0;
    for (size_t i = 0; i < engine->partitions.count; i++)
        count += mark_wanted(&engine->partitions.items[i]);
    if (count == 0)
        return false;
    arena_reset(&engine->call_arena);
    struct mark *marks = arena_calloc(&engine->call_arena, count, sizeof *marks);
    if (marks == NULL)
        return false;
    count = 0;
    for (size_t i = 0; i < engine->partitions.count; i++) {
        const struct partition *partition = &engine->partitions.items[i];
        if (mark_wanted(partition))
            marks[count++] =
                (struct mark){ partition->tp, partition->ledger.generation, partition->ledger.epoch,
                               partition->ledger.published_offset, false };
    }
    engine->call.mark.items = marks;
    engine->call.mark.count = count;
    engine->mark_not_before_ms = engine->now_ms + MARK_EVERY_MS;
    start_in_own_arena(engine, ERRAND_MARK, STORE_MARK);
    return true;
}

static void halt_marks(struct engine *engine, const struct err *err)
{
    for (size_t i = 0; i < engine->call.mark.count; i++) {
        struct partition *partition =
            partition_find(&engine->partitions, engine->call.mark.items[i].tp);
        if (partition != NULL && partition->state == PARTITION_RUNNING)
            engine_halt(engine, partition, "schema", err);
    }
}

static void marked(struct engine *engine, bool ok, const struct err *err)
{
    if (!ok) {
        if (err->action == ERR_LOST)
            engine_lost_connection(engine);
        engine_failed(engine, err);
        if (err->action == ERR_HALT)
            halt_marks(engine, err);
        return;
    }
    engine_succeeded(engine);
    for (size_t i = 0; i < engine->call.mark.count; i++) {
        const struct mark *mark = &engine->call.mark.items[i];
        struct partition *partition = partition_find(&engine->partitions, mark->tp);
        if (partition == NULL || partition->ledger.epoch != mark->epoch)
            continue;
        /* An idle partition has no flush to tell it that somebody else has claimed it. */
        if (!mark->hit && partition->state == PARTITION_RUNNING)
            engine_fence(engine, partition);
        else if (mark->hit && partition->published_noted < mark->published_offset)
            partition->published_noted = mark->published_offset;
    }
}

/* ------------------------------------------------------------------------------ the one door */

void errand_poll(struct engine *engine)
{
    while (engine->errand != ERRAND_NONE) {
        struct err err = { .action = ERR_NONE };
        enum store_state state = engine->ports.store.poll(engine->ports.store.self, &err);
        if (state == STORE_BUSY)
            return;
        enum errand done = engine->errand;
        engine->errand = ERRAND_NONE;
        bool ok = state == STORE_OK;
        if (!ok && err.action == ERR_HALT && done != ERRAND_CONNECT) {
            engine_lost_connection(engine);
            engine->halt_closed = true;
        }
        switch (done) {
        case ERRAND_CONNECT:
            connected(engine, ok, &err);
            break;
        case ERRAND_CLAIM:
            claimed(engine, ok, &err);
            break;
        case ERRAND_FLUSH:
            flush_answered(engine, ok, &err);
            break;
        case ERRAND_RESOLVE:
            flush_resolved(engine, ok, &err);
            break;
        case ERRAND_RECALL:
            recalled(engine, ok, &err);
            break;
        case ERRAND_MARK:
            marked(engine, ok, &err);
            break;
        case ERRAND_NONE:
            break;
        }
    }
}

static bool store_is_wanted(const struct engine *engine)
{
    return engine->partitions.count > 0 || engine->flush.state != FLUSH_IDLE;
}

void errand_choose(struct engine *engine)
{
    enum breaker_state before = engine->breaker.state;
    if (engine->errand != ERRAND_NONE || !breaker_allows(&engine->breaker, engine->now_ms))
        return;
    if (engine->breaker.state != before)
        engine_note(engine, &(struct note){ .kind = NOTE_BREAKER, .word = "probing" });
    if (!engine->connected) {
        if (engine->now_ms < engine->connect_not_before_ms ||
            (engine->stopping && !store_is_wanted(engine)))
            return;
        start_in_own_arena(engine, ERRAND_CONNECT, STORE_CONNECT);
        return;
    }
    if (start_resolve(engine) || start_mark(engine))
        return;
    if (engine->flush.state != FLUSH_UNKNOWN)
        flush_start_if_due(engine);
    if (engine->errand != ERRAND_NONE)
        return;
    if (start_claim(engine) || start_recall(engine))
        return;
    /* A probe needs something to ask; without it the breaker would never close. */
    if (engine->breaker.state == BREAKER_PROBING && !work_waits(engine))
        start_in_own_arena(engine, ERRAND_CONNECT, STORE_CONNECT);
}
