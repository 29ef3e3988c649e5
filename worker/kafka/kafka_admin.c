#include "worker/kafka/kafka_admin.h"

#include "common/clock.h"
#include "worker/kafka/kafka_ask.h"
#include "worker/kafka/kafka_error.h"
#include "worker/kafka/kafka_witness.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTLE_MS 50

struct kafka_admin {
    rd_kafka_t *rk;
    rd_kafka_t *watcher; /* NULL until somebody wants to see high watermarks: what an end is goes
                            with the client */
    const struct kafka_options *options;
    char reason[160]; /* of the last connection that failed; empty when there was none */
};

/* That all brokers are down says less than why one is. */
static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct kafka_admin *admin = opaque;
    (void)rk;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        return;
    const char *why = kafka_error_reason(reason);
    const char *noise = strstr(why, " (after "); /* so many ms in some state */
    (void)snprintf(admin->reason, sizeof admin->reason, "%.*s",
                   noise != NULL ? (int)(noise - why) : (int)strlen(why), why);
}

static rd_kafka_t *client_new(struct kafka_admin *admin, enum kafka_role role, struct err *err)
{
    rd_kafka_conf_t *conf = kafka_conf_new(admin->options, role, err);
    if (conf == NULL)
        return NULL;
    rd_kafka_conf_set_opaque(conf, admin);
    rd_kafka_conf_set_error_cb(conf, on_error);
    return kafka_client_start(conf, role, err);
}

struct kafka_admin *kafka_admin_new(const struct kafka_options *options, struct err *err)
{
    struct kafka_admin *admin = calloc(1, sizeof *admin);
    if (admin == NULL) {
        (void)err_set(err, ERR_RESOURCE, "ENOMEM", "no memory for the Kafka client");
        return NULL;
    }
    admin->options = options;
    admin->rk = client_new(admin, KAFKA_READER, err);
    if (admin->rk != NULL)
        return admin;
    free(admin);
    return NULL;
}

