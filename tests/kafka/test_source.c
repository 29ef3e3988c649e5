/*
 * The source on a real broker: membership, positions, ends of logs, what is wrong in a log.
 */
#include "tests/kafka/private_kafka.h"
#include "tests/kafka/rig.h"
#include "worker/kafka/kafka_message.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const struct tp writes_0 = { TOPIC_WRITES, 0 };
static const struct tp writes_1 = { TOPIC_WRITES, 1 };

static const char *address(void **state)
{
    return ((struct private_kafka *)*state)->address;
}

/* --------------------------------------------------------------------------------- positions */

static void test_source_reads_from_positions(void **state)
{
    struct rig rig;
    rig_init(&rig, address(state), "positions");
    rig_create(&rig, TOPIC_WRITES, 2);
    rig_create(&rig, TOPIC_ACTIVITY, 1);
    rig_create(&rig, TOPIC_REFRESH, 1);
    rig_produce(&rig, TOPIC_WRITES, 0, 0, 5000);
    rig_produce(&rig, TOPIC_WRITES, 1, 0, 300);
    struct kafka_source *source = rig_source(&rig);
    struct source port = kafka_source_port(source);
    rig_join(source, 4);

    struct record record;
    struct err err;
    int64_t end;
    assert_int_equal(port.read(port.self, writes_0, &record, &end), READ_NOTHING);

    struct position both[] = { { writes_0, 10 }, { writes_1, 0 } };
    assert_true(port.assign(port.self, both, 2, &err));
    rig_read_run(source, writes_1, 0, 99);
    rig_read_run(source, writes_0, 10, 2000);
    rig_read_run(source, writes_1, 100, 299);

    /* back to an older offset: nothing that was read ahead may come through */
    both[0].offset = 1500;
    both[1].offset = 300;
    assert_true(port.assign(port.self, both, 2, &err));
    rig_read_run(source, writes_0, 1500, 4999);
    assert_int_equal(rig_read(source, writes_0, &record, &end), READ_END);
    assert_int_equal(end, 5000);
    assert_int_equal(rig_read(source, writes_1, &record, &end), READ_END);
    assert_int_equal(end, 300);

    /* one of two: the other is not read any more; then both, then none */
    rig_produce(&rig, TOPIC_WRITES, 0, 5000, 10);
    rig_produce(&rig, TOPIC_WRITES, 1, 300, 10);
    rig_assign(source, writes_1, 300);
    rig_read_run(source, writes_1, 300, 309);
    assert_int_equal(port.read(port.self, writes_0, &record, &end), READ_NOTHING);
    both[0].offset = 5000;
    both[1].offset = 305;
    assert_true(port.assign(port.self, both, 2, &err));
    rig_read_run(source, writes_1, 305, 309);
    rig_read_run(source, writes_0, 5000, 5009);
    assert_true(port.assign(port.self, NULL, 0, &err));
    assert_int_equal(port.read(port.self, writes_1, &record, &end), READ_NOTHING);

    struct position foreign = { { TOPIC_WRITES, 7 }, 0 };
    assert_false(port.assign(port.self, &foreign, 1, &err));
    assert_int_equal(err.action, ERR_BUG);
    kafka_source_free(source);
    rig_release(&rig);
}

