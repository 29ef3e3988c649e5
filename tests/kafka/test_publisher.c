/*
 * The publisher on a real broker: every ticket comes back exactly once, and its message is there.
 */
#include "tests/kafka/private_kafka.h"
#include "tests/kafka/rig.h"
#include "worker/kafka/kafka_publisher.h"

#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define MESSAGES 3000

static const char *address(void **state)
{
    return ((struct private_kafka *)*state)->address;
}

static struct kafka_publisher *publisher_of(struct rig *rig)
{
    struct err err;
    struct kafka_publisher *publisher = kafka_publisher_new(&rig->options, &err);
    if (publisher == NULL)
        fail_msg("%s", err.text);
    return publisher;
}

static void create_outlet(struct rig *rig, enum outlet outlet)
{
    const struct kafka_setting retention = { "retention.ms", "7200000" };
    rig_create_topic(rig, rig->names.outlets[outlet], 1, &retention, 1);
}

/* One turn of a loop that sleeps on the publisher's fd. */
static void turn(struct kafka_publisher *publisher)
{
    int64_t wait_ms = kafka_publisher_tend(publisher);
    struct pollfd pollfd = { .fd = kafka_publisher_fd(publisher), .events = POLLIN };
    (void)poll(&pollfd, 1, wait_ms < 0 || wait_ms > 1000 ? 1000 : (int)wait_ms);
    kafka_publisher_clear(publisher);
}

static void take_tickets(struct kafka_publisher *publisher, unsigned char *seen, size_t wanted)
{
    struct publisher port = kafka_publisher_port(publisher);
    size_t taken = 0;
    for (int turns = 0; taken < wanted && turns < 400; turns++) {
        for (uint64_t ticket; port.confirmed(port.self, &ticket); taken++)
            assert_int_equal(seen[ticket]++, 0);
        if (taken < wanted)
            turn(publisher);
    }
    assert_int_equal(taken, wanted);
}

struct found {
    size_t count;
    unsigned char seen[MESSAGES];
};

static bool on_record(void *self, const struct record *record)
{
    struct found *found = self;
    assert_true(record->header_count >= 5);
    assert_true(bytes_equal(record->headers[0].name, BYTES("ce_specversion")));
    assert_true(bytes_equal(record->headers[0].value, BYTES("1.0")));
    assert_true(bytes_equal(record->headers[1].name, BYTES("ce_id")));
    assert_true(bytes_equal(record->headers[2].value, BYTES("attemptd")));
    assert_true(bytes_equal(record->headers[3].value, BYTES("cache.invalidated.v1")));
    assert_true(bytes_equal(record->headers[4].value, BYTES("application/json")));
    assert_true(bytes_equal(record->key, BYTES("attempt:1")));
    assert_true(bytes_equal(record->value, BYTES("{}")));
    char id[16];
    (void)snprintf(id, sizeof id, "%.*s", BYTES_FMT(record->headers[1].value));
    assert_int_equal(record->header_count, atoi(id) % 2 ? 6 : 5);
    if (record->header_count == 6) {
        assert_true(bytes_equal(record->headers[5].name, BYTES("traceparent")));
        assert_true(bytes_equal(record->headers[5].value, BYTES("00-1-2-03")));
    }
    found->count++;
    found->seen[atoi(id)] = 1;
    return true;
}

static struct message message_of(int number, char *id, size_t size)
{
    (void)snprintf(id, size, "%d", number);
    return (struct message){ .outlet = OUTLET_INVALIDATIONS,
                             .type = BYTES("cache.invalidated.v1"),
                             .id = bytes_of(id),
                             .key = BYTES("attempt:1"),
                             .value = BYTES("{}"),
                             .traceparent = number % 2 ? BYTES("00-1-2-03") : BYTES_NONE };
}

static void test_publisher_confirms_across_a_broker_restart(void **state)
{
    struct private_kafka *kafka = *state;
    struct rig rig;
    struct err err;
    static unsigned char seen[MESSAGES];
    static struct found found;
    rig_init(&rig, address(state), "publish");
    create_outlet(&rig, OUTLET_INVALIDATIONS);
    struct kafka_publisher *publisher = publisher_of(&rig);
    struct publisher port = kafka_publisher_port(publisher);
    for (int i = 0; i < MESSAGES; i++) {
        char id[16];
        struct message message = message_of(i, id, sizeof id);
        assert_true(port.publish(port.self, (uint64_t)i, &message));
        if (i == MESSAGES / 2)
            assert_true(private_kafka_stop(kafka, "KILL"));
    }
    turn(publisher);
    assert_true(private_kafka_restart(kafka, "KILL"));
    take_tickets(publisher, seen, MESSAGES);
    assert_int_equal(kafka_publisher_waiting(publisher), 0);
    assert_true(kafka_publisher_trouble(publisher, &err));
    assert_int_equal(err.action, ERR_LOST);
    if (!kafka_read_range(&rig.options, rig.names.outlets[OUTLET_INVALIDATIONS], 0,
                          KAFKA_READ_BEGINNING, KAFKA_READ_END, on_record, &found, &err))
        fail_msg("%s", err.text);
    assert_true(found.count >= MESSAGES);
    for (int i = 0; i < MESSAGES; i++)
        assert_int_equal(found.seen[i], 1);
    kafka_publisher_free(publisher);
    rig_release(&rig);
}

