#include "tests/bench/consumer.h"

#include "worker/kafka/kafka_message.h"

#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TURN        1000  /* records taken from one partition before the next has its turn */
#define PATIENCE_MS 30000 /* without any record */

struct part {
    struct tp tp;
    int64_t next, end;
    rd_kafka_queue_t *queue;
};

struct consumer {
    rd_kafka_t *rk;
    rd_kafka_topic_partition_list_t *list;
    struct part *parts; /* those with records in the segment */
    size_t count, at, left, turn;
    int fd;
    struct kafka_headers headers;
};

/* As the worker's own, but for the group: the settings that decide what a record costs. */
rd_kafka_t *bench_client(const char *const (*settings)[2], size_t count)
{
    char text[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < count; i++)
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof text) !=
            RD_KAFKA_CONF_OK)
            bench_fail("%s", text);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (rk == NULL)
        bench_fail("cannot make a Kafka client: %s", text);
    return rk;
}

static rd_kafka_t *new_client(const struct bench *bench)
{
    const char *const settings[][2] = { { "bootstrap.servers", bench->brokers },
                                        { "group.id", "bench-alone" },
                                        { "enable.auto.commit", "false" },
                                        { "enable.auto.offset.store", "false" },
                                        { "check.crcs", "true" },
                                        { "auto.offset.reset", "error" } };
    return bench_client(settings, sizeof settings / sizeof settings[0]);
}

struct consumer *consumer_new(const struct bench *bench, const struct feed *feed)
{
    struct err err = { 0 };
    struct kafka_names names;
    struct consumer *c = calloc(1, sizeof *c);
    size_t room = 2 * (size_t)bench->flood.partitions;
    if (c == NULL || (c->parts = calloc(room, sizeof *c->parts)) == NULL)
        bench_fail("no memory for the consumer");
    if (!kafka_names_init(&names, bench->prefix, &err))
        bench_fail_err("topics", &err);
    c->rk = new_client(bench);
    (void)rd_kafka_poll_set_consumer(c->rk);
    c->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    c->list = rd_kafka_topic_partition_list_new((int)room);
    for (int topic = 0; topic < 2; topic++) {
        for (int32_t i = 0; i < bench->flood.partitions; i++) {
            int64_t from = feed->from[topic][i], to = feed->to[topic][i];
            if (from == to)
                continue;
            c->parts[c->count++] = (struct part){ { (enum topic)topic, i }, from, to, NULL };
            rd_kafka_topic_partition_list_add(c->list, names.topics[topic], i)->offset = from;
        }
    }
    return c;
}

void consumer_free(struct consumer *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->parts[i].queue != NULL)
            rd_kafka_queue_destroy(c->parts[i].queue);
    rd_kafka_topic_partition_list_destroy(c->list);
    (void)rd_kafka_consumer_close(c->rk);
    rd_kafka_destroy(c->rk);
    (void)close(c->fd);
    kafka_headers_release(&c->headers);
    free(c->parts);
    free(c);
}

void consumer_start(struct consumer *c)
{
    if (rd_kafka_assign(c->rk, c->list) != RD_KAFKA_RESP_ERR_NO_ERROR)
        bench_fail("cannot assign the partitions");
    for (size_t i = 0; i < c->count; i++) {
        const rd_kafka_topic_partition_t *tp = &c->list->elems[i];
        c->parts[i].queue = rd_kafka_queue_get_partition(c->rk, tp->topic, tp->partition);
        rd_kafka_queue_forward(c->parts[i].queue, NULL);
        rd_kafka_queue_io_event_enable(c->parts[i].queue, c->fd, "\1\0\0\0\0\0\0\0", 8);
    }
    c->left = c->count;
}

/* Waits until some queue that was empty is so no more. */
static void wait_for_more(struct consumer *c)
{
    struct pollfd fd = { c->fd, POLLIN, 0 };
    uint64_t ignored;
    if (poll(&fd, 1, PATIENCE_MS) == 0)
        bench_fail("no record for %d s, and the end is not reached", PATIENCE_MS / 1000);
    (void)!read(c->fd, &ignored, sizeof ignored);
}

bool consumer_next(struct consumer *c, rd_kafka_message_t **ret, struct tp *ret_tp)
{
    size_t empty = 0;
    while (c->left > 0) {
        struct part *part = &c->parts[c->at];
        rd_kafka_message_t *message = NULL;
        bool its_turn = c->turn < TURN; /* whose turn is over may well have more */
        if (part->next < part->end && its_turn)
            message = rd_kafka_consume_queue(part->queue, 0);
        if (message == NULL) {
            c->at = (c->at + 1) % c->count;
            c->turn = 0;
            empty = its_turn ? empty + 1 : 0;
            if (empty >= c->count) {
                wait_for_more(c);
                empty = 0;
            }
            continue;
        }
        c->turn++;
        if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
                bench_fail("reading: %s", rd_kafka_message_errstr(message));
            rd_kafka_message_destroy(message);
            continue;
        }
        if (message->offset != part->next)
            bench_fail("offset %lld where %lld was expected: the log is another one",
                       (long long)message->offset, (long long)part->next);
        if (++part->next == part->end)
            c->left--;
        *ret = message;
        *ret_tp = part->tp;
        return true;
    }
    return false;
}

void consumer_map(struct consumer *c, const rd_kafka_message_t *message, struct tp tp,
                  struct record *ret_record)
{
    struct err err = { 0 };
    if (!kafka_message_map(message, tp, &c->headers, ret_record, &err))
        bench_fail_err("reading a record", &err);
}

void consumer_commit(struct consumer *c)
{
    for (size_t i = 0; i < c->count; i++)
        c->list->elems[i].offset = c->parts[i].next;
    (void)rd_kafka_commit(c->rk, c->list, 1);
}
