/*
 * (c) The worker's own SQL alone: its store, fed with plans that were made beforehand. Everything
 * that a flush does is in it: the ledger, the row writes with event ids, submissions, activity,
 * outcomes. Only the time in which the store has work counts.
 */
#include "common/hash.h"
#include "tests/bench/batches.h"
#include "worker/events/canonical.h"
#include "worker/postgres/pg_store.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

struct writer {
    struct pg_store *store;
    struct store port;
    struct kafka_names names;
    struct buf digest_room;
};

static void run(struct writer *writer, struct store_call *call, const char *what)
{
    struct err err = { 0 };
    const struct pg_session *session = pg_store_session(writer->store);
    writer->port.start(writer->port.self, call);
    for (;;) {
        enum store_state state = writer->port.poll(writer->port.self, &err);
        if (state == STORE_OK)
            return;
        if (state == STORE_FAILED)
            bench_fail_err(what, &err);
        struct pollfd fd = { pg_session_fd(session), pg_session_events(session), 0 };
        int64_t wait_ms = pg_session_wait_ms(session);
        (void)poll(&fd, 1, wait_ms < 0 ? -1 : (int)wait_ms);
    }
}

static void step(struct writer *writer, struct prepared *prepared, enum store_step step,
                 const char *what)
{
    struct store_call call = { .step = step,
                               .arena = &prepared->arena,
                               .plan = &prepared->planned.plan };
    run(writer, &call, what);
}

static void connect_and_claim(struct writer *writer, struct ledger *ledger, const struct feed *feed)
{
    size_t count = 2 * (size_t)ledger->partitions;
    struct arena arena;
    struct claim *claims = calloc(count, sizeof *claims);
    if (claims == NULL)
        bench_fail("no memory for the claims");
    arena_init(&arena, 65536, 0);
    struct store_call call = { .step = STORE_CONNECT, .arena = &arena };
    run(writer, &call, "connecting");
    for (size_t i = 0; i < count; i++)
        claims[i] = (struct claim){ .tp = ledger->entries[i].tp, .may_create = true };
    call = (struct store_call){ .step = STORE_CLAIM, .arena = &arena, .claim = { claims, count } };
    run(writer, &call, "claiming the partitions");
    for (size_t i = 0; i < count; i++) {
        ledger->entries[i].generation = claims[i].generation;
        ledger->entries[i].epoch = claims[i].epoch;
        ledger->entries[i].published_offset = claims[i].published_offset;
        if (claims[i].next_offset != feed->from[claims[i].tp.topic][claims[i].tp.partition])
            bench_fail("the ledger does not stand where the segment begins");
    }
    arena_release(&arena);
    free(claims);
}

static void digest(struct writer *writer, struct prepared *prepared)
{
    struct plan *plan = &prepared->planned.plan;
    for (size_t i = 0; i < plan->submission_count; i++) {
        struct submission_row *row = &plan->submissions[i];
        if (!canonical_digest(row->fold->answers, &prepared->arena, &writer->digest_room,
                              row->digest))
            bench_fail("no memory for a digest");
    }
}

/* The order of worker/engine/flush.c. Returns how many records were applied. */
static uint64_t flush(struct writer *writer, struct prepared *prepared)
{
    struct planned *planned = &prepared->planned;
    uint64_t applied = 0;
    step(writer, prepared, STORE_OPEN, "opening");
    if (!plan_hits(&planned->plan))
        bench_fail("another owner of the ledger");
    if (!plan_opened(planned, &prepared->arena))
        bench_fail("no memory to judge");
    if (planned->needs_lock) {
        step(writer, prepared, STORE_LOCK, "locking");
        if (!plan_judge(planned, &prepared->arena))
            bench_fail("no memory to judge");
        step(writer, prepared, STORE_WRITE, "writing");
    }
    if (!plan_settle(planned, &prepared->arena))
        bench_fail("no memory to settle");
    digest(writer, prepared);
    step(writer, prepared, STORE_CLOSE, "closing");
    for (size_t i = 0; i < planned->plan.move_count; i++)
        applied += (uint64_t)planned->plan.moves[i].counts[OUTCOME_APPLIED];
    return applied;
}

static void add(struct meter *sum, const struct meter *part)
{
    sum->wall_ns += part->wall_ns;
    sum->cpu_us += part->cpu_us;
}

void part_store(const struct bench *bench)
{
    struct writer writer;
    struct pg_store_options options = { .owner = "bench" };
    struct err err = { 0 };
    struct feed feed;
    struct ledger ledger;
    struct shelf shelf;
    struct meter sum = { 0 };
    uint64_t applied = 0, rows = 0, flushes = 0;
    if (!kafka_names_init(&writer.names, bench->prefix, &err))
        bench_fail_err("topics", &err);
    options.session = pg_session_options_default();
    options.session.conninfo = bench->database;
    for (int i = 0; i < TOPIC_COUNT; i++)
        options.topics[i] = writer.names.topics[i];
    writer.store = pg_store_new(&options);
    if (writer.store == NULL)
        bench_fail("no memory for the store");
    writer.port = pg_store_port(writer.store);
    buf_init(&writer.digest_room, (size_t)64 << 20);
    feed_open(&feed, bench);
    ledger_init(&ledger, bench);
    connect_and_claim(&writer, &ledger, &feed);
    shelf_init(&shelf);
    bool more = shelf_fill(&shelf, &feed, &ledger, bench->batch);
    bench_ready();
    while (more) {
        struct meter meter;
        meter_start(&meter);
        for (size_t i = 0; i < shelf.count; i++, flushes++) {
            rows += shelf.items[i].planned.plan.fold_count;
            applied += flush(&writer, &shelf.items[i]);
        }
        meter_stop(&meter);
        add(&sum, &meter);
        more = shelf_fill(&shelf, &feed, &ledger, bench->batch);
    }
    (void)printf("{");
    meter_print(&sum, applied);
    (void)printf(",\"row_writes\":%llu,\"flushes\":%llu}\n", (unsigned long long)rows,
                 (unsigned long long)flushes);
    shelf_release(&shelf);
    ledger_release(&ledger);
    feed_close(&feed);
    buf_release(&writer.digest_room);
    pg_store_free(writer.store);
}
