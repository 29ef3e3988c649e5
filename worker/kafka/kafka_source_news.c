#include "worker/kafka/kafka_source_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void trouble(struct kafka_source *source, const char *key, int code, const char *what)
{
    struct err err;
    (void)kafka_error_set(&err, code, "%s", what);
    (void)kafka_troubles_put(&source->troubles, key, &err);
}

/* -------------------------------------------------------------------------------- rebalances */

void kafka_source_drop_given(struct kafka_source *source)
{
    if (source->given != NULL)
        rd_kafka_topic_partition_list_destroy(source->given);
    source->given = NULL;
}

rd_kafka_resp_err_t kafka_source_tell(struct kafka_source *source,
                                      const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t code = rd_kafka_assign(source->rk, list);
    source->unanswered = source->unanswered && code != RD_KAFKA_RESP_ERR_NO_ERROR;
    return code;
}

/* Accepting with an empty list keeps the membership; positions come from the ledger. */
static void answer(struct kafka_source *source, bool holds)
{
    rd_kafka_topic_partition_list_t *none = holds ? rd_kafka_topic_partition_list_new(0) : NULL;
    rd_kafka_resp_err_t code = kafka_source_tell(source, none);
    if (none != NULL)
        rd_kafka_topic_partition_list_destroy(none);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        trouble(source, "rebalance", code,
                "the Kafka client does not take our answer to a rebalance; trying again");
}

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
    (void)rk;
    source->unanswered = true;
    kafka_source_drop_given(source);
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        source->given = rd_kafka_topic_partition_list_copy(list);
        answer(source, true);
        return;
    }
    answer(source, false);
    /* what was read ahead would stay in memory until the partition comes back */
    for (size_t i = 0; i < source->partitions.count; i++)
        kafka_partition_drain(&source->partitions.items[i]);
    kafka_partitions_release(&source->partitions);
    source->assigned_news = false;
    source->revoked_news = true;
}

/* What a callback began and could not finish is tried again each time that somebody asks. */
static void finish_rebalance(struct kafka_source *source)
{
    if (source->unanswered)
        answer(source, source->given != NULL || source->partitions.count > 0);
    if (source->given == NULL)
        return;
    if (!take_partitions(source, source->given)) {
        trouble(source, "memory", RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE,
                "no memory for the partitions that the group gave us; trying again");
        return;
    }
    kafka_source_drop_given(source);
    source->assigned_news = true;
}

/* ------------------------------------------------------------- callbacks, from consumer_poll */

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
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
        source->suspect_news = true;
        source->lost_told = true;
        (void)kafka_error_set(&err, code,
                              "no Kafka broker can be reached, trying again: %s%s; events wait "
                              "in Kafka meanwhile",
                              reason, kafka_error_advice(code));
        break;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
        source->suspect_news = true;
        source->lost_told = true;
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
        (void)kafka_error_set(&err, code, "the Kafka client reports: %s",
                              kafka_error_reason(reason));
    }
    (void)kafka_troubles_put(&source->troubles, err.code, &err);
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

/*
 * Runs in librdkafka's threads, so it only sets a mark. A broker that refuses a fetch because it
 * does not know the partition, or no longer leads it, is asked again by librdkafka in silence, and
 * what it then delivers may come from another log: the topic made anew, or an old replica elected.
 */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    struct kafka_source *source = rd_kafka_opaque(rk);
    if (source->prints_debug)
        rd_kafka_log_print(rk, level, facility, text);
    if (strcmp(facility, "BROKERUA") != 0)
        return;
    atomic_store(&source->leader_denied, true);
    ssize_t written = write(source->wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
    (void)written;
}

void kafka_source_check_leaders(struct kafka_source *source)
{
    if (!atomic_load(&source->leader_denied))
        return;
    atomic_store(&source->leader_denied, false);
    source->suspect_news = true;
    for (size_t i = 0; i < source->partitions.count; i++)
        source->partitions.items[i].stopped = true;
}

/* ----------------------------------------------------------------------------- error messages */

