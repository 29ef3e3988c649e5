/*
 * From the batch into the database, and then to the world. The order is the engine's promise:
 * compare-and-set and data in one transaction; only after its COMMIT was answered (or found out)
 * the announcement; only after its delivery reports published_offset.
 */
#include "worker/engine/core.h"
#include "worker/events/canonical.h"

static void enter(struct engine *engine, enum flush_state state)
{
    engine->flush.state = state;
}

static const struct ledger_entry *ledger_of(void *self, struct tp tp)
{
    struct engine *engine = self;
    struct partition *partition = partition_find(&engine->partitions, tp);
    /* RECALLING partitions have nothing in a batch, all others nothing that may be committed. */
    return partition != NULL && partition->state == PARTITION_RUNNING ? &partition->ledger : NULL;
}

/* ---------------------------------------------------------------------------- when and what */

static bool batch_is_due(const struct engine *engine)
{
    const struct batch *batch = engine->filling;
    return batch->submit_at > 0 || engine->stopping || engine->throttled ||
           !engine_has_room(engine) ||
           engine->now_ms - batch->opened_at_ms >= engine->options.linger_ms;
}

int64_t flush_due_in_ms(const struct engine *engine)
{
    const struct flush *flush = &engine->flush;
    if (flush->state == FLUSH_READY)
        return flush->not_before_ms - engine->now_ms;
    if (flush->state != FLUSH_IDLE || !batch_has_work(engine->filling))
        return INT64_MAX;
    return batch_is_due(engine)
               ? 0
               : engine->filling->opened_at_ms + engine->options.linger_ms - engine->now_ms;
}

static void begin(struct engine *engine)
{
    struct flush *flush = &engine->flush;
    struct batch *spare = flush->batch;
    flush->batch = engine->filling;
    engine->filling = spare;
    batch_clear(engine->filling);
    flush->tries = 0;
    flush->lock_first = false;
    flush->isolation = (struct isolation){ 0 };
    flush->ticket_open = false;
    flush->not_before_ms = engine->now_ms;
    flush->started_at_ms = engine->now_ms;
    enter(engine, FLUSH_READY);
}

static void finish(struct engine *engine)
{
    batch_clear(engine->flush.batch);
    arena_reset(&engine->flush.arena);
    enter(engine, FLUSH_IDLE);
}

static bool build(struct engine *engine)
{
    struct flush *flush = &engine->flush;
    const struct isolation *isolation = &flush->isolation;
    arena_reset(&flush->arena);
    struct plan_request request = { .batch = flush->batch,
                                    .arena = &flush->arena,
                                    .ledger = ledger_of,
                                    .self = engine,
                                    .version_jump_max = engine->options.version_jump_max,
                                    .entry_limit = isolation->active ? isolation->limit : SIZE_MAX,
                                    .trial = isolation->active,
                                    .lock_first = flush->lock_first,
                                    .secret = engine->secret };
    return plan_build(&request, &flush->planned);
}

static void store_step(struct engine *engine, enum flush_state state, enum store_step step)
{
    enter(engine, state);
    engine->call.plan = &engine->flush.planned.plan;
    engine->call.arena = &engine->flush.arena;
    errand_start(engine, ERRAND_FLUSH, step);
}

void flush_again(struct engine *engine, int64_t delay_ms)
{
    engine->flush.not_before_ms = engine->now_ms + delay_ms;
    enter(engine, FLUSH_READY);
}

void flush_start_if_due(struct engine *engine)
{
    struct flush *flush = &engine->flush;
    if (flush->state == FLUSH_IDLE && batch_has_work(engine->filling) && batch_is_due(engine))
        begin(engine);
    if (flush->state != FLUSH_READY || engine->now_ms < flush->not_before_ms)
        return;
    if (!batch_has_work(flush->batch)) {
        finish(engine);
        return;
    }
    if (!build(engine)) {
        const struct err err = { ERR_RESOURCE, "memory", "no memory to plan a flush" };
        engine_trouble(engine, &err);
        flush_again(engine, engine->options.retry_cap_ms);
        return;
    }
    store_step(engine, FLUSH_OPENING, STORE_OPEN);
}