static void test_source_maps_records(void **state)
{
    struct rig rig;
    rig_init(&rig, address(state), "records");
    rig_create(&rig, TOPIC_WRITES, 1);
    struct header headers[] = { { BYTES("ce_type"), BYTES("attempt.saved.v1") },
                                { BYTES("empty"), BYTES("") },
                                { BYTES("null"), BYTES_NONE } };
    struct kafka_outgoing outgoing[] = {
        { .key = BYTES("k"), .value = BYTES("a\0b"), .headers = headers, .header_count = 3 },
        { .key = BYTES_NONE, .value = BYTES_NONE },
        { .key = BYTES(""), .value = BYTES(""), .timestamp_ms = 1234567890123 },
    };
    struct err err;
    for (size_t i = 0; i < 3; i++) {
        outgoing[i].topic = rig.names.topics[TOPIC_WRITES];
        assert_true(kafka_producer_send(rig.producer, &outgoing[i], &err));
    }
    assert_true(kafka_producer_flush(rig.producer, 10000, &err));
    struct kafka_source *source = rig_source(&rig);
    rig_join(source, 1);
    rig_assign(source, writes_0, 0);

    struct record record;
    int64_t end;
    assert_int_equal(rig_read(source, writes_0, &record, &end), READ_RECORD);
    assert_true(tp_equal(record.tp, writes_0));
    assert_true(bytes_equal(record.key, BYTES("k")));
    assert_true(bytes_equal(record.value, BYTES("a\0b")));
    assert_true(record.timestamp_ms > 1700000000000);
    assert_int_equal(record.header_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(bytes_equal(record.headers[i].name, headers[i].name));
        assert_true(bytes_equal(record.headers[i].value, headers[i].value));
        assert_int_equal(bytes_present(record.headers[i].value), i < 2);
    }
    assert_int_equal(rig_read(source, writes_0, &record, &end), READ_RECORD);
    assert_false(bytes_present(record.key));
    assert_false(bytes_present(record.value));
    assert_int_equal(record.header_count, 0);
    assert_int_equal(rig_read(source, writes_0, &record, &end), READ_RECORD);
    assert_true(bytes_present(record.key) && record.key.len == 0);
    assert_true(bytes_present(record.value) && record.value.len == 0);
    assert_int_equal(record.timestamp_ms, 1234567890123);
    kafka_source_free(source);
    rig_release(&rig);
}

/* ------------------------------------------------------------------------------ ends of logs */

static rd_kafka_t *transactional_producer(const struct rig *rig)
{
    char text[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    (void)rd_kafka_conf_set(conf, "bootstrap.servers", rig->options.bootstrap_servers, text,
                            sizeof text);
    (void)rd_kafka_conf_set(conf, "transactional.id", rig->group, text, sizeof text);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    assert_non_null(rk);
    assert_null(rd_kafka_init_transactions(rk, 20000));
    return rk;
}

static void transaction_open(rd_kafka_t *rk, const char *topic, const char *value)
{
    assert_null(rd_kafka_begin_transaction(rk));
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    assert_int_equal(rd_kafka_produce(handle, 0, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)value,
                                      strlen(value), NULL, 0, NULL),
                     0);
    rd_kafka_topic_destroy(handle);
    assert_int_equal(rd_kafka_flush(rk, 10000), 0);
}

static void transaction(rd_kafka_t *rk, const char *topic, const char *value, bool commit)
{
    transaction_open(rk, topic, value);
    assert_null(commit ? rd_kafka_commit_transaction(rk, 10000)
                       : rd_kafka_abort_transaction(rk, 10000));
}

static bool on_offset(void *self, const struct record *record)
{
    int64_t *sum = self;
    *sum = *sum * 10 + record->offset + 1;
    return true;
}

/* The offsets that a reader of this range is given, each plus one, as digits. */
static int64_t offsets_of(const struct rig *rig, int64_t from, int64_t to)
{
    struct err err;
    int64_t offsets = 0;
    if (!kafka_read_range(&rig->options, rig->names.topics[TOPIC_WRITES], 0, from, to, on_offset,
                          &offsets, &err))
        fail_msg("%s", err.text);
    return offsets;
}

/* Offsets: 0 committed, 1 marker, 2 aborted, 3 marker; the log ends at 4. */
static void test_source_end_is_behind_control_records(void **state)
{
    struct rig rig;
    rig_init(&rig, address(state), "control");
    rig_create(&rig, TOPIC_WRITES, 1);
    rd_kafka_t *rk = transactional_producer(&rig);
    transaction(rk, rig.names.topics[TOPIC_WRITES], "0", true);
    transaction(rk, rig.names.topics[TOPIC_WRITES], "aborted", false);
    rd_kafka_destroy(rk);

    struct kafka_source *source = rig_source(&rig);
    rig_join(source, 1);
    struct record record;
    int64_t end = 0;
    rig_assign(source, writes_0, 0);
    rig_read_run(source, writes_0, 0, 0);
    assert_int_equal(rig_read(source, writes_0, &record, &end), READ_END);
    assert_int_equal(end, 4);
    assert_int_equal(offsets_of(&rig, KAFKA_READ_BEGINNING, KAFKA_READ_END), 1);
    assert_int_equal(offsets_of(&rig, 1, 4), 0);
    rig_produce(&rig, TOPIC_WRITES, 0, 4, 1);
    assert_int_equal(offsets_of(&rig, 0, 4), 1);
    assert_int_equal(offsets_of(&rig, 0, 5), 15);
    rig_read_run(source, writes_0, 4, 4);
    rig_assign(source, writes_0, 1); /* on a marker */
    rig_read_run(source, writes_0, 4, 4);
    kafka_source_free(source);
    rig_release(&rig);
}

