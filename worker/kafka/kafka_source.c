#include "worker/kafka/kafka_source.h"

#include "common/clock.h"
#include "common/patience.h"
#include "worker/kafka/kafka_source_state.h"
#include "worker/kafka/kafka_witness.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LEAVE_TIMEOUT_MS 5000
#define END_MAX_MS       5500 /* that, and what the library needs to end */
#define SKIP_MAX         1000 /* messages that one read() may throw away */

void kafka_source_drop_held(struct kafka_source *source)
{
    if (source->held != NULL)
        rd_kafka_message_destroy(source->held);
    source->held = NULL;
}

/* -------------------------------------------------------------------------------------- read */

static enum read_result source_read(void *self, struct tp tp, struct record *ret_record,
                                    int64_t *ret_end)
{
    struct kafka_source *source = self;
    kafka_source_drop_held(source);
    kafka_source_check_leaders(source);
    struct kafka_partition *partition = kafka_partitions_find(&source->partitions, tp);
    struct err err;
    for (int skipped = 0; skipped < SKIP_MAX; skipped++) {
        if (partition == NULL || partition->queue == NULL || partition->stopped)
            return READ_NOTHING;
        rd_kafka_message_t *message = rd_kafka_consume_queue(partition->queue, 0);
        if (message == NULL)
            return READ_NOTHING;
        source->held = message;
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            if (message->offset > partition->position) /* behind control records */
                partition->position = message->offset;
            partition->ended_at = partition->position;
            *ret_end = partition->position;
            return READ_END;
        }
        if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            kafka_source_take_error(source, partition, message);
        } else if (message->offset < partition->position) {
            partition->suspect_news = true; /* delivered before: the library went back */
        } else if (!kafka_message_map(message, tp, &source->headers, ret_record, &err)) {
            kafka_source_refuse(source, partition, message->offset, &err);
        } else {
            partition->position = message->offset + 1;
            return READ_RECORD;
        }
        kafka_source_drop_held(source);
    }
    return READ_NOTHING;
}

/* ------------------------------------------------------------------------- assign and commit */

static bool list_positions(const struct kafka_source *source, const struct position *positions,
                           size_t count, rd_kafka_topic_partition_list_t *list)
{
    for (size_t i = 0; i < count; i++) {
        struct tp tp = positions[i].tp;
        if (kafka_partitions_find(&source->partitions, tp) == NULL)
            return false;
        rd_kafka_topic_partition_list_add(list, source->names->topics[tp.topic], tp.partition)
            ->offset = positions[i].offset;
    }
    return true;
}

