/*
 * From the log into the batch: news of the group, the checks before a partition may run, and the
 * reading itself, a bounded share of each partition in turn.
 */
#include "worker/engine/core.h"

#define SURVEY_RETRY_MS 1000
#define SUSPECT_MIN_MS  5000

/*
 * Records taken from one partition before the next has its turn, and in one step altogether. A
 * batch has room for the shares of eight partitions at least: where the database is so slow that
 * batches are small, shares are smaller.
 */
#define READ_SHARE   256
#define READ_STEP    8192
#define BATCH_SHARES 8

/*
 * A submit's batch is due at once. While it has to wait for the one in flight, it takes in so many
 * records more of partitions that had their share already: a submit does not wait for a backlog,
 * and a rush of nothing but submits still makes large batches.
 */
#define SUBMIT_COMPANY 1024

/* How long after a submit, in a partition without a backlog, the next one is expected. */
#define LIVE_MS 60000

/* ------------------------------------------------------------------------------------- news */

static void forget_assignment(struct engine *engine)
{
    for (size_t i = 0; i < engine->partitions.count; i++)
        engine_note_partition(engine, NOTE_RELEASED, &engine->partitions.items[i], NULL, NULL);
    batch_drop_all(&engine->batches[0]);
    batch_drop_all(&engine->batches[1]);
    batch_clear_if_void(engine->filling);
    recall_discard(&engine->recall, &engine->tickets);
    partition_table_clear(&engine->partitions);
    engine->reassign = false;
}

/* The group tells an assignment once: without memory for it no other news is heard. */
static bool place_assignment(struct engine *engine)
{
    const struct source_event *news = &engine->unplaced;
    if (news->kind == SOURCE_NOTHING)
        return true;
    if (!partition_table_assign(&engine->partitions, news->tps, news->tp_count)) {
        const struct err err = { ERR_RESOURCE, "memory", "no memory for the assignment" };
        engine_trouble(engine, &err);
        return false;
    }
    engine->unplaced.kind = SOURCE_NOTHING;
    engine->survey_not_before_ms = engine->now_ms;
    engine->reassign = true;
    return true;
}

/* view.refresh has no row in the ledger: the group's offset is enough, from the start without. */
static void start_refresh(struct engine *engine, struct partition *partition)
{
    bool known = partition->has_committed && partition->committed >= partition->log_low &&
                 partition->committed <= partition->log_end;
    partition->position = known ? partition->committed : partition->log_low;
    partition->next_offset = partition->position;
    partition_set(partition, PARTITION_RUNNING);
    engine->reassign = true;
}

static void surveyed(struct engine *engine, const struct source_event *news)
{
    engine->survey_running = false;
    for (size_t i = 0; i < news->fact_count; i++) {
        const struct log_facts *facts = &news->facts[i];
        struct partition *partition = partition_find(&engine->partitions, facts->tp);
        if (partition == NULL || partition->state != PARTITION_SURVEYING)
            continue;
        partition->log_low = facts->low;
        partition->log_end = facts->high;
        partition->has_committed = facts->has_committed;
        partition->committed = facts->committed;
        partition->witness_told = partition_take_witness(partition, &facts->witness);
        if (partition_in_ledger(partition))
            partition_set(partition, PARTITION_CLAIMING);
        else
            start_refresh(engine, partition);
    }
}

static void suspect(struct engine *engine, const struct source_event *news)
{
    for (size_t i = 0; i < engine->partitions.count; i++) {
        struct partition *partition = &engine->partitions.items[i];
        if (partition_reads(partition) && (!news->has_tp || tp_equal(partition->tp, news->tp)))
            partition->suspected = true;
    }
}

/* Not too often: a flapping broker must not turn all work into comparing anchors. */
static void start_suspects_over(struct engine *engine)
{
    if (engine->now_ms < engine->suspect_not_before_ms)
        return;
    for (size_t i = 0; i < engine->partitions.count; i++) {
        struct partition *partition = &engine->partitions.items[i];
        if (!partition->suspected || !partition_reads(partition))
            continue;
        engine->suspect_not_before_ms = engine->now_ms + SUSPECT_MIN_MS;
        engine_start_over(engine, partition);
    }
}