/* Waits until the client knows it; what it knows is as old as the last fetch. */
static void wait_for_view(const struct kafka_source *source, struct kafka_log_view wanted)
{
    struct kafka_log_view view = kafka_source_log(source, writes_0);
    for (int tries = 0; tries < 200; tries++) {
        if (view.high == wanted.high && view.at_end == wanted.at_end &&
            view.withheld == wanted.withheld)
            break;
        (void)usleep(50000);
        view = kafka_source_log(source, writes_0);
    }
    assert_int_equal(view.high, wanted.high);
    assert_int_equal(view.at_end, wanted.at_end);
    assert_int_equal(view.withheld, wanted.withheld);
    assert_int_equal(view.position, wanted.position);
}

/* Offsets: 0 to 9 for all to read; 10 in a transaction that nobody ends, 11 to 13 behind it. */
static void test_source_sees_past_an_open_transaction(void **state)
{
    struct rig rig;
    rig_init(&rig, address(state), "open");
    rig_create(&rig, TOPIC_WRITES, 2);
    rig_produce(&rig, TOPIC_WRITES, 0, 0, 10);
    rd_kafka_t *rk = transactional_producer(&rig);
    struct kafka_source *source = rig_source(&rig);
    rig_join(source, 2);
    assert_int_equal(kafka_source_log(source, writes_0).high, -1);
    struct record record;
    int64_t end = 0;
    rig_assign(source, writes_0, 0);
    rig_read_run(source, writes_0, 0, 9);
    assert_int_equal(rig_read(source, writes_0, &record, &end), READ_END);
    wait_for_view(source, (struct kafka_log_view){ .high = 10, .at_end = true, .position = 10 });

    transaction_open(rk, rig.names.topics[TOPIC_WRITES], "10");
    rig_produce(&rig, TOPIC_WRITES, 0, 11, 3);
    wait_for_view(source, (struct kafka_log_view){
                              .high = 14, .at_end = true, .withheld = true, .position = 10 });
    /* whoever asks the broker: readers may wait for the one, people are shown the other */
    const char *topic = rig.names.topics[TOPIC_WRITES];
    struct err err;
    int64_t low = -1;
    struct kafka_log_ends ends = { -1, -1, -1 };
    assert_true(kafka_admin_log(rig.admin, topic, 0, &low, &end, &err));
    assert_int_equal(end, 10);
    assert_true(kafka_admin_ends(rig.admin, topic, 0, &ends, &err));
    assert_int_equal(ends.low, 0);
    assert_int_equal(ends.stable, 10);
    assert_int_equal(ends.high, 14);

    assert_null(rd_kafka_commit_transaction(rk, 10000)); /* its marker is 14 */
    /* now it is we who do not read */
    wait_for_view(source, (struct kafka_log_view){ .high = 15, .position = 10 });
    rig_read_run(source, writes_0, 10, 13);
    assert_int_equal(rig_read(source, writes_0, &record, &end), READ_END);
    assert_int_equal(end, 15);
    wait_for_view(source, (struct kafka_log_view){ .high = 15, .at_end = true, .position = 15 });
    rig_assign(source, writes_0, 15); /* that it ended here was seen before */
    assert_false(kafka_source_log(source, writes_0).at_end);
    rig_assign(source, writes_1, 0);
    assert_int_equal(kafka_source_log(source, writes_0).high, -1); /* not read: old news */
    rd_kafka_destroy(rk);
    kafka_source_free(source);
    rig_release(&rig);
}

