#include "worker/kafka/kafka_source.h"

#include "common/clock.h"
#include "worker/kafka/kafka_error.h"
#include "worker/kafka/kafka_message.h"
#include "worker/kafka/kafka_partitions.h"
#include "worker/kafka/kafka_survey.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LEAVE_TIMEOUT_MS 5000
#define SKIP_MAX         1000 /* messages that one read() may throw away */

struct kafka_source {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue; /* of rebalances, errors, replies; never of records */
    const struct kafka_names *names;
    int wake_fd;

    struct kafka_partitions partitions;
    struct kafka_survey survey;
    struct kafka_troubles troubles;

    bool revoked_news, assigned_news; /* in this order */
    bool suspect_news;                /* all partitions */

    rd_kafka_message_t *held; /* the record that the engine is looking at */
    struct kafka_headers headers;
};

static void trouble(struct kafka_source *source, const char *key, int code, const char *what)
{
    struct err err;
    (void)kafka_error_set(&err, code, "%s", what);
    kafka_troubles_put(&source->troubles, key, &err);
}

static void drop_held(struct kafka_source *source)
{
    if (source->held != NULL)
        rd_kafka_message_destroy(source->held);
    source->held = NULL;
}

/* ------------------------------------------------------------- callbacks, from consumer_poll */

static bool take_partitions(struct kafka_source *source,
                            const rd_kafka_topic_partition_list_t *list)
{
    struct tp *tps = calloc((size_t)list->cnt + 1, sizeof *tps);
    if (tps == NULL)
        return false;
    size_t count = 0;
    for (int i = 0; i < list->cnt; i++)
        if (kafka_topic_find(source->names, list->elems[i].topic, &tps[count].topic))
            tps[count++].partition = list->elems[i].partition;
    bool taken = kafka_partitions_set(&source->partitions, tps, count);
    free(tps);
    return taken;
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct kafka_source *source = opaque;
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        if (!take_partitions(source, list))
            trouble(source, "memory", RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE,
                    "no memory for the partitions that the group gave us; nothing is read");
        /* accepting with an empty list keeps the membership; positions come from the ledger */
        rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
        (void)rd_kafka_assign(rk, none);
        rd_kafka_topic_partition_list_destroy(none);
        source->assigned_news = true;
        return;
    }
    (void)rd_kafka_assign(rk, NULL);
    /* what was read ahead would stay in memory until the partition comes back */
    for (size_t i = 0; i < source->partitions.count; i++)
        kafka_partition_drain(&source->partitions.items[i]);
    kafka_partitions_release(&source->partitions);
    source->assigned_news = false;
    source->revoked_news = true;
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct kafka_source *source = opaque;
    struct err err;
    char text[200];
    switch (code) {
    case RD_KAFKA_RESP_ERR__FATAL:
        (void)rd_kafka_fatal_error(rk, text, sizeof text);
        (void)err_set(&err, ERR_BUG, "fatal",
                      "the Kafka client cannot go on and must be started again: %s", text);
        break;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
        source->suspect_news = true;
        (void)kafka_error_set(&err, code, "lost a Kafka broker, trying to get back: %s", reason);
        break;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__SSL:
        (void)kafka_error_set(&err, code,
                              "Kafka does not let us in: %s; check security.protocol, sasl.* and "
                              "ssl.* (-X)",
                              reason);
        break;
    default:
        (void)kafka_error_set(&err, code, "the Kafka client reports: %s", reason);
    }
    kafka_troubles_put(&source->troubles, err.code, &err);
}

static void on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                      rd_kafka_topic_partition_list_t *list, void *opaque)
{
    (void)rk, (void)list;
    /* after a rebalance the old generation's commit is refused, which is as it should be */
    if (code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)
        trouble(opaque, "commit", code,
                "the group's offsets cannot be written, so lag tools show old figures: grant READ "
                "on the group");
}

/* ----------------------------------------------------------------------------- error messages */