static bool assign_list(struct kafka_source *source, const rd_kafka_topic_partition_list_t *list,
                        struct err *err)
{
    rd_kafka_resp_err_t code = kafka_source_tell(source, list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    return kafka_error_set(err, code, "the Kafka client does not take %d positions: %s", list->cnt,
                           rd_kafka_err2str(code));
}

/* Stops all reading and forgets what was read ahead, old errors (which have no age) included. */
static bool assign_nothing(struct kafka_source *source, struct err *err)
{
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
    bool assigned = assign_list(source, none, err);
    rd_kafka_topic_partition_list_destroy(none);
    for (size_t i = 0; i < source->partitions.count && assigned; i++)
        kafka_partition_drain(&source->partitions.items[i]);
    return assigned;
}

/* Splits off the queues of the partitions that will be read, lets go of the others. */
static bool prepare_partitions(struct kafka_source *source, const struct position *positions,
                               size_t count, struct err *err)
{
    for (size_t i = 0; i < source->partitions.count; i++) {
        struct kafka_partition *partition = &source->partitions.items[i];
        bool listed = false;
        for (size_t j = 0; j < count && !listed; j++)
            listed = tp_equal(partition->tp, positions[j].tp);
        if (!listed)
            kafka_partition_close(partition);
    }
    for (size_t i = 0; i < count; i++) {
        struct tp tp = positions[i].tp;
        struct kafka_partition *partition = kafka_partitions_find(&source->partitions, tp);
        const char *topic = source->names->topics[tp.topic];
        if (!kafka_partition_open(partition, source->rk, topic, source->wake_fd))
            return err_set(err, ERR_RESOURCE, "queue", "no queue for %s[%d]", topic,
                           (int)tp.partition);
        partition->position = positions[i].offset;
        partition->ended_at = -1;
        partition->stopped = false;
        partition->stop_news = false;
    }
    return true;
}

static bool source_assign(void *self, const struct position *positions, size_t count,
                          struct err *err)
{
    struct kafka_source *source = self;
    kafka_source_drop_held(source);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    bool assigned;
    if (!list_positions(source, positions, count, list))
        assigned = err_set(err, ERR_BUG, "assign", "asked to read a partition that is not ours");
    else
        assigned = assign_nothing(source, err) &&
                   prepare_partitions(source, positions, count, err) &&
                   (count == 0 || assign_list(source, list, err));
    rd_kafka_topic_partition_list_destroy(list);
    return assigned;
}

/* An offset without its witness would take away the one that is there: rather none this time. */
static void source_commit(void *self, const struct group_offset *offsets, size_t count)
{
    struct kafka_source *source = self;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    bool whole = true;
    for (size_t i = 0; i < count; i++) {
        struct tp tp = offsets[i].tp;
        if (kafka_partitions_find(&source->partitions, tp) == NULL)
            continue;
        rd_kafka_topic_partition_t *offset =
            rd_kafka_topic_partition_list_add(list, source->names->topics[tp.topic], tp.partition);
        offset->offset = offsets[i].offset;
        whole = kafka_witness_put(offset, &offsets[i].witness) && whole;
    }
    if (list->cnt > 0 && whole)
        (void)rd_kafka_commit(source->rk, list, 1);
    rd_kafka_topic_partition_list_destroy(list);
}

static bool source_survey(void *self, const struct tp *tps, size_t count, struct err *err)
{
    struct kafka_source *source = self;
    return kafka_survey_start(&source->survey, source->rk, source->names, tps, count,
                              source->wake_fd, err);
}

/* -------------------------------------------------------------------------------- for people */

struct kafka_log_view kafka_source_log(const struct kafka_source *source, struct tp tp)
{
    struct kafka_log_view view = { .high = -1 };
    const struct kafka_partition *partition = kafka_partitions_find(&source->partitions, tp);
    int64_t low, high;
    if (partition == NULL || partition->queue == NULL || partition->stopped ||
        rd_kafka_get_watermark_offsets(source->rk, source->names->topics[tp.topic], tp.partition,
                                       &low, &high) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        high < 0)
        return view;
    view.high = high;
    /* what waits in the queue is held back by us, not by a transaction */
    view.at_end =
        partition->ended_at == partition->position && rd_kafka_queue_length(partition->queue) == 0;
    view.withheld = view.at_end && high > partition->position;
    view.position = partition->position;
    return view;
}

/* -------------------------------------------------------------------------------- life cycle */

static bool subscribe(struct kafka_source *source, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(TOPIC_COUNT);
    for (int i = 0; i < TOPIC_COUNT; i++)
        (void)rd_kafka_topic_partition_list_add(list, source->names->topics[i],
                                                RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(source->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    return kafka_error_set(err, code, "cannot subscribe to the topics: %s", rd_kafka_err2str(code));
}

static bool start(struct kafka_source *source, const struct kafka_options *options, struct err *err)
{
    static const uint64_t one = 1;
    source->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (source->wake_fd < 0)
        return err_set(err, ERR_RESOURCE, "eventfd", "no eventfd: %s", strerror(errno));
    rd_kafka_conf_t *conf = kafka_conf_new(options, KAFKA_CONSUMER, err);
    if (conf == NULL)
        return false;
    kafka_source_listen(source, conf);
    source->rk = kafka_client_start(conf, KAFKA_CONSUMER, err);
    if (source->rk == NULL)
        return false;
    /* errors and replies of the client join the rebalances in one queue */
    (void)rd_kafka_poll_set_consumer(source->rk);
    source->queue = rd_kafka_queue_get_consumer(source->rk);
    if (source->queue == NULL)
        return err_set(err, ERR_BUG, "queue", "the Kafka client has no consumer queue");
    rd_kafka_queue_io_event_enable(source->queue, source->wake_fd, &one, sizeof one);
    return subscribe(source, err);
}

struct kafka_source *kafka_source_new(const struct kafka_options *options, struct err *err)
{
    struct kafka_source *source = calloc(1, sizeof *source);
    if (source == NULL) {
        (void)err_set(err, ERR_RESOURCE, "ENOMEM", "no memory for the Kafka consumer");
        return NULL;
    }
    source->names = options->names;
    source->prints_debug = kafka_options_debug(options);
    source->wake_fd = -1;
    if (start(source, options, err))
        return source;
    kafka_source_free(source);
    return NULL;
}

/* Leaving tells the group at once that our partitions are free; not leaving costs it a timeout. */
static bool leave_group(rd_kafka_t *rk)
{
    int64_t deadline_ms = clock_now_ms() + LEAVE_TIMEOUT_MS;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(rk, queue);
    bool begun = error == NULL;
    if (error != NULL)
        rd_kafka_error_destroy(error);
    while (begun && !rd_kafka_consumer_closed(rk) && clock_now_ms() < deadline_ms) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(queue, 50);
        if (message != NULL)
            rd_kafka_message_destroy(message);
    }
    rd_kafka_queue_destroy(queue);
    return rd_kafka_consumer_closed(rk) != 0;
}

/*
 * rd_kafka_destroy() waits without limit for the threads of the library, and there are states in
 * which one never ends: with librdkafka 2.0.2, a consumer whose topic was deleted and made anew.
 */
static void end_client(void *rk)
{
    bool left = leave_group(rk);
    rd_kafka_destroy_flags(rk, left ? 0 : RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static void client_ended_late(void *rk)
{
    (void)rk;
}

void kafka_source_free(struct kafka_source *source)
{
    if (source == NULL)
        return;
    kafka_source_drop_held(source);
    bool client_is_free = kafka_survey_release(&source->survey);
    kafka_source_drop_given(source);
    kafka_partitions_release(&source->partitions);
    if (source->queue != NULL) {
        rd_kafka_queue_io_event_enable(source->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(source->queue);
    }
    /* A client whose threads are still at work may yet call back, so what it calls has to stay. */
    if (source->rk != NULL &&
        (!client_is_free || !patience_run(end_client, client_ended_late, source->rk, END_MAX_MS)))
        return;
    kafka_source_drop_given(source); /* leaving may have brought a last rebalance */
    kafka_partitions_release(&source->partitions);
    if (source->wake_fd >= 0)
        (void)close(source->wake_fd);
    kafka_headers_release(&source->headers);
    free(source);
}

struct source kafka_source_port(struct kafka_source *source)
{
    return (struct source){
        .self = source,
        .next = kafka_source_next,
        .read = source_read,
        .assign = source_assign,
        .survey = source_survey,
        .commit = source_commit,
    };
}

int kafka_source_fd(const struct kafka_source *source)
{
    return source->wake_fd;
}

void kafka_source_clear(struct kafka_source *source)
{
    uint64_t count;
    ssize_t got = read(source->wake_fd, &count, sizeof count);
    (void)got; /* nothing to read is as good */
}
