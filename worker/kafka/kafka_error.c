#include "worker/kafka/kafka_error.h"

#include "common/clock.h"

#include <librdkafka/rdkafka.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define QUIET_MS 30000

/*
 * What a code means, all of it at one place: what may be done about it, whether it passes by
 * itself, and what a person does. A code that is not here is tried again (ERR_RETRY) and goes to
 * people in the library's words alone.
 */
struct meaning {
    rd_kafka_resp_err_t code;
    enum err_action action;
    bool passes;
    const char *advice; /* NULL: none */
};

#define PASSES true
#define STAYS  false

#define REACH   "; if it stays so: do the brokers run, and can this machine reach them?"
#define LEADER  "; if it stays so: is the broker down that leads the partition?"
#define WHERE   "; was the topic deleted, or is it another cluster? 'attemptd doctor' looks"
#define DAMAGED "; the broker's copy is damaged: another replica may have it whole"

static const struct meaning meanings[] = {
    { RD_KAFKA_RESP_ERR_NO_ERROR, ERR_NONE, STAYS, NULL },

    /* nobody there, or nobody answers in time */
    { RD_KAFKA_RESP_ERR__TRANSPORT, ERR_LOST, PASSES, REACH },
    { RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, ERR_LOST, PASSES, REACH },
    { RD_KAFKA_RESP_ERR__RESOLVE, ERR_LOST, PASSES, REACH },
    { RD_KAFKA_RESP_ERR__TIMED_OUT, ERR_RETRY, PASSES, REACH },
    { RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, ERR_RETRY, PASSES, NULL },
    { RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, ERR_RETRY, PASSES, NULL },
    { RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, ERR_RETRY, PASSES, NULL },
    { RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, ERR_RETRY, PASSES, NULL },

    /* the brokers are about to agree on who does what */
    { RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, ERR_RETRY, PASSES, LEADER },
    { RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, ERR_RETRY, PASSES, LEADER },
    { RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, ERR_RETRY, PASSES, NULL },
    { RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH, ERR_RETRY, PASSES, NULL },
    { RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE, ERR_RETRY, PASSES, NULL },
    { RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, ERR_RETRY, PASSES, NULL },
    { RD_KAFKA_RESP_ERR__WAIT_COORD, ERR_RETRY, PASSES, NULL },
    { RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, ERR_RETRY, PASSES, NULL },
    { RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, ERR_RETRY, PASSES, NULL },
    { RD_KAFKA_RESP_ERR_NOT_COORDINATOR, ERR_RETRY, PASSES, NULL },

    /* something is full or short */
    { RD_KAFKA_RESP_ERR__QUEUE_FULL, ERR_RESOURCE, STAYS, NULL },
    { RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, ERR_RESOURCE, STAYS, NULL },
    { RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, ERR_RESOURCE, STAYS, NULL },
    { RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, ERR_RESOURCE, PASSES, NULL },

    /* this record, or what the broker has of it */
    { RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, ERR_REJECT, STAYS, NULL },
    { RD_KAFKA_RESP_ERR_INVALID_RECORD, ERR_REJECT, STAYS, NULL },
    { RD_KAFKA_RESP_ERR__BAD_MSG, ERR_RETRY, STAYS, DAMAGED },
    { RD_KAFKA_RESP_ERR__BAD_COMPRESSION, ERR_RETRY, STAYS, DAMAGED },
    { RD_KAFKA_RESP_ERR_INVALID_MSG, ERR_RETRY, STAYS, DAMAGED },

    /* not there: librdkafka says so, too, until it has heard of a leader */
    { RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, ERR_HALT, PASSES, WHERE },
    { RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, ERR_HALT, PASSES, WHERE },
    { RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, ERR_HALT, PASSES, WHERE },
    { RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, ERR_HALT, STAYS, NULL },

    /* not for us */
    { RD_KAFKA_RESP_ERR__AUTHENTICATION, ERR_HALT, STAYS, NULL },
    { RD_KAFKA_RESP_ERR__SSL, ERR_HALT, STAYS, NULL },
    { RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, ERR_HALT, STAYS, NULL },
    { RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, ERR_HALT, STAYS, NULL },
    { RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ERR_HALT, STAYS,
      "; grant this client its rights on the topic (DESCRIBE, and READ or WRITE)" },
    { RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, ERR_HALT, STAYS,
      "; grant this client READ on the group (ATTEMPTD_GROUP)" },
    { RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, ERR_HALT, STAYS, NULL },

    /* this client is finished */
    { RD_KAFKA_RESP_ERR__FATAL, ERR_BUG, STAYS, NULL },
    { RD_KAFKA_RESP_ERR__FENCED, ERR_BUG, STAYS, NULL },
    { RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, ERR_BUG, STAYS, NULL },
};

static const struct meaning *find(int code)
{
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if ((int)meanings[i].code == code)
            return &meanings[i];
    return NULL;
}

enum err_action kafka_error_action(int code)
{
    const struct meaning *meaning = find(code);
    return meaning == NULL ? ERR_RETRY : meaning->action;
}

bool kafka_error_passes(int code)
{
    const struct meaning *meaning = find(code);
    return meaning != NULL && meaning->passes;
}

const char *kafka_error_advice(int code)
{
    const struct meaning *meaning = find(code);
    return meaning == NULL || meaning->advice == NULL ? "" : meaning->advice;
}

const char *kafka_error_reason(const char *reason)
{
    return strstr(reason, "Invalid response size") == NULL
               ? reason
               : "what answers there does not speak Kafka: another server, or a listener that "
                 "wants TLS?";
}

bool kafka_error_set(struct err *err, int code, const char *format, ...)
{
    /* A failure for which the library has no code is one all the same. */
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = RD_KAFKA_RESP_ERR__FAIL;
    char text[sizeof err->text];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return err_set(err, kafka_error_action(code), rd_kafka_err2name((rd_kafka_resp_err_t)code),
                   "%s", text);
}

/* ---------------------------------------------------------------------------------- troubles */

static uint64_t key_hash(const char *key)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *key != '\0'; key++)
        hash = (hash ^ (uint8_t)*key) * 0x100000001b3u;
    return hash;
}

bool kafka_troubles_put(struct kafka_troubles *troubles, const char *key, const struct err *err)
{
    const size_t quiet_count = sizeof troubles->quiet / sizeof *troubles->quiet;
    int64_t now_ms = clock_now_ms();
    uint64_t hash = key_hash(key);
    for (size_t i = 0; i < quiet_count; i++)
        if (troubles->quiet[i].key == hash && now_ms < troubles->quiet[i].until_ms)
            return false;
    if (troubles->count == KAFKA_TROUBLES)
        return false;
    troubles->quiet[troubles->quiet_next].key = hash;
    troubles->quiet[troubles->quiet_next].until_ms = now_ms + QUIET_MS;
    troubles->quiet_next = (troubles->quiet_next + 1) % quiet_count;
    troubles->waiting[(troubles->first + troubles->count++) % KAFKA_TROUBLES] = *err;
    return true;
}

bool kafka_troubles_take(struct kafka_troubles *troubles, struct err *ret_err)
{
    if (troubles->count == 0)
        return false;
    *ret_err = troubles->waiting[troubles->first];
    troubles->first = (troubles->first + 1) % KAFKA_TROUBLES;
    troubles->count--;
    return true;
}