/* What came before the unreadable record is applied first: the halt would drop it. */
static void halt_if_corrupt(struct engine *engine, struct partition *partition)
{
    bool waits = partition->state == PARTITION_RUNNING && partition_in_ledger(partition) &&
                 partition->position > partition->next_offset;
    if (partition->corrupt && !waits)
        engine_halt(engine, partition, "corrupt", &partition->corrupt_err);
}

static void stopped(struct engine *engine, const struct source_event *news)
{
    struct partition *partition = partition_find(&engine->partitions, news->tp);
    if (partition == NULL || !partition_reads(partition))
        return;
    if (strcmp(news->err.code, "corrupt") == 0) {
        partition->corrupt = true;
        partition->corrupt_err = news->err;
        halt_if_corrupt(engine, partition);
    } else { /* out of range and the like: the survey will tell which */
        engine_start_over(engine, partition);
    }
}

void intake_news(struct engine *engine)
{
    struct source *source = &engine->ports.source;
    while (place_assignment(engine)) {
        struct source_event news = { .kind = SOURCE_NOTHING };
        source->next(source->self, &news);
        switch (news.kind) {
        case SOURCE_NOTHING:
            return;
        case SOURCE_ASSIGNED:
            forget_assignment(engine);
            engine->unplaced = news;
            break;
        case SOURCE_REVOKED:
            forget_assignment(engine);
            break;
        case SOURCE_SURVEYED:
            surveyed(engine, &news);
            break;
        case SOURCE_SURVEY_FAILED:
            engine->survey_running = false;
            engine->survey_not_before_ms = engine->now_ms + SURVEY_RETRY_MS;
            engine_trouble(engine, &news.err);
            break;
        case SOURCE_SUSPECT:
            suspect(engine, &news);
            break;
        case SOURCE_STOPPED:
            stopped(engine, &news);
            break;
        case SOURCE_TROUBLE:
            engine_trouble(engine, &news.err);
            break;
        }
    }
}

/* ------------------------------------------------------------------ before a partition may run */

void intake_survey(struct engine *engine)
{
    if (engine->survey_running || engine->now_ms < engine->survey_not_before_ms)
        return;
    size_t count = 0;
    for (size_t i = 0; i < engine->partitions.count; i++)
        count += engine->partitions.items[i].state == PARTITION_SURVEYING;
    if (count == 0)
        return;
    struct arena *arena = &engine->source_arena;
    arena_reset(arena);
    struct tp *tps = arena_calloc(arena, count, sizeof *tps);
    if (tps == NULL)
        return;
    count = 0;
    for (size_t i = 0; i < engine->partitions.count; i++)
        if (engine->partitions.items[i].state == PARTITION_SURVEYING)
            tps[count++] = engine->partitions.items[i].tp;
    struct err err;
    struct source *source = &engine->ports.source;
    engine->survey_running = source->survey(source->self, tps, count, &err);
    if (!engine->survey_running) {
        engine->survey_not_before_ms = engine->now_ms + SURVEY_RETRY_MS;
        engine_trouble(engine, &err);
    }
}

void intake_assign(struct engine *engine)
{
    if (!engine->reassign)
        return;
    struct arena *arena = &engine->source_arena;
    arena_reset(arena);
    struct position *positions =
        arena_calloc(arena, engine->partitions.count + 1, sizeof *positions);
    if (positions == NULL)
        return;
    size_t count = 0;
    for (size_t i = 0; i < engine->partitions.count; i++) {
        struct partition *partition = &engine->partitions.items[i];
        partition->assigned = partition_reads(partition);
        if (partition->assigned)
            positions[count++] = (struct position){ partition->tp, partition->position };
    }
    struct err err;
    struct source *source = &engine->ports.source;
    engine->reassign = false;
    if (!source->assign(source->self, positions, count, &err)) {
        for (size_t i = 0; i < engine->partitions.count; i++)
            engine->partitions.items[i].assigned = false;
        engine->reassign = true;
        engine_trouble(engine, &err);
    }
}

void intake_look_again(struct engine *engine)
{
    for (size_t i = 0; i < engine->partitions.count; i++) {
        struct partition *partition = &engine->partitions.items[i];
        if (partition->halt != NULL && engine->now_ms - partition->noted_at_ms >= HALT_NOTE_MS) {
            partition->noted_at_ms = engine->now_ms;
            engine_note_partition(engine, NOTE_HALTED, partition, partition->halt,
                                  &partition->halt_err);
        }
        halt_if_corrupt(engine, partition);
        bool waits = partition->state == PARTITION_FENCED || partition->state == PARTITION_HALTED;
        if (waits && engine->now_ms >= partition->look_again_ms)
            partition_set(partition, PARTITION_SURVEYING);
    }
    start_suspects_over(engine);
}

