/*
 * Latency, open loop: events are sent when the schedule says, however late the answers are, and
 * each latency counts from the moment at which the event should have been sent. So a stall counts
 * against every event that it delayed (no coordinated omission).
 *
 * Three observers, a thread each: the ledger, asked every other millisecond (the row is visible
 * when its transaction has moved the ledger); a consumer of cache.invalidations; and a stranger who
 * commits one row now and then, which says what PostgreSQL's own commit costs under this load.
 */
#include "tests/bench/consumer.h"
#include "tests/bench/pending.h"
#include "tests/bench/pq.h"
#include "worker/kafka/kafka_producer.h"

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_MS    2
#define COMMIT_MS  20
#define TICK_MS    1
#define WARM_SHARE 10 /* the first tenth does not count */
#define DRAIN_S    60
#define NS_PER_S   1000000000
#define NS_PER_MS  1000000

struct latency {
    const struct bench *bench;
    struct feed feed;
    struct pending pending;
    struct kafka_names names;
    struct kafka_producer *producer;
    rd_kafka_t *listener;
    PGconn *looker, *stranger;
    struct hist commit;
    atomic_bool over;
};

static void sleep_ms(int64_t ms)
{
    (void)nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * NS_PER_MS }, NULL);
}

/* --------------------------------------------------------------------------------- observers */

static void *look(void *arg)
{
    struct latency *l = arg;
    while (!atomic_load(&l->over)) {
        PGresult *result = pq_check(
            l->looker, PQexecPrepared(l->looker, "look", 0, NULL, NULL, NULL, 0), "looking");
        int64_t now = now_ns();
        for (int row = 0; row < PQntuples(result); row++)
            pending_seen(&l->pending, (int32_t)strtol(PQgetvalue(result, row, 0), NULL, 10),
                         strtoll(PQgetvalue(result, row, 1), NULL, 10), now);
        PQclear(result);
        sleep_ms(LOOK_MS);
    }
    return NULL;
}

/* Open loop, too: a server that stands still for 150 ms delays all commits of that time. */
static void *commit_now_and_then(void *arg)
{
    struct latency *l = arg;
    int64_t intended = now_ns();
    while (!atomic_load(&l->over)) {
        PQclear(pq_check(l->stranger, PQexecPrepared(l->stranger, "touch", 0, NULL, NULL, NULL, 0),
                         "committing"));
        hist_add(&l->commit, (now_ns() - intended) / 1000);
        intended += COMMIT_MS * NS_PER_MS;
        while (now_ns() < intended && !atomic_load(&l->over))
            sleep_ms(TICK_MS);
    }
    return NULL;
}

static void take_invalidation(struct latency *l, const rd_kafka_message_t *message)
{
    static const char prefix[] = "attempt:", member[] = "\"version\":";
    struct uuid id;
    char value[1024];
    if (message->key_len != sizeof prefix - 1 + UUID_TEXT_LEN ||
        memcmp(message->key, prefix, sizeof prefix - 1) != 0 || message->len >= sizeof value ||
        !uuid_parse((struct bytes){ (const char *)message->key + sizeof prefix - 1, UUID_TEXT_LEN },
                    &id))
        return;
    memcpy(value, message->payload, message->len);
    value[message->len] = '\0';
    const char *at = strstr(value, member);
    if (at != NULL)
        pending_told(&l->pending, &id, strtoll(at + sizeof member - 1, NULL, 10), now_ns());
}

static void *listen_to_invalidations(void *arg)
{
    struct latency *l = arg;
    while (!atomic_load(&l->over)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(l->listener, 50);
        if (message == NULL)
            continue;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            take_invalidation(l, message);
        rd_kafka_message_destroy(message);
    }
    return NULL;
}

/* --------------------------------------------------------------------------------- the start */

static rd_kafka_t *new_listener(const struct latency *l)
{
    const char *const settings[][2] = { { "bootstrap.servers", l->bench->brokers },
                                        { "group.id", "bench-listener" },
                                        { "enable.auto.commit", "false" },
                                        { "auto.offset.reset", "latest" } };
    rd_kafka_t *rk = bench_client(settings, sizeof settings / sizeof settings[0]);
    (void)rd_kafka_poll_set_consumer(rk);
    return rk;
}

/* From the present end on, which is asked for, so that nothing is missed. */
static void listen_from_end(const struct latency *l)
{
    const char *topic = l->names.outlets[OUTLET_INVALIDATIONS];
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (int32_t i = 0; i < l->bench->flood.partitions; i++) {
        int64_t low, high;
        if (rd_kafka_query_watermark_offsets(l->listener, topic, i, &low, &high, 10000) !=
            RD_KAFKA_RESP_ERR_NO_ERROR)
            break; /* it has fewer partitions */
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = high;
    }
    if (list->cnt == 0 || rd_kafka_assign(l->listener, list) != RD_KAFKA_RESP_ERR_NO_ERROR)
        bench_fail("cannot read %s", topic);
    rd_kafka_topic_partition_list_destroy(list);
}