static void suspect_topic(struct kafka_source *source, const char *name)
{
    enum topic topic;
    if (!kafka_topic_find(source->names, name, &topic))
        return;
    for (size_t i = 0; i < source->partitions.count; i++)
        if (source->partitions.items[i].tp.topic == topic)
            source->partitions.items[i].suspect_news = true;
}

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
        suspect_topic(source, topic);
        (void)snprintf(text, sizeof text,
                       "the topic %s does not exist: waiting for it ('attemptd doctor "
                       "--fix' creates it)",
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

void kafka_source_stop(struct kafka_source *source, struct kafka_partition *partition,
                       const char *code, const char *what)
{
    partition->stopped = true;
    partition->stop_news = true;
    (void)err_set(&partition->err, ERR_HALT, code, "%s[%d] cannot be read on from offset %lld: %s",
                  source->names->topics[partition->tp.topic], (int)partition->tp.partition,
                  (long long)partition->position, what);
}

/*
 * A wish for a refresh that cannot be read is no loss, and its topic has no row in the ledger by
 * which an operator could go on behind it.
 */
void kafka_source_refuse(struct kafka_source *source, struct kafka_partition *partition,
                         int64_t offset, const struct err *why)
{
    if (partition->tp.topic != TOPIC_REFRESH || strcmp(why->code, "corrupt") != 0) {
        kafka_source_stop(source, partition, why->code, why->text);
        return;
    }
    struct err err;
    (void)err_set(&err, ERR_REJECT, why->code,
                  "%s[%d]: the record at offset %lld is passed over: %s",
                  source->names->topics[TOPIC_REFRESH], (int)partition->tp.partition,
                  (long long)offset, why->text);
    (void)kafka_troubles_put(&source->troubles, "passed over", &err);
    partition->position = offset + 1;
}

void kafka_source_take_error(struct kafka_source *source, struct kafka_partition *partition,
                             const rd_kafka_message_t *message)
{
    const char *topic = source->names->topics[partition->tp.topic];
    char text[sizeof partition->err.text], key[300];
    switch (message->err) {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        kafka_source_stop(source, partition, "out_of_range", "the log does not have it (any more)");
        return;
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
        kafka_source_stop(source, partition, "corrupt", rd_kafka_message_errstr(message));
        return;
    default:
        break;
    }
    (void)snprintf(key, sizeof key, "%s/%s/%d", rd_kafka_err2name(message->err), topic,
                   (int)partition->tp.partition);
    (void)snprintf(text, sizeof text, "reading %s[%d]: %s%s", topic, (int)partition->tp.partition,
                   rd_kafka_message_errstr(message), kafka_error_advice(message->err));
    trouble(source, key, message->err, text);
    /* a positive code is the broker's answer to a fetch, which is repeated; a negative one is the
     * library's own, which may have passed over records */
    if (message->err < 0 && message->err != RD_KAFKA_RESP_ERR_UNKNOWN)
        kafka_source_stop(source, partition, "corrupt", rd_kafka_message_errstr(message));
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

/* The end of what on_error() has told. */
static void tell_return(struct kafka_source *source)
{
    struct err err;
    if (!source->lost_told)
        return;
    (void)err_set(&err, ERR_NONE, "", "Kafka answers again");
    source->lost_told = !kafka_troubles_put(&source->troubles, "answers", &err);
}

static bool next_of_survey(struct kafka_source *source, struct source_event *ret)
{
    enum kafka_survey_state state = kafka_survey_poll(&source->survey, &ret->err);
    if (state == KAFKA_SURVEY_DONE) {
        ret->kind = SOURCE_SURVEYED;
        tell_return(source);
        ret->facts = source->survey.facts;
        ret->fact_count = source->survey.fact_count;
    } else if (state == KAFKA_SURVEY_FAILED) {
        ret->kind = SOURCE_SURVEY_FAILED;
    }
    return ret->kind != SOURCE_NOTHING;
}

void kafka_source_next(void *self, struct source_event *ret)
{
    struct kafka_source *source = self;
    *ret = (struct source_event){ .kind = SOURCE_NOTHING };
    kafka_source_drop_held(source);
    kafka_source_check_leaders(source);
    for (rd_kafka_message_t *message; (message = rd_kafka_consumer_poll(source->rk, 0)) != NULL;) {
        take_main_message(source, message);
        rd_kafka_message_destroy(message);
    }
    finish_rebalance(source);
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

void kafka_source_listen(struct kafka_source *source, rd_kafka_conf_t *conf)
{
    rd_kafka_conf_set_opaque(conf, source);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_offset_commit_cb(conf, on_commit);
    rd_kafka_conf_set_log_cb(conf, on_log);
}