void kafka_admin_free(struct kafka_admin *admin)
{
    if (admin == NULL)
        return;
    rd_kafka_destroy_flags(admin->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    if (admin->watcher != NULL)
        rd_kafka_destroy_flags(admin->watcher, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free(admin);
}

/* --------------------------------------------------------------------------------- questions */

bool kafka_admin_cluster(struct kafka_admin *admin, int timeout_ms, struct kafka_cluster *ret,
                         struct err *err)
{
    const struct rd_kafka_metadata *metadata;
    const int64_t deadline_ms = clock_now_ms() + timeout_ms;
    rd_kafka_resp_err_t code;
    int broker_count = -1;
    do {
        code = rd_kafka_metadata(admin->rk, 0, NULL, &metadata, kafka_ask_left_ms(deadline_ms));
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            continue;
        broker_count = metadata->broker_cnt;
        rd_kafka_metadata_destroy(metadata);
    } while (broker_count == 0 &&
             kafka_ask_again(RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, deadline_ms));
    if (broker_count < 0) {
        (void)rd_kafka_poll(admin->rk, 0); /* on_error() */
        return kafka_error_set(err, code, "%s",
                               admin->reason[0] != '\0' ? admin->reason : rd_kafka_err2str(code));
    }
    *ret = (struct kafka_cluster){ .broker_count = broker_count };
    char *id = rd_kafka_clusterid(admin->rk, KAFKA_ADMIN_TIMEOUT_MS);
    (void)snprintf(ret->id, sizeof ret->id, "%s", id ? id : "");
    if (id != NULL)
        rd_kafka_mem_free(admin->rk, id);
    return true;
}

static bool topic_from(const struct rd_kafka_metadata *metadata, const char *topic,
                       struct kafka_topic *ret, struct err *err)
{
    rd_kafka_resp_err_t code = metadata->topic_cnt == 1 ? metadata->topics[0].err
                                                        : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        *ret = (struct kafka_topic){ .exists = false };
        return true;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_error_set(err, code, "Kafka does not describe the topic %s: %s%s", topic,
                               rd_kafka_err2str(code), kafka_error_advice(code));
    const struct rd_kafka_metadata_topic *found = &metadata->topics[0];
    *ret = (struct kafka_topic){
        .exists = true,
        .partition_count = found->partition_cnt,
        .replication_factor = found->partition_cnt > 0 ? found->partitions[0].replica_cnt : 0,
    };
    return true;
}

bool kafka_admin_topic(struct kafka_admin *admin, const char *topic, struct kafka_topic *ret,
                       struct err *err)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(admin->rk, topic, NULL);
    if (handle == NULL)
        return kafka_error_set(err, rd_kafka_last_error(), "cannot open the topic %s", topic);
    const struct rd_kafka_metadata *metadata;
    const int64_t deadline_ms = clock_now_ms() + KAFKA_ADMIN_TIMEOUT_MS;
    rd_kafka_resp_err_t code;
    do {
        code = rd_kafka_metadata(admin->rk, 0, handle, &metadata, kafka_ask_left_ms(deadline_ms));
    } while (kafka_ask_again(code, deadline_ms));
    rd_kafka_topic_destroy(handle);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_error_set(err, code, "Kafka does not describe the topic %s: %s%s", topic,
                               rd_kafka_err2str(code), kafka_error_advice(code));
    bool answered = topic_from(metadata, topic, ret, err);
    rd_kafka_metadata_destroy(metadata);
    return answered;
}

bool kafka_admin_log(struct kafka_admin *admin, const char *topic, int32_t partition,
                     int64_t *ret_low, int64_t *ret_high, struct err *err)
{
    return kafka_ask_log(admin->rk, topic, partition, clock_now_ms() + KAFKA_ADMIN_TIMEOUT_MS,
                         ret_low, ret_high, err);
}

bool kafka_admin_ends(struct kafka_admin *admin, const char *topic, int32_t partition,
                      struct kafka_log_ends *ret, struct err *err)
{
    int64_t low, high;
    struct kafka_log_ends ends;
    const int64_t deadline_ms = clock_now_ms() + KAFKA_ADMIN_TIMEOUT_MS; /* of both questions */
    if (admin->watcher == NULL)
        admin->watcher = client_new(admin, KAFKA_WATCHER, err);
    /* the high watermark first: what is written between two questions is no open transaction */
    if (admin->watcher == NULL ||
        !kafka_ask_log(admin->watcher, topic, partition, deadline_ms, &low, &high, err) ||
        !kafka_ask_log(admin->rk, topic, partition, deadline_ms, &ends.low, &ends.stable, err))
        return false;
    ends.high = high > ends.stable ? high : ends.stable;
    *ret = ends;
    return true;
}

bool kafka_admin_committed(struct kafka_admin *admin, const char *topic, int32_t partition,
                           int64_t *ret_offset, struct witness *ret_witness, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    (void)rd_kafka_topic_partition_list_add(list, topic, partition);
    const int64_t deadline_ms = clock_now_ms() + KAFKA_ADMIN_TIMEOUT_MS;
    rd_kafka_resp_err_t code;
    do {
        code = rd_kafka_committed(admin->rk, list, kafka_ask_left_ms(deadline_ms));
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            code = list->elems[0].err;
    } while (kafka_ask_again(code, deadline_ms));
    int64_t offset = list->elems[0].offset;
    struct witness witness = kafka_witness_get(&list->elems[0]);
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_error_set(
            err, code, "Kafka does not say what the group has committed for %s[%d]: %s%s", topic,
            (int)partition, rd_kafka_err2str(code), kafka_error_advice(code));
    *ret_offset = offset < 0 ? -1 : offset;
    *ret_witness = witness;
    return true;
}

/* ------------------------------------------------------------------------- admin operations */

struct operation {
    rd_kafka_AdminOptions_t *options;
    rd_kafka_queue_t *queue;
    rd_kafka_event_t *event;
};

static struct operation operation_begin(struct kafka_admin *admin, rd_kafka_admin_op_t kind)
{
    struct operation operation = { .options = rd_kafka_AdminOptions_new(admin->rk, kind),
                                   .queue = rd_kafka_queue_new(admin->rk) };
    (void)rd_kafka_AdminOptions_set_request_timeout(operation.options, KAFKA_ADMIN_TIMEOUT_MS, NULL,
                                                    0);
    /* so that a topic that was created can be used when the call returns */
    (void)rd_kafka_AdminOptions_set_operation_timeout(operation.options,
                                                      KAFKA_ADMIN_TIMEOUT_MS - 1000, NULL, 0);
    return operation;
}

/* Waits for the answer; the request may have failed as a whole. */
static bool operation_wait(struct operation *operation, const char *what, const char *topic,
                           struct err *err)
{
    operation->event = rd_kafka_queue_poll(operation->queue, KAFKA_ADMIN_TIMEOUT_MS + 1000);
    rd_kafka_resp_err_t code =
        operation->event ? rd_kafka_event_error(operation->event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    return kafka_error_set(err, code, "Kafka did not %s the topic %s: %s", what, topic,
                           operation->event ? rd_kafka_event_error_string(operation->event)
                                            : "no answer");
}

static void operation_end(struct operation *operation)
{
    if (operation->event != NULL)
        rd_kafka_event_destroy(operation->event);
    rd_kafka_queue_destroy(operation->queue);
    rd_kafka_AdminOptions_destroy(operation->options);
}

static bool topic_result(const rd_kafka_topic_result_t *const *results, size_t count,
                         rd_kafka_resp_err_t tolerated, const char *what, const char *topic,
                         struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);
        const char *text = rd_kafka_topic_result_error_string(results[i]);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != tolerated)
            return kafka_error_set(err, code, "Kafka did not %s the topic %s: %s", what, topic,
                                   text ? text : rd_kafka_err2str(code));
    }
    return true;
}