static void open_all(struct latency *l)
{
    /* As Kafka's own producers do it since 4.0; it counts as delay here. With 1 ms the broker is
     * busier with requests than with events. */
    static const char *const properties[] = { "linger.ms=5" };
    struct err err = { 0 };
    struct kafka_options options = { .bootstrap_servers = l->bench->brokers,
                                     .group = "bench",
                                     .names = &l->names,
                                     .properties = properties,
                                     .property_count = 1 };
    if (!kafka_names_init(&l->names, l->bench->prefix, &err))
        bench_fail_err("topics", &err);
    l->producer = kafka_producer_new(&options, &err);
    if (l->producer == NULL)
        bench_fail_err("cannot reach Kafka", &err);
    l->listener = new_listener(l);
    listen_from_end(l);
    l->looker = pq_connect(l->bench);
    l->stranger = pq_connect(l->bench);
    char query[512];
    (void)snprintf(query, sizeof query,
                   "SELECT partition, next_offset FROM ingest_progress WHERE topic = '%s'",
                   l->names.topics[TOPIC_WRITES]);
    PQclear(pq_check(l->looker, PQprepare(l->looker, "look", query, 0, NULL), "looking"));
    PQclear(pq_check(l->stranger,
                     PQexec(l->stranger, "CREATE TABLE IF NOT EXISTS bench_commits (n bigint);"
                                         " TRUNCATE bench_commits;"
                                         " INSERT INTO bench_commits VALUES (0)"),
                     "a table for commits"));
    PQclear(pq_check(l->stranger,
                     PQprepare(l->stranger, "touch", "UPDATE bench_commits SET n = n + 1", 0, NULL),
                     "touch"));
    hist_init(&l->commit);
}

static void close_all(struct latency *l)
{
    (void)rd_kafka_consumer_close(l->listener);
    rd_kafka_destroy(l->listener);
    kafka_producer_free(l->producer);
    PQfinish(l->looker);
    PQfinish(l->stranger);
    hist_release(&l->commit);
    pending_release(&l->pending);
    feed_close(&l->feed);
}

/* ------------------------------------------------------------------------------- the schedule */

static void send_event(struct latency *l, const struct flood_event *event, int64_t intended_ns,
                       bool counts)
{
    struct record record;
    struct err err = { 0 };
    struct uuid id = flood_attempt_id(&l->bench->flood, event->attempt);
    if (!flood_render(l->feed.flood, event, &record))
        bench_fail("no memory for an event");
    pending_sent(&l->pending, event, &id, intended_ns, counts);
    struct kafka_outgoing outgoing = { .topic = l->names.topics[record.tp.topic],
                                       .partition = record.tp.partition,
                                       .key = record.key,
                                       .value = record.value,
                                       .headers = record.headers,
                                       .header_count = record.header_count };
    if (!kafka_producer_send(l->producer, &outgoing, &err))
        bench_fail_err("cannot send", &err);
}

/* Returns by how much the sender itself was late at worst, in ms. */
static double play(struct latency *l)
{
    struct flood_event event;
    int64_t begun = now_ns(), worst = 0;
    for (uint64_t i = 0; flood_next(l->feed.flood, &event); i++) {
        int64_t intended = begun + (int64_t)((double)i / l->bench->rate * NS_PER_S);
        while (now_ns() < intended) {
            (void)kafka_producer_counts(l->producer);
            sleep_ms(TICK_MS);
        }
        int64_t late = now_ns() - intended;
        worst = late > worst ? late : worst;
        send_event(l, &event, intended, i >= l->feed.events / WARM_SHARE);
    }
    return (double)worst / NS_PER_MS;
}

static void wait_for_the_rest(struct latency *l)
{
    struct err err = { 0 };
    int64_t deadline = now_ns() + (int64_t)DRAIN_S * NS_PER_S;
    if (!kafka_producer_flush(l->producer, DRAIN_S * 1000, &err))
        bench_fail_err("Kafka did not take every event", &err);
    while (!pending_empty(&l->pending)) {
        if (now_ns() > deadline)
            bench_fail("of %llu events %llu were seen and %llu told after %d s more",
                       (unsigned long long)l->pending.sent, (unsigned long long)l->pending.seen,
                       (unsigned long long)l->pending.told, DRAIN_S);
        sleep_ms(LOOK_MS);
    }
}

static void write_hgrm(const struct bench *bench, const struct hist *hist, const char *what)
{
    char path[1024];
    if (bench->hgrm == NULL)
        return;
    (void)snprintf(path, sizeof path, "%s-%s.hgrm", bench->hgrm, what);
    FILE *to = fopen(path, "we");
    if (to == NULL)
        bench_fail("cannot write %s", path);
    hist_print_hgrm(hist, to);
    (void)fclose(to);
}

void part_latency(const struct bench *bench)
{
    struct latency l = { .bench = bench };
    pthread_t threads[3];
    feed_open(&l.feed, bench);
    pending_init(&l.pending, bench, &l.feed);
    open_all(&l);
    if (pthread_create(&threads[0], NULL, look, &l) != 0 ||
        pthread_create(&threads[1], NULL, commit_now_and_then, &l) != 0 ||
        pthread_create(&threads[2], NULL, listen_to_invalidations, &l) != 0)
        bench_fail("cannot start a thread");
    bench_ready();
    struct meter meter;
    meter_start(&meter);
    double late_ms = play(&l);
    meter_stop(&meter);
    wait_for_the_rest(&l);
    atomic_store(&l.over, true);
    for (size_t i = 0; i < 3; i++)
        (void)pthread_join(threads[i], NULL);
    (void)printf("{");
    meter_print(&meter, l.pending.sent);
    (void)printf(",\"sender_late_ms\":%.3f,\"visible_ms\":", late_ms);
    hist_print_json(&l.pending.visible, stdout);
    (void)printf(",\"published_ms\":");
    hist_print_json(&l.pending.published, stdout);
    (void)printf(",\"commit_ms\":");
    hist_print_json(&l.commit, stdout);
    (void)printf("}\n");
    write_hgrm(bench, &l.pending.visible, "visible");
    write_hgrm(bench, &l.pending.published, "published");
    write_hgrm(bench, &l.commit, "commit");
    close_all(&l);
}