/* -------------------------------------------------------------------------- publishing again */

/* Somebody has put the ledger ahead: what lies between would be lost in silence. */
static bool halt_ahead(struct engine *engine, struct partition *partition,
                       const struct record *record)
{
    engine_halt_for(
        engine, partition, "anchor",
        "the ledger is at offset %lld, but the last record it applied is at offset %lld, and there "
        "is one at offset %lld: accept-gap --skip-to %lld loses nothing",
        (long long)partition->next_offset, (long long)partition->anchor.offset,
        (long long)record->offset, (long long)record->offset);
    return false;
}

/* The last record before next_offset must be the one that was applied last. */
static bool anchor_agrees(struct engine *engine, struct partition *partition,
                          const struct record *record)
{
    if (!partition->has_anchor || record->offset < partition->anchor.offset)
        return true;
    if (!partition->anchor_pending)
        return record->offset == partition->anchor.offset || halt_ahead(engine, partition, record);
    struct anchor seen = { .offset = record->offset, .timestamp_ms = record->timestamp_ms };
    record_hash(record, seen.hash);
    partition->anchor_pending = false;
    if (seen.offset == partition->anchor.offset &&
        seen.timestamp_ms == partition->anchor.timestamp_ms &&
        memcmp(seen.hash, partition->anchor.hash, sizeof seen.hash) == 0)
        return true;
    engine_halt_for(engine, partition, "anchor",
                    "the log holds another record where the last applied one was, at offset %lld",
                    (long long)partition->anchor.offset);
    return false;
}

static bool recall_ready(struct engine *engine, struct partition *partition)
{
    struct recall_list *recall = &engine->recall;
    if (partition->recall_from >= partition->next_offset && !partition->log_was_cut)
        return true; /* only the anchor is to be compared */
    if (recall->state == RECALL_IDLE && !recall_begin(recall, &engine->tickets, engine->now_ms))
        return false;
    return recall->state == RECALL_COLLECTING && recall_has_room(recall) &&
           recall_open(recall, &partition->ledger, partition->recall_from, partition->log_was_cut);
}

static void recall_done(struct engine *engine, struct partition *partition)
{
    if (partition->anchor_pending) {
        engine_halt_for(engine, partition, "anchor",
                        "the last applied record, at offset %lld, is no longer in the log",
                        (long long)partition->anchor.offset);
        return;
    }
    recall_extend(&engine->recall, &partition->ledger, partition->next_offset);
    partition->recall_from = partition->next_offset;
    partition->log_was_cut = false;
    partition->position = partition->next_offset;
    partition_set(partition, PARTITION_RUNNING);
    partition->assigned = true;
}

/* A record below next_offset. False: it must be read again. */
static bool take_recalled(struct engine *engine, struct partition *partition,
                          const struct record *record)
{
    if (!anchor_agrees(engine, partition, record))
        return true;
    if (record->offset >= partition->recall_from) {
        if (!recall_add(&engine->recall, record, &engine->options.limits))
            return false;
        partition->recall_from = record->offset + 1;
        engine->seen.records_republished++;
    }
    partition->position = record->offset + 1;
    if (partition->position >= partition->next_offset)
        recall_done(engine, partition);
    return true;
}

/* ----------------------------------------------------------------------------------- reading */

static bool take_running(struct engine *engine, struct partition *partition,
                         const struct record *record)
{
    if (record->offset < partition->position)
        return true; /* the library went back: this one is in a batch already */
    if (!batch_add(engine->filling, record, partition->position, &engine->options.limits,
                   engine->now_ms))
        return false;
    partition->position = record->offset + 1;
    if (partition->log_end < partition->position)
        partition->log_end = partition->position;
    engine->seen.records_read++;
    if (partition->caught_up && engine->filling->last->event.type == EVENT_SUBMITTED)
        engine->live_until_ms = engine->now_ms + LIVE_MS;
    return true;
}

