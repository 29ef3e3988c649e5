/*
 * What a real broker does not do on request: librdkafka's mock broker answers with errors.
 */
#include "common/clock.h"
#include "tests/kafka/rig.h"
#include "worker/kafka/kafka_ask.h"
#include "worker/kafka/kafka_publisher.h"
#include "worker/kafka/kafka_source_state.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define API_PRODUCE       0
#define API_FETCH         1
#define API_LIST_OFFSETS  2
#define API_OFFSET_COMMIT 8
#define API_OFFSET_FETCH  9

struct mock {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *cluster;
};

static int setup(void **state)
{
    char text[200];
    struct mock *mock = calloc(1, sizeof *mock);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    (void)rd_kafka_conf_set(conf, "bootstrap.servers", "127.0.0.1:1", text, sizeof text);
    (void)rd_kafka_conf_set(conf, "log_level", "0", text, sizeof text);
    mock->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    mock->cluster = rd_kafka_mock_cluster_new(mock->rk, 1);
    *state = mock;
    return mock->cluster == NULL;
}

static int teardown(void **state)
{
    struct mock *mock = *state;
    rd_kafka_mock_cluster_destroy(mock->cluster);
    rd_kafka_destroy(mock->rk);
    free(mock);
    return 0;
}

static void mock_rig(struct mock *mock, struct rig *rig, const char *name)
{
    rig_init(rig, rd_kafka_mock_cluster_bootstraps(mock->cluster), name);
    for (int i = 0; i < TOPIC_COUNT; i++)
        (void)rd_kafka_mock_topic_create(mock->cluster, rig->names.topics[i], 1, 1);
    for (int i = 0; i < OUTLET_COUNT; i++)
        (void)rd_kafka_mock_topic_create(mock->cluster, rig->names.outlets[i], 1, 1);
}

/* Errors that librdkafka gives up on are tried again by the publisher, and told. */
static struct message outcome_of(struct bytes value)
{
    return (struct message){ .outlet = OUTLET_OUTCOMES,
                             .type = BYTES("attempt.outcome.v1"),
                             .id = BYTES("t/0/1/2"),
                             .key = BYTES("k"),
                             .value = value };
}

static struct kafka_publisher *mock_publisher(const struct rig *rig, struct publisher *ret_port)
{
    struct err err;
    struct kafka_publisher *publisher = kafka_publisher_new(&rig->options, &err);
    assert_non_null(publisher);
    *ret_port = kafka_publisher_port(publisher);
    return publisher;
}

static void test_publisher_sends_again(void **state)
{
    struct mock *mock = *state;
    struct rig rig;
    struct err err;
    mock_rig(mock, &rig, "again");
    rd_kafka_mock_push_request_errors(mock->cluster, API_PRODUCE, 3,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
                                      RD_KAFKA_RESP_ERR__MSG_TIMED_OUT); /* the library's own */
    struct publisher port;
    struct kafka_publisher *publisher = mock_publisher(&rig, &port);
    struct message message = outcome_of(BYTES("{}"));
    assert_true(port.publish(port.self, 42, &message));
    uint64_t ticket = 0;
    for (int tries = 0; !port.confirmed(port.self, &ticket) && tries < 200; tries++) {
        struct pollfd pollfd = { .fd = kafka_publisher_fd(publisher), .events = POLLIN };
        int64_t wait_ms = kafka_publisher_tend(publisher);
        (void)poll(&pollfd, 1, wait_ms < 0 ? 200 : (int)wait_ms);
        kafka_publisher_clear(publisher);
    }
    assert_int_equal(ticket, 42);
    assert_true(kafka_publisher_trouble(publisher, &err));
    assert_string_equal(err.code, "TOPIC_AUTHORIZATION_FAILED");
    assert_int_equal(err.action, ERR_HALT);
    assert_true(kafka_publisher_trouble(publisher, &err));
    assert_string_equal(err.code, "MSG_SIZE_TOO_LARGE");
    assert_true(kafka_publisher_trouble(publisher, &err));
    assert_string_equal(err.code, "_MSG_TIMED_OUT");
    kafka_publisher_free(publisher);
    rig_release(&rig);
}