static void test_source_survey(void **state)
{
    struct rig rig;
    rig_init(&rig, address(state), "survey");
    rig_create(&rig, TOPIC_WRITES, 2);
    rig_produce(&rig, TOPIC_WRITES, 0, 0, 20);
    struct kafka_source *source = rig_source(&rig);
    struct source port = kafka_source_port(source);
    rig_join(source, 2);
    struct tp tps[] = { writes_0, writes_1 };
    struct err err;
    assert_true(port.survey(port.self, tps, 2, &err));
    assert_false(port.survey(port.self, tps, 2, &err));
    struct source_event event = rig_wait(source, SOURCE_SURVEYED, 10);
    assert_int_equal(event.fact_count, 2);
    assert_int_equal(event.facts[0].low, 0);
    assert_int_equal(event.facts[0].high, 20);
    assert_false(event.facts[0].has_committed);
    assert_int_equal(event.facts[1].high, 0);
    assert_false(event.facts[1].has_committed);

    rig_assign(source, writes_0, 0);
    assert_false(event.facts[0].witness.present);
    const struct group_offset done[] = { { writes_1, 0, { .present = false } },
                                         { writes_0, 12, { true, 3, INT64_C(9007199254740993) } } };
    struct witness witness = { false, 0, 0 };
    port.commit(port.self, done, 2);
    int64_t committed = -1;
    for (int tries = 0; committed != 12 && tries < 50; tries++) {
        (void)usleep(100000);
        assert_true(kafka_admin_committed(rig.admin, rig.names.topics[TOPIC_WRITES], 0, &committed,
                                          &witness, &err));
    }
    assert_true(witness.present);
    assert_int_equal(witness.generation, 3);
    assert_int_equal(witness.next_offset, INT64_C(9007199254740993));
    assert_true(port.survey(port.self, tps, 2, &err));
    event = rig_wait(source, SOURCE_SURVEYED, 10);
    assert_true(event.facts[0].has_committed);
    assert_int_equal(event.facts[0].committed, 12);
    assert_true(event.facts[0].witness.present);
    assert_int_equal(event.facts[0].witness.generation, 3);
    assert_int_equal(event.facts[0].witness.next_offset, INT64_C(9007199254740993));
    assert_false(event.facts[1].witness.present);
    assert_true(event.facts[1].has_committed); /* none is one thing, nothing yet another */
    assert_int_equal(event.facts[1].committed, 0);

    struct tp missing = { TOPIC_REFRESH, 0 };
    assert_true(port.survey(port.self, &missing, 1, &err));
    event = rig_wait(source, SOURCE_SURVEY_FAILED, 10);
    assert_true(*event.err.text != '\0');
    assert_int_not_equal(event.err.action, ERR_HALT);  /* it may come yet */
    assert_true(port.survey(port.self, tps, 2, &err)); /* and away with it in the middle */
    kafka_source_free(source);
    rig_release(&rig);
}

/* -------------------------------------------------------------------- what is wrong in a log */

static void test_source_stops_out_of_range(void **state)
{
    struct rig rig;
    rig_init(&rig, address(state), "range");
    rig_create(&rig, TOPIC_WRITES, 1);
    rig_produce(&rig, TOPIC_WRITES, 0, 0, 5);
    struct kafka_source *source = rig_source(&rig);
    struct source port = kafka_source_port(source);
    rig_join(source, 1);
    rig_assign(source, writes_0, 1000);
    struct record record;
    int64_t end;
    struct source_event event = { 0 };
    for (int tries = 0; event.kind != SOURCE_STOPPED && tries < 100; tries++) {
        assert_int_equal(port.read(port.self, writes_0, &record, &end), READ_NOTHING);
        port.next(port.self, &event);
        (void)usleep(100000);
    }
    assert_int_equal(event.kind, SOURCE_STOPPED);
    assert_true(tp_equal(event.tp, writes_0));
    assert_int_equal(event.offset, 1000);
    assert_string_equal(event.err.code, "out_of_range");
    rig_assign(source, writes_0, 2);
    rig_read_run(source, writes_0, 2, 4);
    kafka_source_free(source);
    rig_release(&rig);
}

/* Flips a byte of the last record's value in the broker's file, while the broker is down. */
static void corrupt_last_value(const struct private_kafka *kafka, const char *topic)
{
    char path[400];
    (void)snprintf(path, sizeof path, "%s/data/%s-0/00000000000000000000.log", kafka->dir, topic);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, -2, SEEK_END), 0); /* value, then the count of headers */
    assert_true(fputc('X', file) == 'X');
    assert_int_equal(fclose(file), 0);
}

