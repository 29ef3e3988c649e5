/*
 * (d) A naive worker, one transaction an event, written as a careful person would write it in C:
 * librdkafka, libpq, prepared statements with binary parameters, the same decoder as the worker's.
 * BEGIN; remember the event's id; UPDATE the row if its version fits; COMMIT; one after the other.
 * Offsets are committed now and then: what is read again after a crash is known by its id.
 */
#include "tests/bench/consumer.h"
#include "tests/bench/pq.h"
#include "worker/events/decode.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>

#define COMMIT_EVERY 1000

struct naive {
    PGconn *db;
    struct pg_params params;
    uint64_t statements, rows;
};

/* Executes and waits; how many rows it touched. */
static int execute(struct naive *naive, const char *name)
{
    const char *values[PG_PARAMS_MAX];
    int formats[PG_PARAMS_MAX];
    const struct pg_params *params = &naive->params;
    for (size_t i = 0; i < params->count; i++) {
        values[i] = params->lengths[i] < 0 ? NULL : params->bytes.ptr + params->starts[i];
        formats[i] = 1;
    }
    PGresult *result = pq_check(
        naive->db,
        PQexecPrepared(naive->db, name, (int)params->count, values, params->lengths, formats, 1),
        name);
    int rows = 0;
    for (const char *digit = PQcmdTuples(result); *digit != '\0'; digit++)
        rows = rows * 10 + (*digit - '0');
    PQclear(result);
    naive->statements++;
    pg_params_clear(&naive->params);
    return rows;
}

static void put_time(struct pg_params *params, bool there, int64_t at_us)
{
    const int64_t from_1970_to_2000_us = 946684800000000;
    pg_put_int8(params, at_us - from_1970_to_2000_us);
    if (!there)
        params->lengths[params->count - 1] = -1;
}

static void write_event(struct naive *naive, const struct event *event)
{
    struct pg_params *params = &naive->params;
    switch (event->type) {
    case EVENT_STARTED:
        pg_put_uuid(params, &event->attempt_id);
        pg_put_uuid(params, &event->started.exam_id);
        pg_put_uuid(params, &event->started.student_id);
        naive->rows += (uint64_t)execute(naive, "naive_start.sql");
        return;
    case EVENT_SAVED:
    case EVENT_SUBMITTED:
        pg_put_uuid(params, &event->attempt_id);
        pg_put_int8(params, event->write.expected_version);
        pg_put_jsonb(params, event->write.answers);
        pg_put_jsonb(params, event->write.auto_save_data);
        put_time(params, event->type == EVENT_SUBMITTED, event->write.at_us);
        naive->rows += (uint64_t)execute(naive, "naive_save.sql");
        return;
    case EVENT_ACTIVITY:
        for (size_t i = 0; i < event->activity.count; i++) {
            const struct activity *item = &event->activity.items[i];
            pg_put_uuid(params, &item->event_id);
            pg_put_uuid(params, &event->attempt_id);
            pg_put_text(params, item->event_type);
            pg_put_jsonb(params, item->payload);
            put_time(params, true, item->occurred_at_us);
            naive->rows += (uint64_t)execute(naive, "naive_activity.sql");
        }
        return;
    case EVENT_REFRESH:
        return;
    }
}

static void settle(struct naive *naive, const struct event *event)
{
    pg_params_clear(&naive->params);
    (void)execute(naive, "begin");
    pg_put_uuid(&naive->params, &event->event_id);
    if (execute(naive, "naive_event.sql") == 1)
        write_event(naive, event);
    (void)execute(naive, "commit");
}

static void open_database(struct naive *naive, const struct bench *bench)
{
    static const char *const files[] = { "naive_event.sql", "naive_start.sql", "naive_save.sql",
                                         "naive_activity.sql" };
    naive->db = pq_connect(bench);
    PQclear(pq_check(naive->db, PQprepare(naive->db, "begin", "BEGIN", 0, NULL), "BEGIN"));
    PQclear(pq_check(naive->db, PQprepare(naive->db, "commit", "COMMIT", 0, NULL), "COMMIT"));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        pq_prepare(naive->db, bench, files[i]);
    pg_params_init(&naive->params);
}

void part_naive(const struct bench *bench)
{
    struct naive naive = { 0 };
    struct decode_limits limits = decode_limits_default();
    struct arena arena;
    struct feed feed;
    struct meter meter;
    rd_kafka_message_t *message;
    struct tp tp;
    uint64_t events = 0;
    arena_init(&arena, 65536, 0);
    open_database(&naive, bench);
    feed_open(&feed, bench);
    struct consumer *consumer = consumer_new(bench, &feed);
    bench_ready();
    meter_start(&meter);
    int64_t end_ns = meter.wall_ns + (int64_t)(bench->seconds * 1e9);
    consumer_start(consumer);
    while ((bench->events == 0 || events < bench->events) &&
           (bench->seconds == 0 || now_ns() < end_ns) && consumer_next(consumer, &message, &tp)) {
        struct record record;
        struct event event;
        struct refusal refusal;
        consumer_map(consumer, message, tp, &record);
        if (decode(&record, &limits, &arena, &event, &refusal) != DECODE_EVENT)
            bench_fail("an event that cannot be decoded");
        settle(&naive, &event);
        arena_reset(&arena);
        if (++events % COMMIT_EVERY == 0)
            consumer_commit(consumer);
        rd_kafka_message_destroy(message);
    }
    consumer_commit(consumer);
    meter_stop(&meter);
    /* librdkafka reads far ahead of so slow a worker: its threads' work is not of these events. */
    meter.cpu_us = meter.thread_ns / 1000;
    (void)printf("{");
    meter_print(&meter, events);
    (void)printf(",\"row_writes\":%llu,\"statements\":%llu}\n", (unsigned long long)naive.rows,
                 (unsigned long long)naive.statements);
    consumer_free(consumer);
    feed_close(&feed);
    pg_params_release(&naive.params);
    arena_release(&arena);
    PQfinish(naive.db);
}