/* --------------------------------------------------------------------------------- failures */

static void undo(struct engine *engine, const struct err *err)
{
    engine->flush.err = *err;
    store_step(engine, FLUSH_UNDOING, STORE_UNDO);
}

static void no_memory(struct engine *engine)
{
    const struct err err = { ERR_RESOURCE, "memory", "no memory to judge and settle a flush" };
    undo(engine, &err);
}

static void failed(struct engine *engine, const struct err *err)
{
    if (err->action != ERR_LOST) {
        undo(engine, err);
        return;
    }
    engine_lost_connection(engine);
    setback_react(engine, err);
}

/* Some compare-and-set missed: those partitions are somebody else's; the rest goes on. */
static void fenced(struct engine *engine)
{
    const struct plan *plan = &engine->flush.planned.plan;
    for (size_t i = 0; i < plan->move_count; i++) {
        if (plan->moves[i].hit)
            continue;
        struct partition *partition = partition_find(&engine->partitions, plan->moves[i].tp);
        if (partition != NULL)
            engine_fence(engine, partition);
        else
            engine_drop(engine, plan->moves[i].tp);
    }
    engine->flush.isolation.active = false;
    const struct err none = { .action = ERR_NONE };
    undo(engine, &none);
}

/* ------------------------------------------------------------------------------- the commit */

static void count_flush(struct engine *engine)
{
    static const int64_t bounds[FLUSH_BUCKETS - 1] = { 1,   2,   5,   10,   20,  50,
                                                       100, 200, 500, 1000, 5000 };
    const struct flush *flush = &engine->flush;
    const struct plan *plan = &flush->planned.plan;
    struct engine_status *seen = &engine->seen;
    int64_t took_ms = engine->now_ms - flush->started_at_ms;
    size_t bucket = 0;
    while (bucket < FLUSH_BUCKETS - 1 && took_ms > bounds[bucket])
        bucket++;
    seen->flush_ms_buckets[bucket]++;
    seen->flush_ms_sum += (uint64_t)took_ms;
    seen->flushes++;
    seen->flush_events_sum += flush->planned.entry_count;
    seen->careful_attempts += plan->row_count;
    seen->fast_attempts += flush->planned.fold_count - plan->row_count;
    seen->letters += plan->letter_count;
    if (flush->tries == 0) /* otherwise it has waited for other things */
        pace_add(&engine->pace, flush->planned.entry_count, took_ms,
                 engine->now_ms < engine->live_until_ms ? PACE_LIVE_MS : PACE_BULK_MS);
    engine->last_flush_at_ms = engine->now_ms;
    engine->flushed_once = true;
    engine_note(engine, &(struct note){ .kind = NOTE_FLUSHED,
                                        .number = (int64_t)flush->planned.entry_count,
                                        .duration_ms = took_ms });
}

static void advance(struct engine *engine)
{
    const struct plan *plan = &engine->flush.planned.plan;
    for (size_t i = 0; i < plan->move_count; i++) {
        const struct ledger_move *move = &plan->moves[i];
        for (size_t k = 0; k < OUTCOME_COUNT; k++)
            engine->seen.outcomes[k] += (uint64_t)move->counts[k];
        engine->seen.gaps += (uint64_t)move->gaps;
        struct partition *partition = partition_find(&engine->partitions, move->tp);
        if (partition == NULL || partition->ledger.epoch != move->epoch ||
            partition->ledger.generation != move->generation)
            continue;
        partition->next_offset = move->new_next;
        partition_witness(partition, move->generation, move->new_next, engine->now_ms);
        engine->group_is_behind = true;
        if (partition->published_noted < move->published)
            partition->published_noted = move->published;
        if (move->has_anchor) {
            partition->has_anchor = true;
            partition->anchor = move->anchor;
        }
        /* What halted it may lie behind these records. */
        if (partition->state == PARTITION_RUNNING && partition->next_offset > partition->refused_at)
            engine_heal(engine, partition);
    }
    brake_committed(&engine->brake, &engine->partitions, plan);
}