static bool take_record(struct engine *engine, struct partition *partition,
                        const struct record *record)
{
    if (partition->state == PARTITION_RECALLING) {
        if (record->offset < partition->next_offset)
            return take_recalled(engine, partition, record);
        recall_done(engine, partition);
    }
    if (partition->state == PARTITION_RUNNING)
        return take_running(engine, partition, record);
    return true;
}

static bool take_end(struct engine *engine, struct partition *partition, int64_t end)
{
    partition->log_end = end;
    partition->caught_up = true;
    if (partition->state == PARTITION_RECALLING) {
        if (end < partition->next_offset) {
            engine_halt_for(engine, partition, "log_end", LOG_ENDS_EARLY,
                            (long long)partition->next_offset, (long long)end);
            return true;
        }
        recall_done(engine, partition);
    }
    if (partition->state != PARTITION_RUNNING || end <= partition->position) {
        if (partition->state == PARTITION_RUNNING && partition->position == partition->next_offset)
            engine_heal(engine, partition); /* nothing is left that could be refused */
        return true;
    }
    if (!batch_pass(engine->filling, partition->tp, partition->position, end, engine->now_ms))
        return false;
    partition->position = end;
    return true;
}

static size_t share_of(const struct engine *engine)
{
    size_t share = engine_batch_max(engine) / BATCH_SHARES;
    return share < 1 ? 1 : share > READ_SHARE ? READ_SHARE : share;
}

/* How large the filling batch may become with records of one partition. */
struct room {
    size_t events, bytes;
};

/*
 * Who has had a share of this batch leaves the last eighth of it to those who have not: however
 * large a backlog is, what comes into a partition that was idle is read into the next batch.
 */
static struct room room_for(struct engine *engine, const struct partition *partition, size_t share)
{
    struct batch *batch = engine->filling;
    struct room room = { engine_batch_max(engine), engine->options.batch_bytes_max };
    const struct span *span = batch_span(batch, partition->tp);
    if (span == NULL || (size_t)(span->to - span->from) < share)
        return room;
    room.events -= room.events / BATCH_SHARES;
    room.bytes -= room.bytes / BATCH_SHARES;
    if (batch->submit_at > 0 && room.events > batch->submit_at + SUBMIT_COMPANY)
        room.events = batch->submit_at + SUBMIT_COMPANY;
    return room;
}

static bool may_take(struct engine *engine, const struct room *room)
{
    if (engine->filling->count < room->events && batch_bytes(engine->filling) < room->bytes)
        return true;
    engine->throttled = true;
    return false;
}

/* Reads one partition's share. Returns how many records it took. */
static size_t read_share(struct engine *engine, struct partition *partition)
{
    struct source *source = &engine->ports.source;
    const size_t share = share_of(engine);
    const struct room room = room_for(engine, partition, share);
    for (size_t taken = 0; taken < share; taken++) {
        if (!partition->assigned || !partition_reads(partition))
            return taken;
        if (partition->state == PARTITION_RECALLING ? !recall_ready(engine, partition)
                                                    : !may_take(engine, &room))
            return taken;
        struct record record;
        int64_t end = 0;
        bool ok = true;
        switch (source->read(source->self, partition->tp, &record, &end)) {
        case READ_NOTHING:
            return taken;
        case READ_RECORD:
            ok = take_record(engine, partition, &record);
            break;
        case READ_END:
            ok = take_end(engine, partition, end);
            break;
        }
        if (!ok) {
            const struct err err = { ERR_RESOURCE, "memory", "no memory for another record" };
            engine_trouble(engine, &err);
            engine->reassign = true; /* it was taken from the queue: read it again */
            return taken;
        }
    }
    partition->caught_up = false; /* there may be much more */
    return share;
}

void intake_read(struct engine *engine)
{
    size_t count = engine->partitions.count;
    engine->throttled = false; /* who may not read now must not be called at once for it */
    if (count == 0 || engine->stopping || engine->reassign ||
        engine->breaker.state != BREAKER_CLOSED)
        return;
    size_t taken = 0, idle = 0;
    while (idle < count && taken < READ_STEP && !engine->reassign) {
        struct partition *partition = &engine->partitions.items[engine->turn++ % count];
        size_t share = read_share(engine, partition);
        taken += share;
        idle = share == 0 ? idle + 1 : 0;
    }
    engine->more = taken >= READ_STEP;
}