/* A dead record's key may be null, and so is that of its outcome. */
static bool on_record_without_key(void *self, const struct record *record)
{
    assert_false(bytes_present(record->key));
    ++*(int *)self;
    return true;
}

static void test_publisher_waits_for_its_topic(void **state)
{
    struct rig rig;
    struct err err = { 0 };
    char id[16];
    unsigned char seen[8] = { 0 };
    rig_init(&rig, address(state), "outlet");
    struct kafka_publisher *publisher = publisher_of(&rig);
    struct publisher port = kafka_publisher_port(publisher);
    struct message message = message_of(7, id, sizeof id);
    message.key = BYTES_NONE;
    message.outlet = OUTLET_OUTCOMES;
    assert_true(port.publish(port.self, 7, &message));
    for (int turns = 0; !kafka_publisher_trouble(publisher, &err) && turns < 60; turns++)
        turn(publisher);
    assert_non_null(strstr(err.text, "outlet.attempt.outcomes does not exist"));
    uint64_t ticket;
    assert_false(port.confirmed(port.self, &ticket));
    create_outlet(&rig, OUTLET_OUTCOMES);
    take_tickets(publisher, seen, 1);
    assert_int_equal(seen[7], 1);
    int found = 0;
    assert_true(kafka_read_range(&rig.options, rig.names.outlets[OUTLET_OUTCOMES], 0,
                                 KAFKA_READ_BEGINNING, KAFKA_READ_END, on_record_without_key,
                                 &found, &err));
    assert_int_equal(found, 1);

    create_outlet(&rig, OUTLET_INVALIDATIONS);
    assert_true(port.publish(port.self, 7, &message)); /* and away with it unconfirmed */
    kafka_publisher_free(publisher);
    rig_release(&rig);
}

/* Publishes to nobody until it is refused; returns how many were taken. */
static uint64_t fill(struct kafka_publisher *publisher, struct bytes value)
{
    struct publisher port = kafka_publisher_port(publisher);
    char id[16];
    uint64_t taken = 0;
    for (;; taken++) {
        struct message message = message_of(1, id, sizeof id);
        message.id = BYTES("attempt:12345678-1234-4123-8123-123456789012@1234");
        message.key = BYTES("attempt:12345678-1234-4123-8123-123456789012");
        message.value = value;
        if (!port.publish(port.self, taken, &message))
            return taken;
    }
}

static void check_full(struct bytes value, uint64_t least, uint64_t most)
{
    struct rig rig;
    rig_init(&rig, "127.0.0.1:1", "full"); /* nobody answers there */
    struct kafka_publisher *publisher = publisher_of(&rig);
    size_t before = mallinfo2().uordblks;
    uint64_t taken = fill(publisher, value);
    size_t held = mallinfo2().uordblks - before;
    assert_in_range(taken, least, most);
    assert_int_equal(kafka_publisher_waiting(publisher), taken);
    if (before > 0) /* with sanitizers nobody knows */
        assert_in_range(held, KAFKA_PUBLISHER_BYTES_MAX * 0.8, KAFKA_PUBLISHER_BYTES_MAX * 1.05);
    kafka_publisher_free(publisher);
    rig_release(&rig);
}

/* Refused before it is too much, counting all that it takes from the heap. */
static void test_publisher_refuses_what_it_cannot_hold(void **state)
{
    static char large[65536], usual[240];
    (void)state;
    (void)mallopt(M_ARENA_MAX, 1); /* as the worker does, and so that all of it is counted */
    check_full((struct bytes){ large, sizeof large }, 500,
               KAFKA_PUBLISHER_BYTES_MAX / sizeof large);
    check_full((struct bytes){ usual, sizeof usual }, 20000, KAFKA_PUBLISHER_MESSAGES_MAX - 1);
}

/* The library may be full before we are: what it does not take is not taken. */
static void test_publisher_refuses_what_the_library_cannot_hold(void **state)
{
    (void)state;
    static const char *const properties[] = { "queue.buffering.max.messages=10" };
    struct rig rig;
    char id[16];
    rig_init(&rig, "127.0.0.1:1", "library");
    rig.options.properties = properties;
    rig.options.property_count = 1;
    struct kafka_publisher *publisher = publisher_of(&rig);
    struct publisher port = kafka_publisher_port(publisher);
    for (int i = 0; i < 20; i++) {
        struct message message = message_of(i, id, sizeof id);
        assert_int_equal(port.publish(port.self, (uint64_t)i, &message), i < 10);
    }
    assert_int_equal(kafka_publisher_waiting(publisher), 10);
    kafka_publisher_free(publisher);
    rig_release(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_publisher_confirms_across_a_broker_restart),
        cmocka_unit_test(test_publisher_waits_for_its_topic),
        cmocka_unit_test(test_publisher_refuses_what_it_cannot_hold),
        cmocka_unit_test(test_publisher_refuses_what_the_library_cannot_hold),
    };
    cmocka_set_test_filter(getenv("ATTEMPTD_TEST_FILTER")); /* NULL for all */
    return cmocka_run_group_tests(tests, private_kafka_setup, private_kafka_teardown);
}
