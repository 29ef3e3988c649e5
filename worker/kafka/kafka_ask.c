#include "worker/kafka/kafka_ask.h"

#include "common/clock.h"
#include "worker/kafka/kafka_error.h"

#include <librdkafka/rdkafka.h>
#include <unistd.h>

#define PAUSE_MS 100

struct question {
    rd_kafka_t *rk;
    const char *topic;
    int32_t partition;
    int64_t asked_ms, deadline_ms;
};

bool kafka_ask_again(int code, int64_t deadline_ms)
{
    if (!kafka_error_passes(code) || clock_now_ms() >= deadline_ms)
        return false;
    (void)usleep(PAUSE_MS * 1000);
    return true;
}

int kafka_ask_left_ms(int64_t deadline_ms)
{
    int64_t left_ms = deadline_ms - clock_now_ms();
    return left_ms < PAUSE_MS ? PAUSE_MS : (int)left_ms;
}

static rd_kafka_resp_err_t state_of(const struct rd_kafka_metadata *metadata, int32_t partition)
{
    if (metadata->topic_cnt != 1)
        return RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    const struct rd_kafka_metadata_topic *topic = &metadata->topics[0];
    if (topic->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return topic->err;
    for (int i = 0; i < topic->partition_cnt; i++) {
        if (topic->partitions[i].id == partition)
            return topic->partitions[i].leader < 0 ? RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE
                                                   : topic->partitions[i].err;
    }
    return RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}

/* What the cluster itself says of the partition, which also puts it into the client's cache. */
static rd_kafka_resp_err_t ask_state(const struct question *question)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(question->rk, question->topic, NULL);
    if (handle == NULL)
        return rd_kafka_last_error();
    rd_kafka_resp_err_t code = rd_kafka_metadata(question->rk, 0, handle, &metadata,
                                                 kafka_ask_left_ms(question->deadline_ms));
    rd_kafka_topic_destroy(handle);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return code;
    code = state_of(metadata, question->partition);
    rd_kafka_metadata_destroy(metadata);
    return code;
}

/* After an answer that may pass. False when asking on is of no use; *code is the better reason. */
static bool ask_on(const struct question *question, rd_kafka_resp_err_t *code)
{
    rd_kafka_resp_err_t state = ask_state(question);
    if (state != RD_KAFKA_RESP_ERR_NO_ERROR)
        *code = state;
    else if (kafka_error_action(*code) == ERR_HALT)
        *code = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE; /* it is there, if not for whom we asked */
    bool missing = state == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART &&
                   clock_now_ms() - question->asked_ms >= KAFKA_ASK_MISSING_MS;
    return !missing && kafka_ask_again(*code, question->deadline_ms);
}

bool kafka_ask_log(struct rd_kafka_s *rk, const char *topic, int32_t partition, int64_t deadline_ms,
                   int64_t *ret_low, int64_t *ret_high, struct err *err)
{
    int64_t low, high;
    struct question question = { .rk = rk,
                                 .topic = topic,
                                 .partition = partition,
                                 .asked_ms = clock_now_ms(),
                                 .deadline_ms = deadline_ms };
    rd_kafka_resp_err_t code;
    do {
        code = rd_kafka_query_watermark_offsets(rk, topic, partition, &low, &high,
                                                kafka_ask_left_ms(deadline_ms));
    } while (code != RD_KAFKA_RESP_ERR_NO_ERROR && kafka_error_passes(code) &&
             ask_on(&question, &code));
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        *ret_low = low;
        *ret_high = high;
        return true;
    }
    return kafka_error_set(err, code,
                           "Kafka does not say where the log of %s[%d] begins and ends: %s%s",
                           topic, (int)partition, rd_kafka_err2str(code), kafka_error_advice(code));
}
