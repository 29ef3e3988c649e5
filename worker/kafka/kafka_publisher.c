#include "worker/kafka/kafka_publisher.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "worker/kafka/kafka_error.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RETRY_BASE_MS 500
#define RETRY_CAP_MS  5000

/* What librdkafka 2.0.2 allocates beside: its message with a copy of the key, and five headers,
 * each with its name and value. */
#define LIBRARY_BYTES 900

/* A message of ours; librdkafka borrows key and value until the delivery report. */
struct outgoing {
    struct outgoing *next;
    uint64_t ticket;
    enum outlet outlet;
    struct bytes type, id, key, value, traceparent; /* in `data` */
    size_t size;
    char data[];
};

struct outgoing_list {
    struct outgoing *first, *last;
};

struct kafka_publisher {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    const struct kafka_names *names;
    rd_kafka_topic_t *topics[OUTLET_COUNT];
    int wake_fd;
    struct clock clock;

    size_t count, bytes; /* everything that we own */
    struct outgoing_list confirmed;
    struct outgoing_list failed; /* to be sent again at `retry_at_ms` */
    int64_t retry_at_ms;
    struct backoff backoff;
    struct rng rng;
    struct kafka_troubles troubles;
};

static void list_push(struct outgoing_list *list, struct outgoing *outgoing)
{
    outgoing->next = NULL;
    if (list->last != NULL)
        list->last->next = outgoing;
    else
        list->first = outgoing;
    list->last = outgoing;
}

static struct outgoing *list_pop(struct outgoing_list *list)
{
    struct outgoing *outgoing = list->first;
    if (outgoing == NULL)
        return NULL;
    list->first = outgoing->next;
    if (list->first == NULL)
        list->last = NULL;
    return outgoing;
}

/* ---------------------------------------------------------------------------------- messages */

static struct bytes data_put(char **cursor, struct bytes b)
{
    if (!bytes_present(b))
        return BYTES_NONE;
    struct bytes copy = { *cursor, b.len };
    if (b.len > 0)
        memcpy(*cursor, b.ptr, b.len);
    *cursor += b.len;
    return copy;
}

static struct outgoing *outgoing_new(uint64_t ticket, const struct message *message)
{
    size_t length = message->type.len + message->id.len + message->key.len + message->value.len +
                    message->traceparent.len;
    struct outgoing *outgoing = malloc(sizeof *outgoing + length);
    if (outgoing == NULL)
        return NULL;
    *outgoing = (struct outgoing){ .ticket = ticket,
                                   .outlet = message->outlet,
                                   .size = sizeof *outgoing + length + LIBRARY_BYTES };
    char *cursor = outgoing->data;
    outgoing->type = data_put(&cursor, message->type);
    outgoing->id = data_put(&cursor, message->id);
    outgoing->key = data_put(&cursor, message->key);
    outgoing->value = data_put(&cursor, message->value);
    outgoing->traceparent = data_put(&cursor, message->traceparent);
    return outgoing;
}

static void outgoing_free(struct kafka_publisher *publisher, struct outgoing *outgoing)
{
    publisher->count--;
    publisher->bytes -= outgoing->size;
    free(outgoing);
}

static void header_add(rd_kafka_headers_t *headers, const char *name, struct bytes value)
{
    if (bytes_present(value))
        (void)rd_kafka_header_add(headers, name, -1, value.ptr, (ssize_t)value.len);
}

static rd_kafka_headers_t *headers_of(const struct outgoing *outgoing)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(6);
    header_add(headers, "ce_specversion", BYTES("1.0"));
    header_add(headers, "ce_id", outgoing->id);
    header_add(headers, "ce_source", BYTES("attemptd"));
    header_add(headers, "ce_type", outgoing->type);
    header_add(headers, "content-type", BYTES("application/json"));
    header_add(headers, "traceparent", outgoing->traceparent);
    return headers;
}

/* rd_kafka_vu_t's memory, as of its field `mem`; librdkafka only reads it. */
#define PART(b)                                                                                    \
    {                                                                                              \
        (void *)(uintptr_t)(b).ptr, (b).len                                                        \
    }