/* Errors of a topic or of the whole client: they come by the main queue. */
static void take_main_message(struct kafka_source *source, rd_kafka_message_t *message)
{
    const char *topic = message->rkt ? rd_kafka_topic_name(message->rkt) : "";
    char text[200], key[300];
    (void)snprintf(key, sizeof key, "%s/%s", rd_kafka_err2name(message->err), topic);
    switch (message->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR: /* a queue was not split off in time */
        source->suspect_news = true;
        (void)snprintf(text, sizeof text, "a record of %s came by the wrong way and is read again",
                       topic);
        trouble(source, key, RD_KAFKA_RESP_ERR__STATE, text);
        break;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        break;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
        source->suspect_news = true;
        (void)snprintf(text, sizeof text,
                       "the topic %s does not exist: waiting for it (create it, or let `doctor "
                       "--fix` do so)",
                       topic);
        trouble(source, key, message->err, text);
        break;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        (void)snprintf(text, sizeof text, "no right to read the topic %s: grant READ on it", topic);
        trouble(source, key, message->err, text);
        break;
    default:
        (void)snprintf(text, sizeof text, "the Kafka client reports for %s: %s",
                       *topic ? topic : "the group", rd_kafka_message_errstr(message));
        trouble(source, key, message->err, text);
    }
}

static void stop_partition(struct kafka_partition *partition, const char *code, const char *topic,
                           const char *what)
{
    partition->stopped = true;
    partition->stop_news = true;
    (void)err_set(&partition->err, ERR_HALT, code, "%s[%d] cannot be read on from offset %lld: %s",
                  topic, (int)partition->tp.partition, (long long)partition->position, what);
}

/* An error in a partition's own queue. Afterwards the partition may be stopped. */
static void take_partition_error(struct kafka_source *source, struct kafka_partition *partition,
                                 rd_kafka_message_t *message)
{
    const char *topic = source->names->topics[partition->tp.topic];
    char text[200], key[300];
    switch (message->err) {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        stop_partition(partition, "out_of_range", topic, "the log does not have it (any more)");
        return;
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
        stop_partition(partition, "corrupt", topic, rd_kafka_message_errstr(message));
        return;
    default:
        break;
    }
    (void)snprintf(key, sizeof key, "%s/%s/%d", rd_kafka_err2name(message->err), topic,
                   (int)partition->tp.partition);
    (void)snprintf(text, sizeof text, "reading %s[%d]: %s", topic, (int)partition->tp.partition,
                   rd_kafka_message_errstr(message));
    trouble(source, key, message->err, text);
    /* a positive code is the broker's answer to a fetch, which is repeated; a negative one is the
     * library's own, which may have passed over records */
    if (message->err < 0 && message->err != RD_KAFKA_RESP_ERR_UNKNOWN)
        stop_partition(partition, "corrupt", topic, rd_kafka_message_errstr(message));
    else
        partition->suspect_news = true;
}

/* -------------------------------------------------------------------------------------- next */

static bool next_of_partitions(struct kafka_source *source, struct source_event *ret)
{
    for (size_t i = 0; i < source->partitions.count; i++) {
        struct kafka_partition *partition = &source->partitions.items[i];
        if (!partition->stop_news && !partition->suspect_news)
            continue;
        ret->kind = partition->stop_news ? SOURCE_STOPPED : SOURCE_SUSPECT;
        ret->tp = partition->tp;
        ret->has_tp = true;
        ret->offset = partition->position;
        ret->err = partition->err;
        partition->stop_news = false;
        partition->suspect_news = false;
        return true;
    }
    return false;
}

static bool next_of_survey(struct kafka_source *source, struct source_event *ret)
{
    enum kafka_survey_state state = kafka_survey_poll(&source->survey, &ret->err);
    if (state == KAFKA_SURVEY_DONE) {
        ret->kind = SOURCE_SURVEYED;
        ret->facts = source->survey.facts;
        ret->fact_count = source->survey.fact_count;
    } else if (state == KAFKA_SURVEY_FAILED) {
        ret->kind = SOURCE_SURVEY_FAILED;
    }
    return ret->kind != SOURCE_NOTHING;
}

