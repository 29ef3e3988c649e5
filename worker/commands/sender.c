#include "worker/commands/sender.h"

#include "worker/commands/kafka_setup.h"
#include "worker/kafka/kafka_admin.h"

#include <stdlib.h>

struct sender {
    struct kafka_setup setup;
    struct kafka_producer *producer;
};

static bool check_topic(struct kafka_admin *admin, const char *name, struct err *err)
{
    struct kafka_topic topic;
    if (!kafka_admin_topic(admin, name, &topic, err))
        return false;
    if (topic.exists)
        return true;
    return err_set(err, ERR_HALT, "topic",
                   "Kafka has no topic %s; 'attemptd doctor --fix' creates what is missing", name);
}

/* Without this, a wrong address would show only when the first delivery times out. */
static bool look(const struct kafka_setup *setup, struct err *err)
{
    struct kafka_admin *admin = kafka_setup_reach(setup, err);
    if (admin == NULL)
        return false;
    bool good = check_topic(admin, setup->names.topics[TOPIC_WRITES], err) &&
                check_topic(admin, setup->names.topics[TOPIC_ACTIVITY], err);
    kafka_admin_free(admin);
    return good;
}

struct sender *sender_new(const struct settings *settings, struct err *err)
{
    struct sender *sender = calloc(1, sizeof *sender);
    if (sender == NULL) {
        (void)err_set(err, ERR_RESOURCE, "ENOMEM", "out of memory");
        return NULL;
    }
    if (!kafka_setup_init(&sender->setup, settings, err)) {
        free(sender);
        return NULL;
    }
    if (look(&sender->setup, err))
        sender->producer = kafka_producer_new(&sender->setup.options, err);
    if (sender->producer != NULL)
        return sender;
    sender_free(sender);
    return NULL;
}

void sender_free(struct sender *sender)
{
    if (sender == NULL)
        return;
    kafka_producer_free(sender->producer);
    kafka_setup_release(&sender->setup);
    free(sender);
}

bool sender_send(struct sender *sender, const struct record *record, unsigned tag, struct err *err)
{
    struct kafka_outgoing outgoing = { .topic = sender->setup.names.topics[record->tp.topic],
                                       .partition = record->tp.partition,
                                       .key = record->key,
                                       .value = record->value,
                                       .headers = record->headers,
                                       .header_count = record->header_count,
                                       .tag = tag };
    return kafka_producer_send(sender->producer, &outgoing, err);
}

bool sender_flush(struct sender *sender, int timeout_ms, struct err *err)
{
    return kafka_producer_flush(sender->producer, timeout_ms, err);
}

struct kafka_counts sender_counts(struct sender *sender)
{
    return kafka_producer_counts(sender->producer);
}