/* Reads until the partition stops; the code and the offset of why. */
static struct source_event read_to_stop(struct kafka_source *source, struct tp tp)
{
    struct source port = kafka_source_port(source);
    struct source_event event = { 0 };
    struct record record;
    int64_t end;
    for (int tries = 0; event.kind != SOURCE_STOPPED && tries < 100; tries++) {
        assert_int_equal(port.read(port.self, tp, &record, &end), READ_NOTHING);
        port.next(port.self, &event);
        (void)usleep(100000);
    }
    return event;
}

static void test_source_stops_at_corrupt_batch(void **state)
{
    struct private_kafka *kafka = *state;
    struct rig rig;
    rig_init(&rig, address(state), "corrupt");
    rig_create(&rig, TOPIC_WRITES, 1);
    rig_produce(&rig, TOPIC_WRITES, 0, 0, 3);
    rig_produce(&rig, TOPIC_WRITES, 0, 3, 1); /* a batch of its own */
    assert_true(private_kafka_stop(kafka, "TERM"));
    corrupt_last_value(kafka, rig.names.topics[TOPIC_WRITES]);
    assert_true(private_kafka_restart(kafka, "TERM"));
    rig_produce(&rig, TOPIC_WRITES, 0, 4, 5);

    struct kafka_source *source = rig_source(&rig);
    struct source port = kafka_source_port(source);
    rig_join(source, 1);
    struct record record;
    int64_t end;
    rig_assign(source, writes_0, 0);
    rig_read_run(source, writes_0, 0, 2);
    struct source_event event = read_to_stop(source, writes_0);
    assert_string_equal(event.err.code, "corrupt");
    assert_int_equal(event.offset, 3);
    (void)usleep(1500000);
    assert_int_equal(port.read(port.self, writes_0, &record, &end), READ_NOTHING);
    rig_assign(source, writes_0, 4); /* what an operator's accept-gap may lead to */
    rig_read_run(source, writes_0, 4, 8);
    kafka_source_free(source);
    rig_release(&rig);
}

/* One record of so many bytes with its key and its header, in a batch that the broker finds small.
 */
static void produce_bomb(const struct rig *rig, enum topic topic, size_t bytes)
{
    static const char *const properties[] = { "message.max.bytes=100000000",
                                              "compression.codec=gzip" };
    struct kafka_options options = rig->options;
    options.properties = properties;
    options.property_count = sizeof properties / sizeof *properties;
    struct err err;
    struct kafka_producer *producer = kafka_producer_new(&options, &err);
    const struct bytes key = BYTES("key");
    struct header header = { BYTES("name"), BYTES("a value") };
    char *value = malloc(bytes);
    assert_true(producer != NULL && value != NULL);
    memset(value, ' ', bytes);
    struct kafka_outgoing outgoing = { .topic = rig->names.topics[topic],
                                       .partition = 0,
                                       .key = key,
                                       .value = { value, bytes - key.len - header.name.len -
                                                             header.value.len },
                                       .headers = &header,
                                       .header_count = 1 };
    if (!kafka_producer_send(producer, &outgoing, &err) ||
        !kafka_producer_flush(producer, 20000, &err))
        fail_msg("%s", err.text);
    free(value);
    kafka_producer_free(producer);
}

/* What is as long as may be is carried; a byte more stops its partition, and that one alone. */
static void test_source_stops_at_a_record_that_is_too_long(void **state)
{
    struct rig rig;
    rig_init(&rig, address(state), "bomb");
    rig_create(&rig, TOPIC_WRITES, 2);
    rig_produce(&rig, TOPIC_WRITES, 0, 0, 1);
    produce_bomb(&rig, TOPIC_WRITES, KAFKA_RECORD_BYTES_MAX);
    produce_bomb(&rig, TOPIC_WRITES, KAFKA_RECORD_BYTES_MAX + 1);
    rig_produce(&rig, TOPIC_WRITES, 0, 3, 2);
    rig_produce(&rig, TOPIC_WRITES, 1, 0, 5);

    struct kafka_source *source = rig_source(&rig);
    struct record record;
    int64_t end;
    rig_join(source, 2);
    rig_assign(source, writes_0, 0);
    rig_read_run(source, writes_0, 0, 0);
    assert_int_equal(rig_read(source, writes_0, &record, &end), READ_RECORD);
    assert_int_equal(record.key.len + record.value.len + strlen("namea value"),
                     KAFKA_RECORD_BYTES_MAX);
    struct source_event event = read_to_stop(source, writes_0);
    assert_string_equal(event.err.code, "corrupt");
    assert_int_equal(event.offset, 2);
    rig_assign(source, (struct tp){ TOPIC_WRITES, 1 }, 0);
    rig_read_run(source, (struct tp){ TOPIC_WRITES, 1 }, 0, 4);
    rig_assign(source, writes_0, 3);
    rig_read_run(source, writes_0, 3, 4);
    kafka_source_free(source);
    rig_release(&rig);
}