static void source_next(void *self, struct source_event *ret)
{
    struct kafka_source *source = self;
    *ret = (struct source_event){ .kind = SOURCE_NOTHING };
    drop_held(source);
    for (rd_kafka_message_t *message; (message = rd_kafka_consumer_poll(source->rk, 0)) != NULL;) {
        take_main_message(source, message);
        rd_kafka_message_destroy(message);
    }
    if (source->revoked_news) {
        source->revoked_news = false;
        ret->kind = SOURCE_REVOKED;
    } else if (source->assigned_news) {
        source->assigned_news = false;
        ret->kind = SOURCE_ASSIGNED;
        ret->tps = source->partitions.tps;
        ret->tp_count = source->partitions.count;
    } else if (next_of_partitions(source, ret)) {
        return;
    } else if (source->suspect_news) {
        source->suspect_news = false;
        ret->kind = SOURCE_SUSPECT;
    } else if (!next_of_survey(source, ret) && kafka_troubles_take(&source->troubles, &ret->err)) {
        ret->kind = SOURCE_TROUBLE;
    }
}

/* -------------------------------------------------------------------------------------- read */

static enum read_result source_read(void *self, struct tp tp, struct record *ret_record,
                                    int64_t *ret_end)
{
    struct kafka_source *source = self;
    drop_held(source);
    struct kafka_partition *partition = kafka_partitions_find(&source->partitions, tp);
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
            *ret_end = partition->position;
            return READ_END;
        }
        if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            take_partition_error(source, partition, message);
        } else if (message->offset < partition->position) {
            partition->suspect_news = true; /* delivered before: the library went back */
        } else if (!kafka_message_map(message, tp, &source->headers, ret_record)) {
            stop_partition(partition, "memory", source->names->topics[tp.topic],
                           "no memory for its headers");
        } else {
            partition->position = message->offset + 1;
            return READ_RECORD;
        }
        drop_held(source);
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
    rd_kafka_resp_err_t code = rd_kafka_assign(source->rk, list);
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
        partition->stopped = false;
        partition->stop_news = false;
    }
    return true;
}

static bool source_assign(void *self, const struct position *positions, size_t count,
                          struct err *err)
{
    struct kafka_source *source = self;
    drop_held(source);
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

static void source_commit(void *self, const struct position *positions, size_t count)
{
    struct kafka_source *source = self;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++) {
        struct tp tp = positions[i].tp;
        if (kafka_partitions_find(&source->partitions, tp) != NULL)
            rd_kafka_topic_partition_list_add(list, source->names->topics[tp.topic], tp.partition)
                ->offset = positions[i].offset;
    }
    if (list->cnt > 0)
        (void)rd_kafka_commit(source->rk, list, 1);
    rd_kafka_topic_partition_list_destroy(list);
}

static bool source_survey(void *self, const struct tp *tps, size_t count, struct err *err)
{
    struct kafka_source *source = self;
    return kafka_survey_start(&source->survey, source->rk, source->names, tps, count,
                              source->wake_fd, err);
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
    rd_kafka_conf_set_opaque(conf, source);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_offset_commit_cb(conf, on_commit);
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
    source->wake_fd = -1;
    if (start(source, options, err))
        return source;
    kafka_source_free(source);
    return NULL;
}

/* Leaving tells the group at once that our partitions are free; not leaving costs it a timeout. */
static bool leave_group(rd_kafka_t *rk)
{
    struct clock clock = clock_system();
    int64_t deadline_ms = clock_monotonic_ms(&clock) + LEAVE_TIMEOUT_MS;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(rk, queue);
    bool begun = error == NULL;
    if (error != NULL)
        rd_kafka_error_destroy(error);
    while (begun && !rd_kafka_consumer_closed(rk) && clock_monotonic_ms(&clock) < deadline_ms) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(queue, 50);
        if (message != NULL)
            rd_kafka_message_destroy(message);
    }
    rd_kafka_queue_destroy(queue);
    return rd_kafka_consumer_closed(rk) != 0;
}

void kafka_source_free(struct kafka_source *source)
{
    if (source == NULL)
        return;
    drop_held(source);
    kafka_survey_release(&source->survey);
    kafka_partitions_release(&source->partitions);
    if (source->queue != NULL) {
        rd_kafka_queue_io_event_enable(source->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(source->queue);
    }
    if (source->rk != NULL) {
        bool left = leave_group(source->rk);
        rd_kafka_destroy_flags(source->rk, left ? 0 : RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }
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
        .next = source_next,
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