/* More than may wait at a time goes through, because what is confirmed waits no more. */
static void test_what_is_confirmed_makes_room(void **state)
{
    struct mock *mock = *state;
    static char large[900000];
    struct rig rig;
    struct publisher port;
    mock_rig(mock, &rig, "room");
    struct kafka_publisher *publisher = mock_publisher(&rig, &port);
    struct message message = outcome_of((struct bytes){ large, sizeof large });
    uint64_t ticket, count = KAFKA_PUBLISHER_BYTES_MAX / sizeof large + 3;
    for (uint64_t i = 0; i < count; i++) {
        assert_true(port.publish(port.self, i, &message));
        for (int tries = 0; !port.confirmed(port.self, &ticket) && tries < 1000; tries++)
            (void)usleep(5000);
        assert_int_equal(ticket, i);
    }
    kafka_publisher_free(publisher);
    rig_release(&rig);
}

/* Reads as the engine does, until this news comes. */
static struct source_event read_until(struct kafka_source *source, struct tp tp,
                                      enum source_event_kind kind, int64_t *ret_next)
{
    struct source port = kafka_source_port(source);
    struct source_event event = { 0 };
    struct record record;
    int64_t end;
    for (int tries = 0; event.kind != kind && tries < 400; tries++) {
        while (port.read(port.self, tp, &record, &end) == READ_RECORD)
            assert_int_equal(record.offset, (*ret_next)++);
        port.next(port.self, &event);
        if (event.kind == SOURCE_NOTHING)
            (void)usleep(50000);
    }
    assert_int_equal(event.kind, kind);
    return event;
}

static void test_source_reads_on_after_fetch_errors(void **state)
{
    struct mock *mock = *state;
    struct rig rig;
    const struct tp tp = { TOPIC_WRITES, 0 };
    mock_rig(mock, &rig, "fetch");
    rig_produce(&rig, TOPIC_WRITES, 0, 0, 10);
    struct kafka_source *source = rig_source(&rig);
    rig_join(source, TOPIC_COUNT);
    rig_assign(source, tp, 0);
    rig_read_run(source, tp, 0, 9);
    /* the first report of an end would hide the error */
    struct record record;
    int64_t end, next = 10;
    assert_int_equal(rig_read(source, tp, &record, &end), READ_END);
    rd_kafka_mock_push_request_errors(mock->cluster, API_FETCH, 1, RD_KAFKA_RESP_ERR_UNKNOWN);
    rig_produce(&rig, TOPIC_WRITES, 0, 10, 10);
    struct source_event event = read_until(source, tp, SOURCE_SUSPECT, &next);
    assert_true(event.has_tp && tp_equal(event.tp, tp));
    event = read_until(source, tp, SOURCE_TROUBLE, &next);
    assert_string_equal(event.err.code, "UNKNOWN");
    if (next < 20)
        rig_read_run(source, tp, next, 19);
    assert_int_equal(rig_read(source, tp, &record, &end), READ_END);

    /* the broker cannot read its own log: no way round it */
    rd_kafka_mock_push_request_errors(mock->cluster, API_FETCH, 1, RD_KAFKA_RESP_ERR_INVALID_MSG);
    next = 20;
    event = read_until(source, tp, SOURCE_STOPPED, &next);
    assert_string_equal(event.err.code, "corrupt");
    assert_int_equal(event.offset, 20);
    kafka_source_free(source);
    rig_release(&rig);
}

/* Marks as librdkafka's callbacks leave them when several come between two calls. */
static void test_what_is_told_is_in_order_and_not_old(void **state)
{
    struct mock *mock = *state;
    struct rig rig;
    const struct tp tp = { TOPIC_WRITES, 0 };
    int64_t next = 5;
    mock_rig(mock, &rig, "order");
    rig_produce(&rig, TOPIC_WRITES, 0, 0, 10);
    struct kafka_source *source = rig_source(&rig);
    struct source port = kafka_source_port(source);
    struct source_event event;
    rig_join(source, TOPIC_COUNT);
    struct kafka_partition *partition = kafka_partitions_find(&source->partitions, tp);
    partition->stop_news = true; /* and nobody asked before it was assigned anew */
    rig_assign(source, tp, 0);
    for (int i = 0; i < 3; i++) {
        port.next(port.self, &event);
        assert_int_not_equal(event.kind, SOURCE_STOPPED);
    }
    partition->position = next; /* the library went back: these were read before */
    event = read_until(source, tp, SOURCE_SUSPECT, &next);
    assert_true(event.has_tp && tp_equal(event.tp, tp));
    if (next < 10)
        rig_read_run(source, tp, next, 9);

    source->assigned_news = true;
    source->revoked_news = true;
    port.next(port.self, &event);
    assert_int_equal(event.kind, SOURCE_REVOKED);
    port.next(port.self, &event);
    assert_int_equal(event.kind, SOURCE_ASSIGNED);
    kafka_source_free(source);
    rig_release(&rig);
}