/* A wish for a refresh is not worth a halt that nobody could end. */
static void test_source_passes_over_a_wish_that_is_too_long(void **state)
{
    const struct tp refresh = { TOPIC_REFRESH, 0 };
    struct rig rig;
    rig_init(&rig, address(state), "wish");
    rig_create(&rig, TOPIC_REFRESH, 1);
    rig_produce(&rig, TOPIC_REFRESH, 0, 0, 1);
    produce_bomb(&rig, TOPIC_REFRESH, KAFKA_RECORD_BYTES_MAX + 1);
    rig_produce(&rig, TOPIC_REFRESH, 0, 2, 1);
    struct kafka_source *source = rig_source(&rig);
    struct source port = kafka_source_port(source);
    rig_join(source, 1);
    rig_assign(source, refresh, 0);
    rig_read_run(source, refresh, 0, 0);
    rig_read_run(source, refresh, 2, 2);
    struct source_event event = { 0 };
    for (port.next(port.self, &event); event.kind != SOURCE_NOTHING; port.next(port.self, &event)) {
        assert_int_not_equal(event.kind, SOURCE_STOPPED);
        if (event.kind == SOURCE_TROUBLE &&
            strstr(event.err.text, "offset 1 is passed over") != NULL)
            break;
    }
    assert_int_equal(event.kind, SOURCE_TROUBLE);
    kafka_source_free(source);
    rig_release(&rig);
}

/* Deleted, made anew and filled beyond our position within a moment: no record may get through. */
static void test_source_notices_a_topic_made_anew(void **state)
{
    struct rig rig;
    rig_init(&rig, address(state), "anew");
    rig_create(&rig, TOPIC_WRITES, 1);
    rig_produce(&rig, TOPIC_WRITES, 0, 0, 10);
    struct kafka_source *source = rig_source(&rig);
    struct source port = kafka_source_port(source);
    struct err err;
    struct record record;
    int64_t end;
    rig_join(source, 1);
    rig_assign(source, writes_0, 0);
    rig_read_run(source, writes_0, 0, 9);
    assert_true(kafka_admin_delete(rig.admin, rig.names.topics[TOPIC_WRITES], &err));
    rig_create(&rig, TOPIC_WRITES, 1);
    kafka_producer_free(rig.producer); /* the old one still numbers for the old log */
    rig.producer = kafka_producer_new(&rig.options, &err);
    rig_produce(&rig, TOPIC_WRITES, 0, 0, 30);
    struct source_event event = { 0 };
    for (int tries = 0; tries < 60; tries++) {
        assert_int_not_equal(port.read(port.self, writes_0, &record, &end), READ_RECORD);
        port.next(port.self, &event);
        if (event.kind == SOURCE_SUSPECT || event.kind == SOURCE_REVOKED)
            break;
        (void)usleep(50000);
    }
    assert_true(event.kind == SOURCE_SUSPECT || event.kind == SOURCE_REVOKED);
    (void)usleep(1500000);
    assert_int_equal(port.read(port.self, writes_0, &record, &end), READ_NOTHING);
    rig_assign(source, writes_0, 9); /* to compare: it is another record 9 now */
    rig_read_run(source, writes_0, 9, 29);
    kafka_source_free(source);
    rig_release(&rig);
}

/* -------------------------------------------------------------------------------- membership */

