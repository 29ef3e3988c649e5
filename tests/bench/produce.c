/* What goes into the servers: topics, the table's rows for COPY, a segment of the log for Kafka. */
#include "common/buf.h"
#include "tests/bench/bench.h"
#include "worker/kafka/kafka_client.h"

#include <stdio.h>

#define FLUSH_TIMEOUT_MS 120000

static void put_uuid(struct uuid id, char end)
{
    char text[UUID_TEXT_LEN + 1];
    (void)printf("%s%c", uuid_format(&id, text), end);
}

/* id, exam_id, student_id, answers; nothing in them needs an escape. */
void part_rows(const struct bench *bench)
{
    struct buf answers;
    buf_init(&answers, 1 << 20);
    for (uint32_t i = 0; i < bench->flood.attempts; i++) {
        buf_clear(&answers);
        flood_put_document(&bench->flood, i, &answers);
        put_uuid(flood_attempt_id(&bench->flood, i), '\t');
        put_uuid(flood_exam_id(&bench->flood, i), '\t');
        put_uuid(flood_student_id(&bench->flood, i), '\t');
        (void)printf("%.*s\n", (int)answers.len, answers.ptr);
    }
    if (answers.failed || fflush(stdout) != 0 || ferror(stdout))
        bench_fail("cannot write the rows");
    buf_release(&answers);
}

void part_topics(const struct bench *bench)
{
    struct err err = { 0 };
    struct kafka_names names;
    if (!kafka_names_init(&names, bench->prefix, &err))
        bench_fail_err("topics", &err);
    struct kafka_options options = { .bootstrap_servers = bench->brokers,
                                     .group = "bench",
                                     .names = &names };
    struct kafka_admin *admin = kafka_admin_new(&options, &err);
    bool done = admin != NULL;
    for (int i = 0; done && i < TOPIC_COUNT; i++)
        done = kafka_admin_create(admin, names.topics[i],
                                  i == TOPIC_REFRESH ? 1 : bench->flood.partitions, NULL, 0, &err);
    for (int i = 0; done && i < OUTLET_COUNT; i++)
        done = kafka_admin_create(admin, names.outlets[i], bench->flood.partitions, NULL, 0, &err);
    if (!done)
        bench_fail_err("making topics", &err);
    (void)printf("{\"topics\":%d}\n", TOPIC_COUNT + OUTLET_COUNT);
    kafka_admin_free(admin);
}

static void send_all(struct kafka_producer *producer, const struct kafka_names *names,
                     struct flood *flood, uint64_t *ret_bytes)
{
    struct flood_event event;
    struct record record;
    struct err err = { 0 };
    while (flood_next(flood, &event)) {
        if (!flood_render(flood, &event, &record))
            bench_fail("no memory for an event");
        struct kafka_outgoing outgoing = { .topic = names->topics[record.tp.topic],
                                           .partition = record.tp.partition,
                                           .key = record.key,
                                           .value = record.value,
                                           .headers = record.headers,
                                           .header_count = record.header_count };
        if (!kafka_producer_send(producer, &outgoing, &err))
            bench_fail_err("cannot send", &err);
        *ret_bytes += record.value.len;
    }
}

void part_load(const struct bench *bench)
{
    static const char *const properties[] = { "compression.codec=lz4", "linger.ms=20" };
    struct err err = { 0 };
    struct kafka_names names;
    struct feed feed;
    struct meter meter;
    uint64_t bytes = 0;
    if (!kafka_names_init(&names, bench->prefix, &err))
        bench_fail_err("topics", &err);
    struct kafka_options options = { .bootstrap_servers = bench->brokers,
                                     .group = "bench",
                                     .names = &names,
                                     .properties = properties,
                                     .property_count = 2 };
    feed_open(&feed, bench);
    struct kafka_producer *producer = kafka_producer_new(&options, &err);
    if (producer == NULL)
        bench_fail_err("cannot reach Kafka", &err);
    meter_start(&meter);
    send_all(producer, &names, feed.flood, &bytes);
    if (!kafka_producer_flush(producer, FLUSH_TIMEOUT_MS, &err))
        bench_fail_err("Kafka did not take every event", &err);
    meter_stop(&meter);
    (void)printf("{");
    meter_print(&meter, feed.events);
    (void)printf(",\"value_bytes\":%llu,\"end\":%lld}\n", (unsigned long long)bytes,
                 (long long)feed_total(&feed, bench, true));
    kafka_producer_free(producer);
    feed_close(&feed);
}