/* The same for view.refresh, which has no row in the ledger. */
static void advance_refresh(struct engine *engine)
{
    const struct batch *batch = engine->flush.batch;
    for (size_t i = 0; i < batch->span_count; i++) {
        const struct span *span = &batch->spans[i];
        struct partition *partition = partition_find(&engine->partitions, span->tp);
        if (span->dropped || partition == NULL || partition_in_ledger(partition))
            continue;
        partition->next_offset = span->to;
        engine_heal(engine, partition);
    }
}

static void committed(struct engine *engine)
{
    engine_succeeded(engine);
    setback_over(engine);
    advance(engine);
    advance_refresh(engine);
    count_flush(engine);
    enter(engine, FLUSH_TELLING);
    engine->flush.announcement = (struct announcement){ 0 };
}

/* ------------------------------------------------------------------------- step after step */

static void close_plan(struct engine *engine)
{
    struct flush *flush = &engine->flush;
    struct planned *planned = &flush->planned;
    struct arena *arena = &flush->arena;
    if (!plan_settle(planned, arena)) {
        no_memory(engine);
        return;
    }
    for (size_t i = 0; i < planned->plan.submission_count; i++) {
        struct submission_row *row = &planned->plan.submissions[i];
        if (!canonical_digest(row->fold->answers, arena, &engine->digest_room, row->digest)) {
            no_memory(engine);
            return;
        }
    }
    store_step(engine, FLUSH_CLOSING, STORE_CLOSE);
}

static void opened(struct engine *engine)
{
    struct planned *planned = &engine->flush.planned;
    if (!plan_hits(&planned->plan)) {
        fenced(engine);
    } else if (!plan_opened(planned, &engine->flush.arena)) {
        no_memory(engine);
    } else if (planned->needs_lock) {
        store_step(engine, FLUSH_LOCKING, STORE_LOCK);
    } else {
        close_plan(engine);
    }
}

static void locked(struct engine *engine)
{
    struct planned *planned = &engine->flush.planned;
    if (!plan_judge(planned, &engine->flush.arena)) {
        no_memory(engine);
        return;
    }
    const struct plan *plan = &planned->plan;
    if (plan->new_row_count + plan->fill_count + plan->exact_fold_count > 0)
        store_step(engine, FLUSH_WRITING, STORE_WRITE);
    else
        close_plan(engine);
}

static void closed(struct engine *engine, bool ok, const struct err *err)
{
    struct flush *flush = &engine->flush;
    if (ok && flush->planned.plan.trial) {
        setback_isolate(engine, true, NULL);
    } else if (ok) {
        committed(engine);
    } else if (err->action == ERR_LOST && !flush->planned.plan.trial &&
               flush->planned.plan.move_count > 0) {
        /* Nobody knows yet whether it happened. The ledger does. */
        engine_lost_connection(engine);
        engine_failed(engine, err);
        enter(engine, FLUSH_UNKNOWN);
    } else {
        failed(engine, err);
    }
}

void flush_answered(struct engine *engine, bool ok, const struct err *err)
{
    struct flush *flush = &engine->flush;
    if (flush->state == FLUSH_CLOSING) {
        closed(engine, ok, err);
        return;
    }
    if (flush->state == FLUSH_UNDOING) {
        if (!ok)
            engine_lost_connection(engine);
        const struct err reason = flush->err;
        setback_react(engine, &reason);
        return;
    }
    if (!ok) {
        failed(engine, err);
        return;
    }
    switch (flush->state) {
    case FLUSH_OPENING:
        opened(engine);
        break;
    case FLUSH_LOCKING:
        locked(engine);
        break;
    case FLUSH_WRITING:
        close_plan(engine);
        break;
    default:
        break;
    }
}

/* ------------------------------------------------------------------- the unknown, and telling */