static void test_source_waits_for_topics(void **state)
{
    struct rig rig;
    rig_init(&rig, address(state), "missing");
    struct kafka_source *source = rig_source(&rig);
    struct source_event event = rig_wait(source, SOURCE_TROUBLE, 15);
    assert_string_equal(event.err.code, "UNKNOWN_TOPIC_OR_PART");
    assert_non_null(strstr(event.err.text, "missing."));
    rig_create(&rig, TOPIC_WRITES, 2);
    rig_join(source, 2);
    rig_create(&rig, TOPIC_ACTIVITY, 1);
    (void)rig_wait(source, SOURCE_REVOKED, 15);
    rig_join(source, 3);
    struct err err;
    assert_true(kafka_admin_grow(rig.admin, rig.names.topics[TOPIC_WRITES], 4, &err));
    (void)rig_wait(source, SOURCE_REVOKED, 15);
    rig_join(source, 5);
    rig_produce(&rig, TOPIC_WRITES, 3, 0, 3);
    rig_assign(source, (struct tp){ TOPIC_WRITES, 3 }, 0);
    rig_read_run(source, (struct tp){ TOPIC_WRITES, 3 }, 0, 2);
    kafka_source_free(source);
    rig_release(&rig);
}

static void test_source_shares_with_a_second_member(void **state)
{
    struct rig rig;
    rig_init(&rig, address(state), "share");
    rig_create(&rig, TOPIC_WRITES, 2);
    rig_produce(&rig, TOPIC_WRITES, 0, 0, 100);
    rig_produce(&rig, TOPIC_WRITES, 1, 0, 100);
    struct kafka_source *first = rig_source(&rig);
    struct source port = kafka_source_port(first);
    rig_join(first, 2);
    struct position both[] = { { writes_0, 0 }, { writes_1, 0 } };
    struct err err;
    assert_true(port.assign(port.self, both, 2, &err));
    rig_read_run(first, writes_0, 0, 9);

    struct kafka_source *second = rig_source(&rig);
    (void)rig_wait(first, SOURCE_REVOKED, 15);
    struct record record;
    int64_t end;
    assert_int_equal(port.read(port.self, writes_0, &record, &end), READ_NOTHING);
    struct source_event mine = rig_wait(first, SOURCE_ASSIGNED, 15);
    assert_int_equal(mine.tp_count, 1);
    struct tp tp = mine.tps[0];
    struct source_event theirs = rig_wait(second, SOURCE_ASSIGNED, 15);
    assert_int_equal(theirs.tp_count, 1);
    assert_false(tp_equal(theirs.tps[0], tp));
    rig_assign(first, tp, 5);
    rig_read_run(first, tp, 5, 99);
    rig_assign(second, theirs.tps[0], 0);
    rig_read_run(second, (struct tp){ TOPIC_WRITES, 1 - tp.partition }, 0, 99);

    kafka_source_free(second);
    (void)rig_wait(first, SOURCE_REVOKED, 5); /* at once: the second has left, not timed out */
    rig_join(first, 2);
    kafka_source_free(first);
    rig_release(&rig);
}

/* As the engine does: after every assignment and every suspicion read on from where we are. */
static void read_through_rebalances(struct kafka_source *source, int64_t first, int64_t last)
{
    struct source port = kafka_source_port(source);
    struct position from = { writes_0, first };
    struct err err;
    /* who waited for other news may have passed over an assignment; if it is not ours, one comes */
    bool ours = port.assign(port.self, &from, 1, &err);
    for (int tries = 0; first <= last && tries < 300; tries++) {
        struct source_event event;
        struct record record;
        int64_t end;
        do {
            port.next(port.self, &event);
            ours = event.kind == SOURCE_ASSIGNED || (ours && event.kind != SOURCE_REVOKED);
            if (ours && (event.kind == SOURCE_ASSIGNED || event.kind == SOURCE_SUSPECT))
                rig_assign(source, writes_0, first);
        } while (event.kind != SOURCE_NOTHING);
        while (port.read(port.self, writes_0, &record, &end) == READ_RECORD)
            assert_int_equal(record.offset, first++);
        (void)usleep(100000);
    }
    assert_int_equal(first, last + 1);
}

