#include "tests/kafka/rig.h"

#include "common/clock.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const properties[] = {
    "topic.metadata.refresh.interval.ms=1000",
    "session.timeout.ms=6000",
    "heartbeat.interval.ms=500",
    "reconnect.backoff.max.ms=500",
};

void rig_init(struct rig *rig, const char *address, const char *name)
{
    struct err err = { 0 };
    char prefix[64];
    *rig = (struct rig){ 0 };
    (void)snprintf(prefix, sizeof prefix, "%s.", name);
    (void)snprintf(rig->group, sizeof rig->group, "group-%s", name);
    assert_true(kafka_names_init(&rig->names, prefix, &err));
    rig->options = (struct kafka_options){
        .bootstrap_servers = address,
        .group = rig->group,
        .names = &rig->names,
        .properties = properties,
        .property_count = sizeof properties / sizeof *properties,
    };
    rig->admin = kafka_admin_new(&rig->options, &err);
    rig->producer = kafka_producer_new(&rig->options, &err);
    if (rig->admin == NULL || rig->producer == NULL)
        fail_msg("%s", err.text);
}

void rig_release(struct rig *rig)
{
    kafka_admin_free(rig->admin);
    kafka_producer_free(rig->producer);
}

/* A broker that has just begun answers before its controller lets it hold partitions. */
void rig_create_topic(struct rig *rig, const char *name, int32_t partitions,
                      const struct kafka_setting *settings, size_t setting_count)
{
    struct err err;
    for (int tries = 0; tries < 40; tries++) {
        if (kafka_admin_create(rig->admin, name, partitions, settings, setting_count, &err))
            return;
        (void)usleep(500000);
    }
    fail_msg("%s", err.text);
}

void rig_create(struct rig *rig, enum topic topic, int32_t partitions)
{
    rig_create_topic(rig, rig->names.topics[topic], partitions, NULL, 0);
}

void rig_produce(struct rig *rig, enum topic topic, int32_t partition, int first, int count)
{
    struct err err;
    for (int i = first; i < first + count; i++) {
        char value[16];
        (void)snprintf(value, sizeof value, "%d", i);
        struct kafka_outgoing outgoing = { .topic = rig->names.topics[topic],
                                           .partition = partition,
                                           .key = BYTES("key"),
                                           .value = bytes_of(value) };
        if (!kafka_producer_send(rig->producer, &outgoing, &err))
            fail_msg("%s", err.text);
    }
    if (!kafka_producer_flush(rig->producer, 20000, &err))
        fail_msg("%s", err.text);
}

struct kafka_source *rig_source(struct rig *rig)
{
    struct err err;
    struct kafka_source *source = kafka_source_new(&rig->options, &err);
    if (source == NULL)
        fail_msg("%s", err.text);
    return source;
}

/* The source's fd is the only thing waited for: what does not wake it is a bug. */
static void wait_for_wake(struct kafka_source *source, int timeout_ms)
{
    struct pollfd pollfd = { .fd = kafka_source_fd(source), .events = POLLIN };
    (void)poll(&pollfd, 1, timeout_ms);
    kafka_source_clear(source);
}

struct source_event rig_wait(struct kafka_source *source, enum source_event_kind kind,
                             int timeout_s)
{
    struct source port = kafka_source_port(source);
    struct source_event event;
    for (int64_t until_ms = clock_now_ms() + timeout_s * 1000; clock_now_ms() < until_ms;) {
        port.next(port.self, &event);
        if (getenv("ATTEMPTD_TEST_TRACE") != NULL && event.kind != SOURCE_NOTHING)
            (void)fprintf(stderr, "news %d %s %s\n", event.kind, event.err.code, event.err.text);
        if (event.kind == kind)
            return event;
        if (event.kind == SOURCE_NOTHING)
            wait_for_wake(source, (int)(until_ms - clock_now_ms()));
    }
    fail_msg("no news of kind %d within %d s", (int)kind, timeout_s);
    return event;
}

enum read_result rig_read(struct kafka_source *source, struct tp tp, struct record *ret_record,
                          int64_t *ret_end)
{
    struct source port = kafka_source_port(source);
    for (int64_t until_ms = clock_now_ms() + 15000; clock_now_ms() < until_ms;) {
        enum read_result result = port.read(port.self, tp, ret_record, ret_end);
        if (result != READ_NOTHING)
            return result;
        wait_for_wake(source, 1000);
    }
    fail_msg("nothing to read within 15 s");
    return READ_NOTHING;
}

void rig_read_run(struct kafka_source *source, struct tp tp, int64_t first, int64_t last)
{
    struct record record;
    int64_t end;
    for (int64_t offset = first; offset <= last;) {
        if (rig_read(source, tp, &record, &end) == READ_END)
            continue; /* a pause of the producer */
        char value[16];
        (void)snprintf(value, sizeof value, "%lld", (long long)offset);
        assert_int_equal(record.offset, offset);
        assert_true(bytes_equal(record.value, bytes_of(value)));
        offset++;
    }
}

void rig_assign(struct kafka_source *source, struct tp tp, int64_t offset)
{
    struct source port = kafka_source_port(source);
    struct err err;
    struct position position = { tp, offset };
    if (!port.assign(port.self, &position, 1, &err))
        fail_msg("%s", err.text);
}

void rig_join(struct kafka_source *source, size_t partitions)
{
    struct source_event event = rig_wait(source, SOURCE_ASSIGNED, 20);
    while (event.tp_count != partitions)
        event = rig_wait(source, SOURCE_ASSIGNED, 20);
}
