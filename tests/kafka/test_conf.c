/*
 * Settings: what is fixed stays fixed, what is refused says why. Needs no broker.
 */
#include "worker/kafka/kafka_conf.h"

#include <librdkafka/rdkafka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct kafka_options options_with(const char *const *properties, size_t count)
{
    static struct kafka_names names;
    assert_true(kafka_names_init(&names, NULL, NULL));
    return (struct kafka_options){ .bootstrap_servers = "127.0.0.1:1",
                                   .group = "g",
                                   .names = &names,
                                   .properties = properties,
                                   .property_count = count };
}

static void assert_in_force(enum kafka_role role, const char *name, const char *wanted)
{
    struct err err;
    char value[128];
    size_t size = sizeof value;
    struct kafka_options options = options_with(NULL, 0);
    options.prefetch_kbytes = 20000;
    rd_kafka_conf_t *conf = kafka_conf_new(&options, role, &err);
    assert_non_null(conf);
    rd_kafka_t *rk = kafka_client_start(conf, role, &err);
    if (rk == NULL)
        fail_msg("%s", err.text);
    assert_int_equal(rd_kafka_conf_get(rd_kafka_conf(rk), name, value, &size), 0);
    assert_string_equal(value, wanted);
    rd_kafka_destroy(rk);
}

static void test_conf_fixes_what_matters(void **state)
{
    (void)state;
    assert_in_force(KAFKA_CONSUMER, "auto.offset.reset", "error");
    assert_in_force(KAFKA_CONSUMER, "check.crcs", "true");
    assert_in_force(KAFKA_CONSUMER, "enable.auto.commit", "false");
    assert_in_force(KAFKA_CONSUMER, "isolation.level", "read_committed");
    assert_in_force(KAFKA_CONSUMER, "partition.assignment.strategy", "range,roundrobin");
    assert_in_force(KAFKA_CONSUMER, "queued.max.messages.kbytes", "20000");
    assert_in_force(KAFKA_CONSUMER, "queued.min.messages", "100000");
    assert_in_force(KAFKA_CONSUMER, "fetch.message.max.bytes", "1048576");
    assert_in_force(KAFKA_CONSUMER, "fetch.wait.max.ms", "100");
    assert_in_force(KAFKA_CONSUMER, "topic.metadata.refresh.interval.ms", "10000");
    assert_in_force(KAFKA_READER, "auto.offset.reset", "error");
    assert_in_force(KAFKA_PUBLISHER, "enable.idempotence", "false");
    assert_in_force(KAFKA_PUBLISHER, "acks", "-1");
    assert_in_force(KAFKA_PUBLISHER, "max.in.flight", "5");
    assert_in_force(KAFKA_PRODUCER, "enable.idempotence", "true");
    assert_in_force(KAFKA_PRODUCER, "partitioner", "murmur2_random");
}

static void test_conf_refuses_dangerous_properties(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "check.crcs=false",
        "auto.offset.reset=latest",
        "acks=1",
        "request.required.acks=0",
        "partitioner=random",
        "enable.auto.commit=true",
        "group.id=x",
        "group.instance.id=x",
        "queued.min.messages=10",
        "auto.commit.enable=1",
        "partition.assignment.strategy=cooperative-sticky",
        "no.such.property=1",
        "socket.timeout.ms=soon",
        "nothing",
        "=x",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = { 0 };
        struct kafka_options options = options_with(&bad[i], 1);
        assert_null(kafka_conf_new(&options, KAFKA_CONSUMER, &err));
        assert_int_equal(err.action, ERR_HALT);
        assert_true(*err.text != '\0');
    }
    struct err err;
    struct kafka_options nowhere = options_with(NULL, 0);
    nowhere.bootstrap_servers = "";
    assert_null(kafka_conf_new(&nowhere, KAFKA_CONSUMER, &err));
    assert_string_equal(err.code, "bootstrap");
}

static void test_conf_takes_the_rest(void **state)
{
    (void)state;
    static const char *const good[] = { "security.protocol=sasl_plaintext", "sasl.username=u",
                                        "sasl.password=a=b", "fetch.max.bytes=2000000",
                                        "partition.assignment.strategy=roundrobin" };
    struct err err;
    struct kafka_options options = options_with(good, sizeof good / sizeof *good);
    assert_true(kafka_options_check(&options, &err));
    for (enum kafka_role role = KAFKA_CONSUMER; role <= KAFKA_WATCHER; role++) {
        rd_kafka_conf_t *conf = kafka_conf_new(&options, role, &err);
        assert_non_null(conf);
        char value[32];
        size_t size = sizeof value;
        assert_int_equal(rd_kafka_conf_get(conf, "sasl.password", value, &size), 0);
        assert_string_equal(value, "a=b");
        rd_kafka_conf_destroy(conf);
    }
}

static void test_conf_keeps_secrets(void **state)
{
    (void)state;
    assert_true(kafka_property_is_secret("sasl.password"));
    assert_true(kafka_property_is_secret("ssl.key.password"));
    assert_true(kafka_property_is_secret("ssl.key.pem"));
    assert_true(kafka_property_is_secret("ssl.keystore.password"));
    assert_true(kafka_property_is_secret("sasl.oauthbearer.client.secret"));
    assert_false(kafka_property_is_secret("ssl.ca.location"));
    static const char *const bad[] = { "security.protocol=ssl", "ssl.key.pem=TOPSECRET" };
    struct err err = { 0 };
    struct kafka_options options = options_with(bad, 2);
    rd_kafka_conf_t *conf = kafka_conf_new(&options, KAFKA_CONSUMER, &err);
    if (conf != NULL && kafka_client_start(conf, KAFKA_CONSUMER, &err) != NULL)
        fail_msg("a key that is none was accepted");
    assert_null(strstr(err.text, "TOPSECRET"));
}

static void test_names(void **state)
{
    (void)state;
    struct kafka_names names;
    struct err err;
    assert_true(kafka_names_init(&names, "exam-1.", &err));
    assert_string_equal(names.topics[TOPIC_WRITES], "exam-1.attempt.writes");
    assert_string_equal(names.outlets[OUTLET_OUTCOMES], "exam-1.attempt.outcomes");
    assert_false(kafka_names_init(&names, "a b", &err));
    assert_int_equal(err.action, ERR_HALT);
    char prefix[300] = { 0 };
    memset(prefix, 'x', sizeof prefix - 1);
    assert_false(kafka_names_init(&names, prefix, &err));
}

static void test_prefetch_from_budget(void **state)
{
    (void)state;
    struct err err;
    int kbytes = 0;
    assert_true(kafka_prefetch_kbytes((size_t)256 << 20, 8, &kbytes, &err));
    assert_int_equal(kbytes, 16384);
    assert_true(kafka_prefetch_kbytes((size_t)64 << 20, 48, &kbytes, &err));
    assert_int_equal(kbytes, 682);
    assert_true(kafka_prefetch_kbytes((size_t)8 << 30, 8, &kbytes, &err));
    assert_int_equal(kbytes, KAFKA_PREFETCH_KBYTES_MAX);
    assert_false(kafka_prefetch_kbytes((size_t)64 << 20, 101, &kbytes, &err));
    assert_string_equal(err.code, "memory");
    assert_non_null(strstr(err.text, "76 MB"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conf_fixes_what_matters),
        cmocka_unit_test(test_conf_refuses_dangerous_properties),
        cmocka_unit_test(test_conf_takes_the_rest),
        cmocka_unit_test(test_conf_keeps_secrets),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_prefetch_from_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