/* What the progress rows say: 1 committed, 0 not, -1 every partition has another owner now. */
static int read_resolution(const struct plan *plan, const struct resolution *items)
{
    for (size_t i = 0; i < plan->move_count; i++) {
        const struct ledger_move *move = &plan->moves[i];
        if (items[i].found && items[i].epoch == move->epoch &&
            items[i].generation == move->generation)
            return items[i].next_offset == move->new_next;
    }
    return -1;
}

/*
 * Of a partition that somebody else has claimed. One that is still read under that epoch is fenced,
 * or nobody would read again what is dropped here, if the claim was a zombie's.
 */
static void give_up_move(struct engine *engine, const struct ledger_move *move)
{
    struct partition *partition = partition_find(&engine->partitions, move->tp);
    if (partition != NULL && partition_reads(partition) && partition->ledger.epoch == move->epoch)
        engine_fence(engine, partition);
    else
        batch_drop(engine->flush.batch, move->tp);
}

void flush_resolved(struct engine *engine, bool ok, const struct err *err)
{
    struct flush *flush = &engine->flush;
    if (!ok) {
        if (err->action == ERR_LOST)
            engine_lost_connection(engine);
        engine_failed(engine, err);
        flush->not_before_ms = engine->now_ms + backoff_next_ms(&engine->backoff, &engine->rng);
        enter(engine, FLUSH_UNKNOWN);
        return;
    }
    engine->seen.resolved++;
    int verdict = read_resolution(&flush->planned.plan, engine->call.resolve.items);
    engine_note(engine, &(struct note){ .kind = NOTE_RESOLVED,
                                        .word = verdict == 1   ? "committed"
                                                : verdict == 0 ? "lost"
                                                               : "fenced" });
    if (verdict == 1) {
        committed(engine);
    } else if (verdict == 0) {
        flush_again(engine, 0);
    } else {
        /*
         * The new owners read from the ledger, and publish again what may be untold. Nobody reads
         * requests for views again while this worker goes on behind them: they are made once more.
         */
        for (size_t i = 0; i < flush->planned.plan.move_count; i++)
            give_up_move(engine, &flush->planned.plan.moves[i]);
        flush_again(engine, 0);
    }
}

static bool open_ticket(struct engine *engine)
{
    struct flush *flush = &engine->flush;
    const struct plan *plan = &flush->planned.plan;
    /* Asked first, because each announcement takes memory that only the end of the flush gives
     * back. */
    if (tickets_full(&engine->tickets))
        return false;
    if (!announce_plan(&flush->planned, &flush->arena, engine->secret, &flush->announcement))
        return false;
    if (!tickets_open(&engine->tickets, plan->move_count, &flush->announcement.ticket))
        return false;
    struct ticket *ticket = tickets_get(&engine->tickets, flush->announcement.ticket);
    for (size_t i = 0; i < plan->move_count; i++)
        ticket->spans[ticket->span_count++] =
            (struct ticket_span){ .tp = plan->moves[i].tp,
                                  .epoch = plan->moves[i].epoch,
                                  .published = plan->moves[i].new_next };
    flush->ticket_open = true;
    return true;
}

/* The group's offset of view.refresh: its requests are in the database now. */
static void commit_refresh(struct engine *engine)
{
    struct flush *flush = &engine->flush;
    for (size_t i = 0; i < flush->batch->span_count; i++) {
        const struct span *span = &flush->batch->spans[i];
        if (span->tp.topic == TOPIC_REFRESH && !span->dropped) {
            struct group_offset offset = { .tp = span->tp, .offset = span->to };
            engine->ports.source.commit(engine->ports.source.self, &offset, 1);
        }
    }
}

void flush_tell(struct engine *engine)
{
    struct flush *flush = &engine->flush;
    if (flush->state != FLUSH_TELLING || (!flush->ticket_open && !open_ticket(engine)))
        return;
    if (!announce_step(&engine->announcer, &flush->announcement))
        return;
    tickets_get(&engine->tickets, flush->announcement.ticket)->sealed = true;
    commit_refresh(engine);
    finish(engine);
}
