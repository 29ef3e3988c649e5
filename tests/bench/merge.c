/*
 * (c') The plain jsonb merge: the same batches as (c), folded by the same planner, written by the
 * best single statement (plain_merge.sql) on one connection: BEGIN, UPDATE, COMMIT in one round
 * trip, binary arrays, the next batch's parameters made while one is in flight.
 */
#include "tests/bench/batches.h"
#include "tests/bench/pq.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define MERGE "plain_merge.sql"

static void put_arrays(struct pg_params *params, const struct plan *plan)
{
    pg_params_clear(params);
    pg_array_begin(params, PG_UUID);
    for (size_t i = 0; i < plan->fold_count; i++)
        pg_array_uuid(params, &plan->folds[i]->attempt_id);
    pg_array_end(params);
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < plan->fold_count; i++)
        pg_array_int8(params, plan->folds[i]->expected_first);
    pg_array_end(params);
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < plan->fold_count; i++)
        pg_array_int8(params, plan->folds[i]->version);
    pg_array_end(params);
    pg_array_begin(params, PG_JSONB);
    for (size_t i = 0; i < plan->fold_count; i++)
        pg_array_jsonb(params, plan->folds[i]->patch);
    pg_array_end(params);
    pg_array_begin(params, PG_JSONB);
    for (size_t i = 0; i < plan->fold_count; i++)
        pg_array_jsonb(params, plan->folds[i]->auto_save_data);
    pg_array_end(params);
}

static void send_batch(PGconn *db, const struct pg_params *params)
{
    if (PQsendQueryPrepared(db, "begin", 0, NULL, NULL, NULL, 1) != 1)
        bench_fail("%s", PQerrorMessage(db));
    pq_send(db, MERGE, params);
    if (PQsendQueryPrepared(db, "commit", 0, NULL, NULL, NULL, 1) != 1 || PQpipelineSync(db) != 1)
        bench_fail("%s", PQerrorMessage(db));
    while (PQflush(db) == 1) {
        struct pollfd fd = { PQsocket(db), POLLIN | POLLOUT, 0 };
        (void)poll(&fd, 1, -1);
        if (fd.revents & POLLIN)
            (void)PQconsumeInput(db);
    }
}

/* Results up to the end of the pipeline; how many rows were written. */
static uint64_t receive_batch(PGconn *db)
{
    uint64_t rows = 0;
    for (;;) {
        PGresult *result = PQgetResult(db);
        if (result == NULL)
            continue; /* between two statements */
        ExecStatusType status = PQresultStatus(pq_check(db, result, MERGE));
        if (status == PGRES_TUPLES_OK)
            rows += (uint64_t)PQntuples(result);
        PQclear(result);
        if (status == PGRES_PIPELINE_SYNC)
            return rows;
    }
}

static uint64_t merge_shelf(PGconn *db, const struct shelf *shelf, struct pg_params params[2])
{
    uint64_t events = 0;
    for (size_t i = 0; i <= shelf->count; i++) {
        const struct plan *plan = i < shelf->count ? &shelf->items[i].planned.plan : NULL;
        if (plan != NULL)
            put_arrays(&params[i % 2], plan);
        if (i > 0) {
            const struct prepared *before = &shelf->items[i - 1];
            if (receive_batch(db) != before->planned.plan.fold_count)
                bench_fail("the merge did not write every row");
            events += before->batch.count;
        }
        if (plan != NULL)
            send_batch(db, &params[i % 2]);
    }
    return events;
}

void part_merge(const struct bench *bench)
{
    struct feed feed;
    struct ledger ledger;
    struct shelf shelf;
    struct pg_params params[2];
    int64_t wall_ns = 0, cpu_us = 0;
    uint64_t events = 0, rows = 0, flushes = 0;
    PGconn *db = pq_connect(bench);
    PQclear(pq_check(db, PQexec(db, "SET plan_cache_mode = force_generic_plan"), "SET"));
    PQclear(pq_check(db, PQprepare(db, "begin", "BEGIN", 0, NULL), "BEGIN"));
    PQclear(pq_check(db, PQprepare(db, "commit", "COMMIT", 0, NULL), "COMMIT"));
    pq_prepare(db, bench, MERGE);
    if (PQenterPipelineMode(db) != 1 || PQsetnonblocking(db, 1) != 0)
        bench_fail("%s", PQerrorMessage(db));
    pg_params_init(&params[0]);
    pg_params_init(&params[1]);
    feed_open(&feed, bench);
    ledger_init(&ledger, bench);
    shelf_init(&shelf);
    bool more = shelf_fill(&shelf, &feed, &ledger, bench->batch);
    bench_ready();
    while (more) {
        struct meter meter;
        meter_start(&meter);
        events += merge_shelf(db, &shelf, params);
        meter_stop(&meter);
        wall_ns += meter.wall_ns;
        cpu_us += meter.cpu_us;
        flushes += shelf.count;
        for (size_t i = 0; i < shelf.count; i++)
            rows += shelf.items[i].planned.plan.fold_count;
        more = shelf_fill(&shelf, &feed, &ledger, bench->batch);
    }
    const struct meter sum = { .wall_ns = wall_ns, .cpu_us = cpu_us };
    (void)printf("{");
    meter_print(&sum, events);
    (void)printf(",\"row_writes\":%llu,\"flushes\":%llu,\"statements\":%llu}\n",
                 (unsigned long long)rows, (unsigned long long)flushes,
                 (unsigned long long)flushes * 3);
    shelf_release(&shelf);
    ledger_release(&ledger);
    feed_close(&feed);
    pg_params_release(&params[0]);
    pg_params_release(&params[1]);
    PQfinish(db);
}
