/*
 * The commands' side of Kafka on a real broker: looking, creating, reading a piece of a log.
 */
#include "tests/kafka/private_kafka.h"
#include "tests/kafka/rig.h"

#include <stdlib.h>

static const char *address(void **state)
{
    return ((struct private_kafka *)*state)->address;
}

struct settings_seen {
    bool retention, cleanup;
};

static void on_setting(void *self, const struct kafka_setting *setting)
{
    struct settings_seen *seen = self;
    if (strcmp(setting->name, "retention.ms") == 0)
        seen->retention = strcmp(setting->value, "7200000") == 0;
    if (strcmp(setting->name, "cleanup.policy") == 0)
        seen->cleanup = strcmp(setting->value, "delete") == 0;
}

static void test_admin(void **state)
{
    struct rig rig;
    struct err err;
    rig_init(&rig, address(state), "admin");
    const char *name = rig.names.topics[TOPIC_WRITES];
    struct kafka_cluster cluster;
    assert_true(kafka_admin_cluster(rig.admin, KAFKA_ADMIN_TIMEOUT_MS, &cluster, &err));
    assert_int_equal(cluster.broker_count, 1);
    assert_true(*cluster.id != '\0');

    struct kafka_topic topic;
    assert_true(kafka_admin_topic(rig.admin, name, &topic, &err));
    assert_false(topic.exists);
    const struct kafka_setting retention = { "retention.ms", "7200000" };
    assert_true(kafka_admin_create(rig.admin, name, 3, &retention, 1, &err));
    assert_true(kafka_admin_create(rig.admin, name, 3, &retention, 1, &err)); /* there already */
    assert_true(kafka_admin_topic(rig.admin, name, &topic, &err));
    assert_true(topic.exists);
    assert_int_equal(topic.partition_count, 3);
    assert_int_equal(topic.replication_factor, 1);

    struct settings_seen seen = { 0 };
    assert_true(kafka_admin_settings(rig.admin, name, on_setting, &seen, &err));
    assert_true(seen.retention && seen.cleanup);

    rig_produce(&rig, TOPIC_WRITES, 1, 0, 12);
    int64_t low = -1, high = -1, committed = 0;
    assert_true(kafka_admin_log(rig.admin, name, 1, &low, &high, &err));
    assert_int_equal(low, 0);
    assert_int_equal(high, 12);
    struct witness witness;
    assert_true(kafka_admin_committed(rig.admin, name, 1, &committed, &witness, &err));
    assert_int_equal(committed, -1);
    assert_false(witness.present);

    assert_true(kafka_admin_grow(rig.admin, name, 5, &err));
    assert_true(kafka_admin_topic(rig.admin, name, &topic, &err));
    assert_int_equal(topic.partition_count, 5);
    assert_false(kafka_admin_grow(rig.admin, name, 2, &err));
    assert_false(kafka_admin_create(rig.admin, "bad name", 1, NULL, 0, &err));
    assert_true(kafka_admin_delete(rig.admin, name, &err));
    assert_true(kafka_admin_delete(rig.admin, name, &err)); /* gone already */
    rig_release(&rig);
}

/* Murmur2 over the key, as Java's producers do: "21" and "foobar" are librdkafka's own examples. */
static void test_producer_partitions_like_java(void **state)
{
    struct rig rig;
    struct err err;
    rig_init(&rig, address(state), "murmur");
    rig_create(&rig, TOPIC_WRITES, 10);
    struct kafka_outgoing outgoing = { .topic = rig.names.topics[TOPIC_WRITES],
                                       .partition = -1,
                                       .key = BYTES("foobar"), /* 0xd0a1c2d6 & 0x7fffffff ... */
                                       .value = BYTES("x") };
    outgoing.key = BYTES("21"); /* murmur2 = -973932308, so (… & 0x7fffffff) % 10 */
    assert_true(kafka_producer_send(rig.producer, &outgoing, &err));
    assert_true(kafka_producer_flush(rig.producer, 10000, &err));
    int64_t low, high;
    int32_t partition = (int32_t)(((uint32_t)-973932308 & 0x7fffffffu) % 10);
    assert_true(kafka_admin_log(rig.admin, outgoing.topic, partition, &low, &high, &err));
    assert_int_equal(high, 1);
    struct kafka_counts counts = kafka_producer_counts(rig.producer);
    assert_int_equal(counts.sent, 1);
    assert_int_equal(counts.delivered, 1);
    assert_int_equal(counts.failed, 0);
    rig_release(&rig);
}

static void test_producer_tells_failures(void **state)
{
    struct rig rig;
    struct err err;
    rig_init(&rig, address(state), "unsent");
    struct kafka_outgoing outgoing = { .topic = "unsent.missing",
                                       .partition = -1,
                                       .value = BYTES("x") };
    assert_true(kafka_producer_send(rig.producer, &outgoing, &err));
    assert_false(kafka_producer_flush(rig.producer, 20000, &err));
    assert_int_equal(err.action, ERR_HALT);
    assert_int_equal(kafka_producer_counts(rig.producer).failed, 1);
    rig_release(&rig);
}

struct taken {
    int64_t first, last;
    int count, stop_after;
};

static bool on_record(void *self, const struct record *record)
{
    struct taken *taken = self;
    assert_int_equal(record->tp.topic, TOPIC_WRITES);
    if (taken->count++ == 0)
        taken->first = record->offset;
    taken->last = record->offset;
    return taken->count != taken->stop_after;
}

static void test_read_range(void **state)
{
    struct rig rig;
    struct err err;
    rig_init(&rig, address(state), "range");
    rig_create(&rig, TOPIC_WRITES, 1);
    rig_produce(&rig, TOPIC_WRITES, 0, 0, 2000);
    const char *name = rig.names.topics[TOPIC_WRITES];
    struct taken taken = { 0 };
    assert_true(kafka_read_range(&rig.options, name, 0, 10, 1500, on_record, &taken, &err));
    assert_int_equal(taken.first, 10);
    assert_int_equal(taken.last, 1499);
    assert_int_equal(taken.count, 1490);
    taken = (struct taken){ 0 };
    assert_true(kafka_read_range(&rig.options, name, 0, KAFKA_READ_BEGINNING, KAFKA_READ_END,
                                 on_record, &taken, &err));
    assert_int_equal(taken.count, 2000);
    taken = (struct taken){ .stop_after = 3 };
    assert_true(kafka_read_range(&rig.options, name, 0, 5, 1500, on_record, &taken, &err));
    assert_int_equal(taken.count, 3);
    taken = (struct taken){ 0 };
    assert_true(kafka_read_range(&rig.options, name, 0, 7, 7, on_record, &taken, &err));
    assert_int_equal(taken.count, 0);
    assert_false(kafka_read_range(&rig.options, name, 0, 0, 2001, on_record, &taken, &err));
    assert_string_equal(err.code, "out_of_range");
    assert_int_equal(taken.count, 0);
    rig_release(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_admin),
        cmocka_unit_test(test_producer_partitions_like_java),
        cmocka_unit_test(test_producer_tells_failures),
        cmocka_unit_test(test_read_range),
    };
    cmocka_set_test_filter(getenv("ATTEMPTD_TEST_FILTER")); /* NULL for all */
    return cmocka_run_group_tests(tests, private_kafka_setup, private_kafka_teardown);
}
