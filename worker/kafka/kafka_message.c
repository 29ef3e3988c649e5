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

static bool unreadable(rd_kafka_resp_err_t code, struct err *err)
{
    return err_set(err, ERR_HALT, "corrupt", "its headers cannot be read: %s",
                   rd_kafka_err2str(code));
}

static bool headers_map(struct kafka_headers *headers, const rd_kafka_message_t *message,
                        struct record *record, struct err *err)
{
    rd_kafka_headers_t *found;
    rd_kafka_resp_err_t code = rd_kafka_message_headers(message, &found);
    if (code == RD_KAFKA_RESP_ERR__NOENT)
        return true; /* it has none */
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return unreadable(code, err);
    size_t count = rd_kafka_header_cnt(found);
    if (!headers_reserve(headers, count))
        return err_set(err, ERR_RESOURCE, "memory", "no memory for its %zu headers", count);
    for (size_t i = 0; i < count; i++) {
        const char *name;
        const void *value;
        size_t length;
        code = rd_kafka_header_get_all(found, i, &name, &value, &length);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return unreadable(code, err);
        headers->items[record->header_count++] =
            (struct header){ bytes_of(name), { value, value ? length : 0 } };
    }
    record->headers = headers->items;
    return true;
}

static size_t record_bytes(const struct record *record)
{
    size_t bytes = record->key.len + record->value.len;
    for (size_t i = 0; i < record->header_count; i++)
        bytes += record->headers[i].name.len + record->headers[i].value.len;
    return bytes;
}

bool kafka_message_map(const struct rd_kafka_message_s *message, struct tp tp,
                       struct kafka_headers *headers, struct record *ret_record, struct err *err)
{
    *ret_record = (struct record){
        .tp = tp,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, NULL),
        .key = { message->key, message->key ? message->key_len : 0 },
        .value = { message->payload, message->payload ? message->len : 0 },
    };
    if (!headers_map(headers, message, ret_record, err))
        return false;
    size_t bytes = record_bytes(ret_record);
    return bytes <= KAFKA_RECORD_BYTES_MAX ||
           err_set(err, ERR_HALT, "corrupt", "a record of %zu bytes; none may have more than %zu",
                   bytes, KAFKA_RECORD_BYTES_MAX);
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
