#include "worker/kafka/kafka_reader.h"

#include "common/clock.h"
#include "worker/kafka/kafka_ask.h"
#include "worker/kafka/kafka_error.h"
#include "worker/kafka/kafka_message.h"

#include <librdkafka/rdkafka.h>

#define TIMEOUT_MS 30000 /* without any record */

struct reading {
    rd_kafka_t *rk;
    const char *topic;
    struct tp tp;
    int64_t position, to;
    bool ended_early;
    int64_t deadline_ms;        /* for the next record */
    rd_kafka_resp_err_t passed; /* what Kafka said last instead of a record */
    kafka_take_record *take;
    void *self;
    struct kafka_headers headers;
};

static bool find_bounds(struct reading *reading, int64_t from, struct err *err)
{
    int64_t low, high;
    if (!kafka_ask_log(reading->rk, reading->topic, reading->tp.partition,
                       clock_now_ms() + TIMEOUT_MS, &low, &high, err))
        return false;
    reading->position = from == KAFKA_READ_BEGINNING ? low : from;
    reading->to = reading->to == KAFKA_READ_END ? high : reading->to;
    if (reading->position < reading->to && (reading->position < low || reading->to > high))
        return err_set(err, ERR_HALT, "out_of_range",
                       "the log of %s[%d] holds the offsets from %lld to before %lld, not those "
                       "from %lld to before %lld",
                       reading->topic, (int)reading->tp.partition, (long long)low, (long long)high,
                       (long long)reading->position, (long long)reading->to);
    return true;
}

static bool assign(struct reading *reading, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, reading->topic, reading->tp.partition)->offset =
        reading->position;
    rd_kafka_resp_err_t code = rd_kafka_assign(reading->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    return kafka_error_set(err, code, "cannot read %s[%d]: %s", reading->topic,
                           (int)reading->tp.partition, rd_kafka_err2str(code));
}

static void heard(struct reading *reading)
{
    reading->deadline_ms = clock_now_ms() + TIMEOUT_MS;
    reading->passed = RD_KAFKA_RESP_ERR_NO_ERROR;
}

static bool take_message(struct reading *reading, const rd_kafka_message_t *message,
                         struct err *err)
{
    struct record record;
    struct err why;
    switch (message->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        break;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        reading->position = message->offset;
        heard(reading);
        return true;
    default:
        if (kafka_error_passes(message->err)) { /* the library goes on from where it was */
            reading->passed = message->err;
            return true;
        }
        return kafka_error_set(err, message->err, "reading %s[%d] at offset %lld: %s%s",
                               reading->topic, (int)reading->tp.partition,
                               (long long)reading->position, rd_kafka_message_errstr(message),
                               kafka_error_advice(message->err));
    }
    reading->position = message->offset + 1;
    heard(reading);
    if (message->offset >= reading->to)
        return true;
    if (!kafka_message_map(message, reading->tp, &reading->headers, &record, &why))
        return err_set(err, why.action, why.code, "%s[%d] at offset %lld: %s", reading->topic,
                       (int)reading->tp.partition, (long long)message->offset, why.text);
    reading->ended_early = !reading->take(reading->self, &record);
    return true;
}

static bool nothing_came(const struct reading *reading, struct err *err)
{
    return err_set(err, ERR_RETRY, "timeout",
                   "nothing came from %s[%d] at offset %lld for %d s%s%s: does its broker run? "
                   "Then try again",
                   reading->topic, (int)reading->tp.partition, (long long)reading->position,
                   TIMEOUT_MS / 1000, reading->passed ? ", but " : "",
                   reading->passed ? rd_kafka_err2str(reading->passed) : "");
}

static bool read_all(struct reading *reading, struct err *err)
{
    bool ok = true;
    heard(reading);
    while (ok && !reading->ended_early && reading->position < reading->to) {
        int64_t left_ms = reading->deadline_ms - clock_now_ms();
        /* whoever takes them may need longer for one than we wait for the next */
        rd_kafka_message_t *message =
            rd_kafka_consumer_poll(reading->rk, left_ms > 0 ? (int)left_ms : 0);
        if (message != NULL) {
            ok = take_message(reading, message, err);
            rd_kafka_message_destroy(message);
        } else if (left_ms <= 0) {
            ok = nothing_came(reading, err);
        }
    }
    return ok;
}

bool kafka_read_range(const struct kafka_options *options, const char *topic, int32_t partition,
                      int64_t from, int64_t to, kafka_take_record *take, void *self,
                      struct err *err)
{
    struct reading reading = {
        .topic = topic, .tp = { TOPIC_COUNT, partition }, .to = to, .take = take, .self = self
    };
    (void)kafka_topic_find(options->names, topic, &reading.tp.topic);
    rd_kafka_conf_t *conf = kafka_conf_new(options, KAFKA_READER, err);
    reading.rk = conf ? kafka_client_start(conf, KAFKA_READER, err) : NULL;
    if (reading.rk == NULL)
        return false;
    bool ok = find_bounds(&reading, from, err);
    if (ok && reading.position < reading.to)
        ok = assign(&reading, err) && read_all(&reading, err);
    rd_kafka_destroy_flags(reading.rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    kafka_headers_release(&reading.headers);
    return ok;
}
