#include "worker/kafka/kafka_producer.h"

#include "worker/kafka/kafka_error.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>

struct kafka_producer {
    rd_kafka_t *rk;
    struct kafka_counts counts;
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *report, void *opaque)
{
    (void)rk;
    struct kafka_producer *producer = opaque;
    if (report->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        producer->counts.delivered++;
        (*(uint64_t *)report->_private)++; /* of the message's tag */
        return;
    }
    producer->counts.failed++;
    (void)kafka_error_set(&producer->counts.last_failure, report->err,
                          "a message for %s was not delivered: %s%s",
                          rd_kafka_topic_name(report->rkt), rd_kafka_err2str(report->err),
                          kafka_error_advice(report->err));
}

struct kafka_producer *kafka_producer_new(const struct kafka_options *options, struct err *err)
{
    struct kafka_producer *producer = calloc(1, sizeof *producer);
    if (producer == NULL) {
        (void)err_set(err, ERR_RESOURCE, "ENOMEM", "no memory for the Kafka producer");
        return NULL;
    }
    rd_kafka_conf_t *conf = kafka_conf_new(options, KAFKA_PRODUCER, err);
    if (conf != NULL) {
        rd_kafka_conf_set_opaque(conf, producer);
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
        producer->rk = kafka_client_start(conf, KAFKA_PRODUCER, err);
    }
    if (producer->rk != NULL)
        return producer;
    free(producer);
    return NULL;
}

void kafka_producer_free(struct kafka_producer *producer)
{
    if (producer == NULL)
        return;
    (void)rd_kafka_purge(producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    (void)rd_kafka_flush(producer->rk, 100);
    rd_kafka_destroy(producer->rk);
    free(producer);
}

static rd_kafka_headers_t *headers_of(const struct kafka_outgoing *outgoing)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(outgoing->header_count);
    for (size_t i = 0; i < outgoing->header_count; i++) {
        const struct header *header = &outgoing->headers[i];
        (void)rd_kafka_header_add(headers, header->name.ptr, (ssize_t)header->name.len,
                                  header->value.ptr, (ssize_t)header->value.len);
    }
    return headers;
}

/* rd_kafka_vu_t's memory, as of its field `mem`; librdkafka only reads it. */
#define PART(b)                                                                                    \
    {                                                                                              \
        (void *)(uintptr_t)(b).ptr, (b).len                                                        \
    }

static rd_kafka_resp_err_t send_now(struct kafka_producer *producer,
                                    const struct kafka_outgoing *outgoing)
{
    rd_kafka_headers_t *headers = headers_of(outgoing);
    uint64_t *counter = &producer->counts.delivered_by[outgoing->tag % KAFKA_TAGS];
    const rd_kafka_vu_t parts[] = {
        { .vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = outgoing->topic },
        { .vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = outgoing->partition },
        { .vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY },
        { .vtype = RD_KAFKA_VTYPE_KEY, .u.mem = PART(outgoing->key) },
        { .vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = PART(outgoing->value) },
        { .vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers },
        { .vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = outgoing->timestamp_ms },
        { .vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = counter },
    };
    rd_kafka_error_t *error = rd_kafka_produceva(producer->rk, parts, sizeof parts / sizeof *parts);
    rd_kafka_resp_err_t code = rd_kafka_error_code(error); /* 0 for NULL */
    if (error != NULL) {
        rd_kafka_error_destroy(error);
        rd_kafka_headers_destroy(headers);
    }
    return code;
}

bool kafka_producer_send(struct kafka_producer *producer, const struct kafka_outgoing *outgoing,
                         struct err *err)
{
    rd_kafka_resp_err_t code;
    while ((code = send_now(producer, outgoing)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        (void)rd_kafka_poll(producer->rk, 100);
    (void)rd_kafka_poll(producer->rk, 0);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_error_set(err, code, "cannot send to %s: %s", outgoing->topic,
                               rd_kafka_err2str(code));
    producer->counts.sent++;
    return true;
}

struct kafka_counts kafka_producer_counts(struct kafka_producer *producer)
{
    (void)rd_kafka_poll(producer->rk, 0);
    return producer->counts;
}

bool kafka_producer_flush(struct kafka_producer *producer, int timeout_ms, struct err *err)
{
    rd_kafka_resp_err_t code = rd_kafka_flush(producer->rk, timeout_ms);
    if (producer->counts.failed > 0) {
        if (err != NULL)
            *err = producer->counts.last_failure;
        return false;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_error_set(err, code, "%d messages were not confirmed by Kafka in time",
                               rd_kafka_outq_len(producer->rk));
    return true;
}
