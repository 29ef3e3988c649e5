#include "worker/kafka/kafka_message.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>

void kafka_headers_release(struct kafka_headers *headers)
{
    free(headers->items);
    *headers = (struct kafka_headers){ 0 };
}

static bool headers_reserve(struct kafka_headers *headers, size_t count)
{
    if (count <= headers->capacity)
        return true;
    struct header *grown = realloc(headers->items, 2 * count * sizeof *grown);
    if (grown == NULL)
        return false;
    headers->items = grown;
    headers->capacity = 2 * count;
    return true;
}

static bool headers_map(struct kafka_headers *headers, const rd_kafka_message_t *message,
                        struct record *record)
{
    rd_kafka_headers_t *found;
    if (rd_kafka_message_headers(message, &found) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return true; /* it has none */
    size_t count = rd_kafka_header_cnt(found);
    if (!headers_reserve(headers, count))
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *name;
        const void *value;
        size_t length;
        if (rd_kafka_header_get_all(found, i, &name, &value, &length) != RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        headers->items[record->header_count++] =
            (struct header){ bytes_of(name), { value, value ? length : 0 } };
    }
    record->headers = headers->items;
    return true;
}

bool kafka_message_map(const struct rd_kafka_message_s *message, struct tp tp,
                       struct kafka_headers *headers, struct record *ret_record)
{
    *ret_record = (struct record){
        .tp = tp,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, NULL),
        .key = { message->key, message->key ? message->key_len : 0 },
        .value = { message->payload, message->payload ? message->len : 0 },
    };
    return headers_map(headers, message, ret_record);
}

bool kafka_topic_find(const struct kafka_names *names, const char *name, enum topic *ret_topic)
{
    for (int i = 0; i < TOPIC_COUNT; i++)
        if (strcmp(names->topics[i], name) == 0) {
            *ret_topic = (enum topic)i;
            return true;
        }
    return false;
}
