/*
 * What the tests of the source share: topics of their own on the broker, a source in a group of its
 * own, records to read, and waiting for news as the loop of the worker waits.
 */
#ifndef TESTS_KAFKA_RIG_H
#define TESTS_KAFKA_RIG_H

#include "worker/kafka/kafka_client.h"
#include "worker/kafka/kafka_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct rig {
    struct kafka_names names;
    struct kafka_options options;
    char group[64];
    struct kafka_admin *admin;
    struct kafka_producer *producer;
};

/* Names all topics "NAME.…"; nothing is created yet. */
void rig_init(struct rig *rig, const char *address, const char *name);
void rig_release(struct rig *rig);

/* Create a topic, or fail the test when the broker refuses for 20 seconds. */
void rig_create(struct rig *rig, enum topic topic, int32_t partitions);
void rig_create_topic(struct rig *rig, const char *name, int32_t partitions,
                      const struct kafka_setting *settings, size_t setting_count);

/* `count` records with the values "first", "first + 1", …; waits until they are confirmed. */
void rig_produce(struct rig *rig, enum topic topic, int32_t partition, int first, int count);

struct kafka_source *rig_source(struct rig *rig);

/* Waits for this kind of news; other news is passed over. Fails the test after `timeout_s`. */
struct source_event rig_wait(struct kafka_source *source, enum source_event_kind kind,
                             int timeout_s);

/* One read, waiting for a record or an end. */
enum read_result rig_read(struct kafka_source *source, struct tp tp, struct record *ret_record,
                          int64_t *ret_end);

/* Reads records with exactly the offsets from `first` to `last`, whose values are the offsets. */
void rig_read_run(struct kafka_source *source, struct tp tp, int64_t first, int64_t last);

void rig_assign(struct kafka_source *source, struct tp tp, int64_t offset);

/* Waits until the source has joined and all three topics' partitions are ours. */
void rig_join(struct kafka_source *source, size_t partitions);

#endif
