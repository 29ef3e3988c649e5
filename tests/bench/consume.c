/*
 * (a) librdkafka consuming alone, and (b) the same with everything that the worker does in memory:
 * copy, decode, fold, plan. No database, no messages to the world.
 */
#include "tests/bench/batches.h"
#include "tests/bench/consumer.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>

static void finish(struct meter *meter, uint64_t events, uint64_t writes)
{
    meter_stop(meter);
    (void)printf("{");
    meter_print(meter, events);
    (void)printf(",\"thread_cpu_us\":%lld,\"row_writes\":%llu}\n",
                 (long long)(meter->thread_ns / 1000), (unsigned long long)writes);
}

void part_consume(const struct bench *bench)
{
    struct feed feed;
    struct meter meter;
    rd_kafka_message_t *message;
    struct tp tp;
    uint64_t events = 0;
    feed_open(&feed, bench);
    struct consumer *consumer = consumer_new(bench, &feed);
    bench_ready();
    meter_start(&meter);
    consumer_start(consumer);
    for (; consumer_next(consumer, &message, &tp); events++)
        rd_kafka_message_destroy(message);
    finish(&meter, events, 0);
    consumer_free(consumer);
    feed_close(&feed);
}

void part_fold(const struct bench *bench)
{
    struct feed feed;
    struct meter meter;
    struct prepared prepared;
    rd_kafka_message_t *message;
    struct tp tp;
    uint64_t events = 0, writes = 0;
    feed_open(&feed, bench);
    struct consumer *consumer = consumer_new(bench, &feed);
    struct ledger ledger;
    ledger_init(&ledger, bench);
    prepared_init(&prepared);
    bench_ready();
    meter_start(&meter);
    consumer_start(consumer);
    for (bool more = true; more;) {
        more = consumer_next(consumer, &message, &tp);
        if (more) {
            struct record record;
            consumer_map(consumer, message, tp, &record);
            prepared_add(&prepared, &record);
            rd_kafka_message_destroy(message);
            events++;
        }
        if (prepared.batch.count == bench->batch || (!more && prepared.batch.count > 0)) {
            prepared_plan(&prepared, &ledger);
            writes += prepared.planned.plan.fold_count;
            prepared_clear(&prepared);
        }
    }
    finish(&meter, events, writes);
    prepared_release(&prepared);
    ledger_release(&ledger);
    consumer_free(consumer);
    feed_close(&feed);
}

/* What decoding and folding cost by themselves: the same records again and again, from memory. */
void part_decode(const struct bench *bench)
{
    enum { ROUNDS = 5 };
    struct feed feed;
    struct ledger ledger;
    struct prepared source, work;
    struct meter meter;
    uint64_t events = 0;
    feed_open(&feed, bench);
    ledger_init(&ledger, bench);
    prepared_init(&source);
    prepared_init(&work);
    prepared_fill(&source, &feed, bench->batch);
    bench_ready();
    meter_start(&meter);
    for (int round = 0; round < ROUNDS; round++) {
        for (const struct entry *e = source.batch.first; e != NULL; e = e->next, events++)
            prepared_add(&work, &e->record);
        prepared_plan(&work, &ledger);
        prepared_clear(&work);
    }
    finish(&meter, events, 0);
    prepared_release(&source);
    prepared_release(&work);
    ledger_release(&ledger);
    feed_close(&feed);
}