/* Borrowing key and value: librdkafka copies the key, and has the value until the report. */
static rd_kafka_resp_err_t send_now(struct kafka_publisher *publisher, struct outgoing *outgoing)
{
    rd_kafka_headers_t *headers = headers_of(outgoing);
    const rd_kafka_vu_t parts[] = {
        { .vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = publisher->topics[outgoing->outlet] },
        { .vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = RD_KAFKA_PARTITION_UA },
        { .vtype = RD_KAFKA_VTYPE_KEY, .u.mem = PART(outgoing->key) },
        { .vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = PART(outgoing->value) },
        { .vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers },
        { .vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = outgoing },
    };
    rd_kafka_error_t *error =
        rd_kafka_produceva(publisher->rk, parts, sizeof parts / sizeof *parts);
    rd_kafka_resp_err_t code = rd_kafka_error_code(error); /* 0 for NULL */
    if (error != NULL) {
        rd_kafka_error_destroy(error);
        rd_kafka_headers_destroy(headers);
    }
    return code;
}

/* ---------------------------------------------------------------------------------- failures */

static void tell_failure(struct kafka_publisher *publisher, enum outlet outlet,
                         rd_kafka_resp_err_t code)
{
    const char *topic = publisher->names->outlets[outlet];
    char key[300];
    struct err err;
    (void)snprintf(key, sizeof key, "%s/%s", rd_kafka_err2name(code), topic);
    switch (code) {
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        (void)kafka_error_set(&err, code,
                              "the topic %s does not exist: messages for it wait ('attemptd doctor "
                              "--fix' creates it)",
                              topic);
        break;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        (void)kafka_error_set(&err, code,
                              "no right to write to the topic %s: messages for it wait; grant "
                              "WRITE on it",
                              topic);
        break;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        (void)kafka_error_set(&err, code,
                              "a message is too large for the topic %s and waits: raise its "
                              "max.message.bytes",
                              topic);
        break;
    default:
        (void)kafka_error_set(&err, code,
                              "a message for %s was not delivered, sending it again: %s", topic,
                              rd_kafka_err2str(code));
    }
    (void)kafka_troubles_put(&publisher->troubles, key, &err);
}

static void take_failure(struct kafka_publisher *publisher, struct outgoing *outgoing,
                         rd_kafka_resp_err_t code)
{
    if (publisher->failed.first == NULL)
        publisher->retry_at_ms = clock_monotonic_ms(&publisher->clock) +
                                 backoff_next_ms(&publisher->backoff, &publisher->rng);
    list_push(&publisher->failed, outgoing);
    tell_failure(publisher, outgoing->outlet, code);
}

static void send_failed_again(struct kafka_publisher *publisher)
{
    struct outgoing_list again = publisher->failed;
    publisher->failed = (struct outgoing_list){ 0 };
    for (struct outgoing *outgoing; (outgoing = list_pop(&again)) != NULL;) {
        rd_kafka_resp_err_t code = send_now(publisher, outgoing);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            take_failure(publisher, outgoing, code);
    }
}

/* -------------------------------------------------------------------- callbacks, from tend() */

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *report, void *opaque)
{
    (void)rk;
    struct kafka_publisher *publisher = opaque;
    struct outgoing *outgoing = report->_private;
    if (report->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        take_failure(publisher, outgoing, report->err);
        return;
    }
    list_push(&publisher->confirmed, outgoing);
    backoff_reset(&publisher->backoff);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    struct kafka_publisher *publisher = opaque;
    struct err err;
    (void)kafka_error_set(&err, code, "the Kafka producer reports: %s", kafka_error_reason(reason));
    (void)kafka_troubles_put(&publisher->troubles, err.code, &err);
}

int64_t kafka_publisher_tend(struct kafka_publisher *publisher)
{
    (void)rd_kafka_poll(publisher->rk, 0);
    if (publisher->failed.first == NULL)
        return -1;
    int64_t wait_ms = publisher->retry_at_ms - clock_monotonic_ms(&publisher->clock);
    if (wait_ms > 0)
        return wait_ms;
    send_failed_again(publisher);
    return publisher->failed.first == NULL ? -1 : RETRY_BASE_MS;
}

/* ------------------------------------------------------------------------------------ the port */