/* The controller answers before its brokers know: wait until they say so, too. */
static bool wait_until_known(struct kafka_admin *admin, const char *topic, bool exists,
                             int32_t partitions, struct err *err)
{
    for (int tries = 0; tries < KAFKA_ADMIN_TIMEOUT_MS / SETTLE_MS; tries++) {
        struct kafka_topic now;
        if (!kafka_admin_topic(admin, topic, &now, err))
            return false;
        if (now.exists == exists && (!exists || now.partition_count >= partitions))
            return true;
        (void)usleep(SETTLE_MS * 1000);
    }
    return err_set(err, ERR_RETRY, "timeout",
                   "the change of the topic %s was accepted, but the brokers do not show it yet",
                   topic);
}

bool kafka_admin_create(struct kafka_admin *admin, const char *topic, int32_t partitions,
                        const struct kafka_setting *settings, size_t setting_count, struct err *err)
{
    char text[200];
    rd_kafka_NewTopic_t *wish = rd_kafka_NewTopic_new(topic, partitions, -1, text, sizeof text);
    if (wish == NULL)
        return err_set(err, ERR_HALT, "topic", "cannot create the topic %s: %s", topic, text);
    for (size_t i = 0; i < setting_count; i++) {
        rd_kafka_resp_err_t code =
            rd_kafka_NewTopic_set_config(wish, settings[i].name, settings[i].value);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            continue;
        rd_kafka_NewTopic_destroy(wish);
        return kafka_error_set(err, code, "cannot create the topic %s with %s=%s: %s", topic,
                               settings[i].name, settings[i].value, rd_kafka_err2str(code));
    }
    struct operation operation = operation_begin(admin, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_CreateTopics(admin->rk, &wish, 1, operation.options, operation.queue);
    rd_kafka_NewTopic_destroy(wish);
    bool done = operation_wait(&operation, "create", topic, err);
    if (done) {
        size_t count;
        const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(
            rd_kafka_event_CreateTopics_result(operation.event), &count);
        done = topic_result(results, count, RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, "create", topic,
                            err);
    }
    operation_end(&operation);
    return done && wait_until_known(admin, topic, true, 1, err);
}

bool kafka_admin_grow(struct kafka_admin *admin, const char *topic, int32_t partitions,
                      struct err *err)
{
    char text[200];
    rd_kafka_NewPartitions_t *wish =
        rd_kafka_NewPartitions_new(topic, (size_t)partitions, text, sizeof text);
    if (wish == NULL)
        return err_set(err, ERR_HALT, "topic", "cannot grow the topic %s: %s", topic, text);
    struct operation operation = operation_begin(admin, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS);
    rd_kafka_CreatePartitions(admin->rk, &wish, 1, operation.options, operation.queue);
    rd_kafka_NewPartitions_destroy(wish);
    bool done = operation_wait(&operation, "grow", topic, err);
    if (done) {
        size_t count;
        const rd_kafka_topic_result_t **results = rd_kafka_CreatePartitions_result_topics(
            rd_kafka_event_CreatePartitions_result(operation.event), &count);
        done = topic_result(results, count, RD_KAFKA_RESP_ERR_NO_ERROR, "grow", topic, err);
    }
    operation_end(&operation);
    return done && wait_until_known(admin, topic, true, partitions, err);
}

bool kafka_admin_delete(struct kafka_admin *admin, const char *topic, struct err *err)
{
    rd_kafka_DeleteTopic_t *wish = rd_kafka_DeleteTopic_new(topic);
    struct operation operation = operation_begin(admin, RD_KAFKA_ADMIN_OP_DELETETOPICS);
    rd_kafka_DeleteTopics(admin->rk, &wish, 1, operation.options, operation.queue);
    rd_kafka_DeleteTopic_destroy(wish);
    bool done = operation_wait(&operation, "delete", topic, err);
    if (done) {
        size_t count;
        const rd_kafka_topic_result_t **results = rd_kafka_DeleteTopics_result_topics(
            rd_kafka_event_DeleteTopics_result(operation.event), &count);
        done = topic_result(results, count, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "delete",
                            topic, err);
    }
    operation_end(&operation);
    return done && wait_until_known(admin, topic, false, 0, err);
}

static void take_settings(const rd_kafka_ConfigResource_t *resource,
                          void (*take)(void *self, const struct kafka_setting *setting), void *self)
{
    size_t count;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < count; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        if (value != NULL)
            take(self, &(struct kafka_setting){ rd_kafka_ConfigEntry_name(entries[i]), value });
    }
}

bool kafka_admin_settings(struct kafka_admin *admin, const char *topic,
                          void (*take)(void *self, const struct kafka_setting *setting), void *self,
                          struct err *err)
{
    rd_kafka_ConfigResource_t *wish = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    struct operation operation = operation_begin(admin, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_DescribeConfigs(admin->rk, &wish, 1, operation.options, operation.queue);
    rd_kafka_ConfigResource_destroy(wish);
    bool done = operation_wait(&operation, "describe", topic, err);
    if (done) {
        size_t count;
        const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
            rd_kafka_event_DescribeConfigs_result(operation.event), &count);
        for (size_t i = 0; i < count && done; i++) {
            rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(resources[i]);
            if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
                take_settings(resources[i], take, self);
            else
                done = kafka_error_set(err, code, "Kafka does not describe the topic %s: %s", topic,
                                       rd_kafka_err2str(code));
        }
    }
    operation_end(&operation);
    return done;
}