/* The group's offsets are for lag tools: refused for good, they are a word and no more. Of a
 * generation that is over, the library joins anew, and throws away what waits to be read. */
static void test_source_goes_on_when_commits_are_refused(void **state)
{
    struct mock *mock = *state;
    struct rig rig;
    const struct tp tp = { TOPIC_WRITES, 0 };
    mock_rig(mock, &rig, "commit");
    rig_produce(&rig, TOPIC_WRITES, 0, 0, 10);
    struct kafka_source *source = rig_source(&rig);
    struct source port = kafka_source_port(source);
    rig_join(source, TOPIC_COUNT);
    rig_assign(source, tp, 0);
    rig_read_run(source, tp, 0, 9);
    rd_kafka_mock_push_request_errors(mock->cluster, API_OFFSET_COMMIT, 2,
                                      RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
                                      RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION);
    struct group_offset read = { .tp = tp, .offset = 10 };
    port.commit(port.self, &read, 1);
    int64_t next = 10;
    struct source_event event = read_until(source, tp, SOURCE_TROUBLE, &next);
    assert_string_equal(event.err.code, "GROUP_AUTHORIZATION_FAILED");
    rig_produce(&rig, TOPIC_WRITES, 0, 10, 10);
    rig_read_run(source, tp, next, 19);
    port.commit(port.self, &read, 1);
    rig_join(source, TOPIC_COUNT);
    rig_assign(source, tp, 15);
    rig_read_run(source, tp, 15, 19);
    kafka_source_free(source);
    rig_release(&rig);
}

/* ---------------------------------------------------------------------- who asks, asks again */

struct election {
    rd_kafka_mock_cluster_t *cluster;
    const char *topic;
};

static void *elect(void *argument)
{
    struct election *election = argument;
    (void)usleep(1500 * 1000);
    (void)rd_kafka_mock_partition_set_leader(election->cluster, election->topic, 0, 1);
    return NULL;
}

/* Takes partition 0 its leader away, and gives it back in a while. */
static pthread_t without_leader(struct election *election)
{
    pthread_t thread;
    (void)rd_kafka_mock_partition_set_leader(election->cluster, election->topic, 0, -1);
    assert_int_equal(pthread_create(&thread, NULL, elect, election), 0);
    return thread;
}

static bool count_record(void *self, const struct record *record)
{
    int *count = self;
    assert_int_equal(record->offset, (*count)++);
    return true;
}

static void test_commands_wait_for_a_leader(void **state)
{
    struct mock *mock = *state;
    struct rig rig;
    struct err err = { 0 };
    mock_rig(mock, &rig, "leader");
    rig_produce(&rig, TOPIC_WRITES, 0, 0, 10);
    struct election election = { mock->cluster, rig.names.topics[TOPIC_WRITES] };

    pthread_t thread = without_leader(&election);
    int64_t low = -1, high = -1;
    if (!kafka_admin_log(rig.admin, election.topic, 0, &low, &high, &err))
        fail_msg("%s", err.text);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(low, 0);
    assert_int_equal(high, 10);

    int count = 0;
    thread = without_leader(&election);
    if (!kafka_read_range(&rig.options, election.topic, 0, 0, 10, count_record, &count, &err))
        fail_msg("%s", err.text);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(count, 10);
    rig_release(&rig);
}