/* Who has told of a loss tells of its end, at the first question that is answered. */
static void assert_kafka_answers_again(struct kafka_source *source)
{
    struct source port = kafka_source_port(source);
    struct source_event event = { .kind = SOURCE_NOTHING };
    bool asked = false;
    for (int tries = 0; tries < 300; tries++) {
        struct err err;
        asked = asked || port.survey(port.self, &writes_0, 1, &err);
        port.next(port.self, &event);
        asked = asked && event.kind != SOURCE_SURVEY_FAILED;
        if (event.kind == SOURCE_TROUBLE && event.err.action == ERR_NONE)
            break;
        (void)usleep(100000);
    }
    assert_string_equal(event.err.text, "Kafka answers again");
}

static void test_source_survives_a_broker_restart(void **state)
{
    struct private_kafka *kafka = *state;
    struct rig rig;
    rig_init(&rig, address(state), "restart");
    rig_create(&rig, TOPIC_WRITES, 1);
    rig_produce(&rig, TOPIC_WRITES, 0, 0, 10);
    struct kafka_source *source = rig_source(&rig);
    rig_join(source, 1);
    rig_assign(source, writes_0, 0);
    rig_read_run(source, writes_0, 0, 9);
    assert_true(private_kafka_restart(kafka, "KILL"));
    struct source_event event = rig_wait(source, SOURCE_SUSPECT, 15);
    assert_false(event.has_tp);
    event = rig_wait(source, SOURCE_TROUBLE, 15);
    assert_int_equal(event.err.action, ERR_LOST);
    assert_kafka_answers_again(source);
    rig_produce(&rig, TOPIC_WRITES, 0, 10, 10);
    read_through_rebalances(source, 10, 19);
    kafka_source_free(source);
    rig_release(&rig);
}

/* A question that is given up wakes nobody: it is seen when the engine asks, once a second. */
static void wait_for_failed_survey(struct kafka_source *source)
{
    struct source port = kafka_source_port(source);
    struct source_event event = { .kind = SOURCE_NOTHING };
    for (int tries = 0; event.kind != SOURCE_SURVEY_FAILED && tries < 200; tries++) {
        port.next(port.self, &event);
        (void)usleep(100000);
    }
    assert_int_equal(event.kind, SOURCE_SURVEY_FAILED);
    assert_int_equal(event.err.action, ERR_LOST);
}

/* The client asks a broker that went away again for ever; whoever asks it must not wait as long. */
static void test_source_survey_ends_without_a_broker(void **state)
{
    struct private_kafka *kafka = *state;
    struct rig rig;
    rig_init(&rig, address(state), "away");
    rig_create(&rig, TOPIC_WRITES, 2);
    struct kafka_source *source = rig_source(&rig);
    struct source port = kafka_source_port(source);
    rig_join(source, 2);
    struct tp tps[] = { writes_0, writes_1 };
    struct err err;
    assert_true(port.survey(port.self, tps, 2, &err));
    (void)rig_wait(source, SOURCE_SURVEYED, 10);
    assert_true(private_kafka_stop(kafka, "KILL"));
    for (int times = 0; times < 3; times++) {
        assert_true(port.survey(port.self, tps, 2, &err));
        wait_for_failed_survey(source);
    }
    assert_true(port.survey(port.self, tps, 2, &err));
    time_t before = time(NULL);
    kafka_source_free(source);
    assert_true(time(NULL) - before <= 10);
    assert_true(private_kafka_restart(kafka, "KILL"));
    rig_release(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_source_reads_from_positions),
        cmocka_unit_test(test_source_maps_records),
        cmocka_unit_test(test_source_end_is_behind_control_records),
        cmocka_unit_test(test_source_sees_past_an_open_transaction),
        cmocka_unit_test(test_source_survey),
        cmocka_unit_test(test_source_stops_out_of_range),
        cmocka_unit_test(test_source_stops_at_corrupt_batch),
        cmocka_unit_test(test_source_stops_at_a_record_that_is_too_long),
        cmocka_unit_test(test_source_passes_over_a_wish_that_is_too_long),
        cmocka_unit_test(test_source_notices_a_topic_made_anew),
        cmocka_unit_test(test_source_waits_for_topics),
        cmocka_unit_test(test_source_shares_with_a_second_member),
        cmocka_unit_test(test_source_survives_a_broker_restart),
        cmocka_unit_test(test_source_survey_ends_without_a_broker),
    };
    cmocka_set_test_filter(getenv("ATTEMPTD_TEST_FILTER")); /* NULL for all */
    return cmocka_run_group_tests(tests, private_kafka_setup, private_kafka_teardown);
}
