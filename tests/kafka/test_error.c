/*
 * What each code of librdkafka means: every row of the table in worker/kafka/kafka_error.c whose
 * answer somebody relies on, by itself and without a broker.
 */
#include "worker/kafka/kafka_error.h"

#include <librdkafka/rdkafka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ERROR(name)     RD_KAFKA_RESP_ERR_##name
#define COUNT(array)    (sizeof(array) / sizeof(array)[0])
#define UNKNOWN_CODE    9999
#define OUTSIDE_MEANING RD_KAFKA_RESP_ERR_INCONSISTENT_VOTER_SET

struct row {
    int code;
    enum err_action action;
    bool passes;
    const char *advice; /* a word of it; NULL: there is none */
};

static const struct row rows[] = {
    { ERROR(_TRANSPORT), ERR_LOST, true, "do the brokers run" },
    { ERROR(_ALL_BROKERS_DOWN), ERR_LOST, true, "do the brokers run" },
    { ERROR(_RESOLVE), ERR_LOST, true, "do the brokers run" },
    { ERROR(_TIMED_OUT), ERR_RETRY, true, "do the brokers run" },
    { ERROR(REQUEST_TIMED_OUT), ERR_RETRY, true, NULL },
    { ERROR(LEADER_NOT_AVAILABLE), ERR_RETRY, true, "that leads the partition" },
    { ERROR(NOT_LEADER_FOR_PARTITION), ERR_RETRY, true, "that leads the partition" },
    { ERROR(COORDINATOR_LOAD_IN_PROGRESS), ERR_RETRY, true, NULL },
    { ERROR(NOT_COORDINATOR), ERR_RETRY, true, NULL },
    { ERROR(_QUEUE_FULL), ERR_RESOURCE, false, NULL },
    { ERROR(NOT_ENOUGH_REPLICAS), ERR_RESOURCE, false, NULL },
    { ERROR(KAFKA_STORAGE_ERROR), ERR_RESOURCE, true, NULL },
    { ERROR(MSG_SIZE_TOO_LARGE), ERR_REJECT, false, NULL },
    { ERROR(INVALID_RECORD), ERR_REJECT, false, NULL },
    { ERROR(_BAD_MSG), ERR_RETRY, false, "damaged" },
    { ERROR(_BAD_COMPRESSION), ERR_RETRY, false, "damaged" },
    { ERROR(UNKNOWN_TOPIC_OR_PART), ERR_HALT, true, "attemptd doctor" },
    { ERROR(_UNKNOWN_PARTITION), ERR_HALT, true, "attemptd doctor" },
    { ERROR(TOPIC_EXCEPTION), ERR_HALT, false, NULL },
    { ERROR(_AUTHENTICATION), ERR_HALT, false, NULL },
    { ERROR(TOPIC_AUTHORIZATION_FAILED), ERR_HALT, false, "READ or WRITE" },
    { ERROR(GROUP_AUTHORIZATION_FAILED), ERR_HALT, false, "READ on the group" },
    { ERROR(_FATAL), ERR_BUG, false, NULL },
    { ERROR(FENCED_INSTANCE_ID), ERR_BUG, false, NULL },
    { ERROR(NO_ERROR), ERR_NONE, false, NULL },
    /* what nobody has thought of is tried again, and told in the library's words alone */
    { OUTSIDE_MEANING, ERR_RETRY, false, NULL },
    { UNKNOWN_CODE, ERR_RETRY, false, NULL },
};

static void test_each_code_has_its_meaning(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct row *row = &rows[i];
        const char *advice = kafka_error_advice(row->code);
        bool advised = row->advice == NULL ? *advice == '\0' : strstr(advice, row->advice) != NULL;
        if (kafka_error_action(row->code) != row->action ||
            kafka_error_passes(row->code) != row->passes || !advised)
            fail_msg("%s: action %d, passes %d, advice '%s'", rd_kafka_err2name(row->code),
                     kafka_error_action(row->code), kafka_error_passes(row->code), advice);
    }
}

static void test_an_error_carries_the_name_of_its_code(void **state)
{
    (void)state;
    struct err err;
    assert_false(kafka_error_set(&err, ERROR(_TRANSPORT), "cannot reach %s", "one:9092"));
    assert_int_equal(err.action, ERR_LOST);
    assert_string_equal(err.code, "_TRANSPORT");
    assert_string_equal(err.text, "cannot reach one:9092");
}

/* Some calls of the library fail and leave no code behind. */
static void test_no_code_is_a_failure_all_the_same(void **state)
{
    (void)state;
    struct err err;
    assert_false(kafka_error_set(&err, ERROR(NO_ERROR), "it did not work"));
    assert_int_equal(err.action, ERR_RETRY);
    assert_string_equal(err.code, "_FAIL");
}

static void test_a_trouble_is_told_once_in_a_while(void **state)
{
    (void)state;
    struct kafka_troubles troubles = { 0 };
    struct err err, told;
    (void)kafka_error_set(&err, ERROR(_TRANSPORT), "first");
    (void)kafka_troubles_put(&troubles, "a", &err);
    (void)kafka_troubles_put(&troubles, "a", &err);
    (void)kafka_error_set(&err, ERROR(_TIMED_OUT), "second");
    (void)kafka_troubles_put(&troubles, "b", &err);
    assert_true(kafka_troubles_take(&troubles, &told));
    assert_string_equal(told.text, "first");
    assert_true(kafka_troubles_take(&troubles, &told));
    assert_string_equal(told.text, "second");
    assert_false(kafka_troubles_take(&troubles, &told));
}

/* The library's words for an answer of another server tell people to raise a buffer. */
static void test_a_reason_leads_nobody_astray(void **state)
{
    (void)state;
    const char *reason = kafka_error_reason("db:5432/bootstrap: Receive failed: Invalid response "
                                            "size 1157627904 (0..100000000): increase "
                                            "receive.message.max.bytes");
    assert_null(strstr(reason, "increase"));
    assert_non_null(strstr(reason, "does not speak Kafka"));
    assert_string_equal(kafka_error_reason("Connection refused"), "Connection refused");
}

/* A thousand partitions in trouble fill no memory; the first ones are told. */
static void test_troubles_are_bounded(void **state)
{
    (void)state;
    struct kafka_troubles troubles = { 0 };
    struct err err, told;
    for (int i = 0; i < 1000; i++) {
        char key[20];
        (void)snprintf(key, sizeof key, "%d", i);
        (void)kafka_error_set(&err, ERROR(_TRANSPORT), "number %d", i);
        (void)kafka_troubles_put(&troubles, key, &err);
    }
    int count = 0;
    for (; kafka_troubles_take(&troubles, &told); count++)
        if (count == 0)
            assert_string_equal(told.text, "number 0");
    assert_int_equal(count, KAFKA_TROUBLES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_code_has_its_meaning),
        cmocka_unit_test(test_an_error_carries_the_name_of_its_code),
        cmocka_unit_test(test_no_code_is_a_failure_all_the_same),
        cmocka_unit_test(test_a_trouble_is_told_once_in_a_while),
        cmocka_unit_test(test_a_reason_leads_nobody_astray),
        cmocka_unit_test(test_troubles_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