static void test_reading_goes_on_when_an_error_passes(void **state)
{
    struct mock *mock = *state;
    struct rig rig;
    struct err err = { 0 };
    mock_rig(mock, &rig, "passing");
    rig_produce(&rig, TOPIC_WRITES, 0, 0, 10);
    rd_kafka_mock_push_request_errors(mock->cluster, API_FETCH, 2,
                                      RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
                                      RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    int count = 0;
    const char *topic = rig.names.topics[TOPIC_WRITES];
    if (!kafka_read_range(&rig.options, topic, 0, 0, 10, count_record, &count, &err))
        fail_msg("%s", err.text);
    assert_int_equal(count, 10);

    /* A batch that cannot be read is no such thing. Twice: a fetch of the reader before may still
     * be on its way, and be answered with the first. */
    rd_kafka_mock_push_request_errors(mock->cluster, API_FETCH, 2, RD_KAFKA_RESP_ERR_INVALID_MSG,
                                      RD_KAFKA_RESP_ERR_INVALID_MSG);
    count = 0;
    assert_false(kafka_read_range(&rig.options, topic, 0, 0, 10, count_record, &count, &err));
    assert_string_equal(err.code, "INVALID_MSG");
    rig_release(&rig);
}

static void test_commands_ask_again_for_the_end_of_a_log(void **state)
{
    struct mock *mock = *state;
    struct rig rig;
    struct err err = { 0 };
    mock_rig(mock, &rig, "ends");
    rig_produce(&rig, TOPIC_WRITES, 0, 0, 10);
    const char *topic = rig.names.topics[TOPIC_WRITES];
    rd_kafka_mock_push_request_errors(
        mock->cluster, API_LIST_OFFSETS, 4, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
        RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    int64_t low = -1, high = -1;
    if (!kafka_admin_log(rig.admin, topic, 0, &low, &high, &err))
        fail_msg("%s", err.text);
    assert_int_equal(high, 10);

    rd_kafka_mock_push_request_errors(mock->cluster, API_OFFSET_FETCH, 2,
                                      RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
                                      RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
    int64_t committed = 0;
    struct witness witness;
    if (!kafka_admin_committed(rig.admin, topic, 0, &committed, &witness, &err))
        fail_msg("%s", err.text);
    assert_int_equal(committed, -1);

    /* no right to it: that does not pass */
    rd_kafka_mock_push_request_errors(mock->cluster, API_LIST_OFFSETS, 2,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_false(kafka_admin_log(rig.admin, topic, 0, &low, &high, &err));
    assert_int_equal(err.action, ERR_HALT);
    rig_release(&rig);
}

/* What waiting may mend, and what somebody has to. */
static void test_what_a_question_without_answer_means(void **state)
{
    struct mock *mock = *state;
    struct rig rig;
    struct err err = { 0 };
    int64_t low, high;
    mock_rig(mock, &rig, "unanswered");
    const char *topic = rig.names.topics[TOPIC_WRITES];
    rd_kafka_conf_t *conf = kafka_conf_new(&rig.options, KAFKA_READER, &err);
    rd_kafka_t *rk = kafka_client_start(conf, KAFKA_READER, &err);
    assert_non_null(rk);

    (void)rd_kafka_mock_partition_set_leader(mock->cluster, topic, 0, -1);
    assert_false(kafka_ask_log(rk, topic, 0, clock_now_ms() + 1000, &low, &high, &err));
    assert_true(err.action == ERR_RETRY || err.action == ERR_LOST); /* 69, never 78 */
    assert_non_null(strstr(err.text, "if it stays so"));
    (void)rd_kafka_mock_partition_set_leader(mock->cluster, topic, 0, 1);

    int64_t begun_ms = clock_now_ms();
    assert_false(kafka_ask_log(rk, topic, 7, begun_ms + 60000, &low, &high, &err));
    assert_int_equal(err.action, ERR_HALT);
    assert_true(clock_now_ms() - begun_ms < 30000);
    assert_non_null(strstr(err.text, topic));
    assert_non_null(strstr(err.text, "'attemptd doctor'"));
    rd_kafka_destroy(rk);
    rig_release(&rig);
}

/* A broker that answers, but each time only after more than half of what a call may take. */
static void test_two_questions_share_their_time(void **state)
{
    struct mock *mock = *state;
    struct rig rig;
    struct err err = { 0 };
    struct kafka_log_ends ends;
    mock_rig(mock, &rig, "slow");
    const char *topic = rig.names.topics[TOPIC_WRITES];
    assert_true(kafka_admin_ends(rig.admin, topic, 0, &ends, &err)); /* both clients are there */
    (void)rd_kafka_mock_broker_set_rtt(mock->cluster, 1, KAFKA_ADMIN_TIMEOUT_MS * 6 / 10);
    int64_t begun_ms = clock_now_ms();
    assert_false(kafka_admin_ends(rig.admin, topic, 0, &ends, &err));
    assert_in_range(clock_now_ms() - begun_ms, 0, KAFKA_ADMIN_TIMEOUT_MS + 1000);
    assert_true(err.action == ERR_RETRY || err.action == ERR_LOST);
    (void)rd_kafka_mock_broker_set_rtt(mock->cluster, 1, 0);
    rig_release(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_publisher_sends_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_confirmed_makes_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_source_reads_on_after_fetch_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_told_is_in_order_and_not_old, setup, teardown),
        cmocka_unit_test_setup_teardown(test_source_goes_on_when_commits_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_commands_wait_for_a_leader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reading_goes_on_when_an_error_passes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commands_ask_again_for_the_end_of_a_log, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_a_question_without_answer_means, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_questions_share_their_time, setup, teardown),
    };
    cmocka_set_test_filter(getenv("ATTEMPTD_TEST_FILTER")); /* NULL for all */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
