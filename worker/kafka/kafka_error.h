/*
 * Kafka's errors in our words, and a small box for those that people should hear of.
 *
 * librdkafka says what went wrong; `struct err` also says what may be done about it. While a broker
 * is away the same error comes again and again, so the box lets one through per key and half
 * minute, and holds a few: it is for people, never for decisions.
 */
#ifndef WORKER_KAFKA_KAFKA_ERROR_H
#define WORKER_KAFKA_KAFKA_ERROR_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

enum err_action kafka_error_action(int code);

/*
 * True for what a broker or the client may say for a while although all is well: asked again, they
 * say something else. A topic or partition that is unknown is among it, since librdkafka says so
 * until it has heard of a leader.
 */
bool kafka_error_passes(int code);

/*
 * What to do about it, to be put behind the library's own words: "; grant ...", or "" where those
 * say enough.
 */
const char *kafka_error_advice(int code);

/*
 * The library's reason for a failed connection, without what would lead astray; what it says of an
 * answer that is none of Kafka's is about a buffer size.
 */
const char *kafka_error_reason(const char *reason);

/* `code` is an rd_kafka_resp_err_t; its name becomes err->code. Returns false. */
bool kafka_error_set(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define KAFKA_TROUBLES 8

/* All zero is empty. */
struct kafka_troubles {
    struct err waiting[KAFKA_TROUBLES];
    size_t first, count;
    struct {
        uint64_t key;
        int64_t until_ms;
    } quiet[2 * KAFKA_TROUBLES];
    size_t quiet_next;
};

/* Keeps a copy; false when `key` was heard within half a minute or the box is full. */
bool kafka_troubles_put(struct kafka_troubles *troubles, const char *key, const struct err *err);

bool kafka_troubles_take(struct kafka_troubles *troubles, struct err *ret_err);

#endif