static bool publisher_publish(void *self, uint64_t ticket, const struct message *message)
{
    struct kafka_publisher *publisher = self;
    if (publisher->count >= KAFKA_PUBLISHER_MESSAGES_MAX ||
        publisher->bytes >= KAFKA_PUBLISHER_BYTES_MAX)
        return false;
    struct outgoing *outgoing = outgoing_new(ticket, message);
    if (outgoing == NULL)
        return false;
    publisher->count++;
    publisher->bytes += outgoing->size;
    rd_kafka_resp_err_t code = send_now(publisher, outgoing);
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        outgoing_free(publisher, outgoing);
        return false;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        take_failure(publisher, outgoing, code);
    /* librdkafka holds it until the delivery report. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    return true;
}

static bool publisher_confirmed(void *self, uint64_t *ret_ticket)
{
    struct kafka_publisher *publisher = self;
    if (publisher->confirmed.first == NULL)
        (void)kafka_publisher_tend(publisher);
    struct outgoing *outgoing = list_pop(&publisher->confirmed);
    if (outgoing == NULL)
        return false;
    *ret_ticket = outgoing->ticket;
    outgoing_free(publisher, outgoing);
    return true;
}

struct publisher kafka_publisher_port(struct kafka_publisher *publisher)
{
    return (struct publisher){
        .self = publisher,
        .publish = publisher_publish,
        .confirmed = publisher_confirmed,
    };
}

bool kafka_publisher_trouble(struct kafka_publisher *publisher, struct err *ret_err)
{
    return kafka_troubles_take(&publisher->troubles, ret_err);
}

size_t kafka_publisher_waiting(const struct kafka_publisher *publisher)
{
    return publisher->count;
}

int kafka_publisher_fd(const struct kafka_publisher *publisher)
{
    return publisher->wake_fd;
}

void kafka_publisher_clear(struct kafka_publisher *publisher)
{
    uint64_t count;
    ssize_t got = read(publisher->wake_fd, &count, sizeof count);
    (void)got; /* nothing to read is as good */
}

/* -------------------------------------------------------------------------------- life cycle */

static bool open_topics(struct kafka_publisher *publisher, struct err *err)
{
    for (int i = 0; i < OUTLET_COUNT; i++) {
        publisher->topics[i] =
            rd_kafka_topic_new(publisher->rk, publisher->names->outlets[i], NULL);
        if (publisher->topics[i] == NULL)
            return kafka_error_set(err, rd_kafka_last_error(), "cannot open the topic %s",
                                   publisher->names->outlets[i]);
    }
    return true;
}

static bool start(struct kafka_publisher *publisher, const struct kafka_options *options,
                  struct err *err)
{
    static const uint64_t one = 1;
    publisher->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (publisher->wake_fd < 0)
        return err_set(err, ERR_RESOURCE, "eventfd", "no eventfd: %s", strerror(errno));
    rd_kafka_conf_t *conf = kafka_conf_new(options, KAFKA_PUBLISHER, err);
    if (conf == NULL)
        return false;
    rd_kafka_conf_set_opaque(conf, publisher);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, on_error);
    publisher->rk = kafka_client_start(conf, KAFKA_PUBLISHER, err);
    if (publisher->rk == NULL)
        return false;
    publisher->queue = rd_kafka_queue_get_main(publisher->rk);
    rd_kafka_queue_io_event_enable(publisher->queue, publisher->wake_fd, &one, sizeof one);
    return open_topics(publisher, err);
}

struct kafka_publisher *kafka_publisher_new(const struct kafka_options *options, struct err *err)
{
    struct kafka_publisher *publisher = calloc(1, sizeof *publisher);
    if (publisher == NULL) {
        (void)err_set(err, ERR_RESOURCE, "ENOMEM", "no memory for the Kafka producer");
        return NULL;
    }
    publisher->names = options->names;
    publisher->wake_fd = -1;
    publisher->clock = clock_system();
    publisher->backoff = (struct backoff){ .base_ms = RETRY_BASE_MS, .cap_ms = RETRY_CAP_MS };
    publisher->rng = (struct rng){ .state = (uint64_t)clock_wall_us(&publisher->clock) };
    if (start(publisher, options, err))
        return publisher;
    kafka_publisher_free(publisher);
    return NULL;
}

static void drop_list(struct kafka_publisher *publisher, struct outgoing_list *list)
{
    for (struct outgoing *outgoing; (outgoing = list_pop(list)) != NULL;)
        outgoing_free(publisher, outgoing);
}

void kafka_publisher_free(struct kafka_publisher *publisher)
{
    if (publisher == NULL)
        return;
    if (publisher->rk != NULL) {
        /* after the purge every message left gets its report, by which it becomes ours again */
        (void)rd_kafka_purge(publisher->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        (void)rd_kafka_flush(publisher->rk, 1000);
        for (int i = 0; i < OUTLET_COUNT; i++)
            if (publisher->topics[i] != NULL)
                rd_kafka_topic_destroy(publisher->topics[i]);
        if (publisher->queue != NULL) {
            rd_kafka_queue_io_event_enable(publisher->queue, -1, NULL, 0);
            rd_kafka_queue_destroy(publisher->queue);
        }
        rd_kafka_destroy(publisher->rk);
    }
    drop_list(publisher, &publisher->confirmed);
    drop_list(publisher, &publisher->failed);
    if (publisher->wake_fd >= 0)
        (void)close(publisher->wake_fd);
    free(publisher);
}
