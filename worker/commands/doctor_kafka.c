#include "common/murmur2.h"
#include "worker/commands/doctor.h"
#include "worker/commands/document.h"
#include "worker/commands/facts.h"
#include "worker/commands/kafka_setup.h"
#include "worker/commands/withheld.h"
#include "worker/kafka/kafka_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AREA             "kafka"
#define RETENTION_MIN_MS (24ll * 60 * 60 * 1000)
#define SAMPLE_RECORDS   200 /* of the end of each partition, for the partitioner */

struct examination {
    struct findings *findings;
    const struct settings *settings;
    const struct kafka_options *options;
    struct kafka_admin *admin;
    const json_t *ledger; /* NULL when it is not known */
    int broker_count;
    bool fix;
};

/* --------------------------------------------------------------------------- topic settings */

struct topic_settings {
    char cleanup_policy[64];
    char timestamp_type[32];
    long long retention_ms, retention_bytes;
    long long min_insync;
    bool unclean;
};

static void take_setting(void *self, const struct kafka_setting *setting)
{
    struct topic_settings *s = self;
    const char *value = setting->value == NULL ? "" : setting->value;
    if (strcmp(setting->name, "cleanup.policy") == 0)
        (void)snprintf(s->cleanup_policy, sizeof s->cleanup_policy, "%s", value);
    else if (strcmp(setting->name, "retention.ms") == 0)
        s->retention_ms = strtoll(value, NULL, 10);
    else if (strcmp(setting->name, "retention.bytes") == 0)
        s->retention_bytes = strtoll(value, NULL, 10);
    else if (strcmp(setting->name, "min.insync.replicas") == 0)
        s->min_insync = strtoll(value, NULL, 10);
    else if (strcmp(setting->name, "unclean.leader.election.enable") == 0)
        s->unclean = strcmp(value, "true") == 0;
}

/* What acks=all is worth: how many brokers have an event when its producer is told so. */
static void check_replicas(struct examination *e, const char *topic, int replicas,
                           const struct topic_settings *s)
{
    if (s->unclean)
        finding_add(e->findings, FINDING_WARN, AREA,
                    "set unclean.leader.election.enable=false: a replica that lags, once elected, "
                    "throws away what was acknowledged",
                    "%s allows unclean leader elections", topic);
    if (e->broker_count > 1 && replicas < 2)
        finding_add(e->findings, FINDING_WARN, AREA,
                    "give it three replicas: with one, a lost disk takes acknowledged events along",
                    "%s has replication factor %d", topic, replicas);
    else if (replicas > 1 && s->min_insync < 2)
        finding_add(e->findings, FINDING_WARN, AREA,
                    "set min.insync.replicas=2: else acks=all is content with the leader alone",
                    "%s has %d replicas and min.insync.replicas=%lld", topic, replicas,
                    s->min_insync);
}

/* Input logs must keep every record until it is applied, whatever its key. */
static void check_topic_settings(struct examination *e, const char *topic, int replicas)
{
    struct topic_settings s = { .retention_ms = -1, .retention_bytes = -1, .min_insync = 1 };
    struct err err;
    if (!kafka_admin_settings(e->admin, topic, take_setting, &s, &err)) {
        finding_add(e->findings, FINDING_WARN, AREA, "allow DescribeConfigs on the topic", "%s",
                    err.text);
        return;
    }
    if (strstr(s.cleanup_policy, "compact") != NULL)
        finding_add(e->findings, FINDING_FAIL, AREA,
                    "set cleanup.policy=delete: compaction throws away saves before they are read",
                    "%s has cleanup.policy=%s", topic, s.cleanup_policy);
    if (s.retention_ms >= 0 && s.retention_ms < RETENTION_MIN_MS)
        finding_add(e->findings, FINDING_WARN, AREA,
                    "set retention.ms to days: what is gone before it is applied is lost",
                    "%s keeps records for only %lld minutes", topic, s.retention_ms / 60000);
    if (s.retention_bytes >= 0)
        finding_add(e->findings, FINDING_WARN, AREA,
                    "set retention.bytes=-1, or watch the lag: a rush may push unread records out",
                    "%s keeps only %lld bytes a partition", topic, s.retention_bytes);
    check_replicas(e, topic, replicas, &s);
}

/* ------------------------------------------------------------------------------- existence */

static bool create(struct examination *e, const char *topic, bool input)
{
    /* Records of an exam stay for a fortnight; nothing else of ours needs a setting. */
    static const struct kafka_setting settings[] = { { "cleanup.policy", "delete" },
                                                     { "retention.ms", "1209600000" } };
    struct err err;
    bool single = strcmp(topic, e->settings->topics[TOPIC_REFRESH]) == 0;
    int32_t partitions = single ? 1 : (int32_t)e->settings->partitions;
    if (!kafka_admin_create(e->admin, topic, partitions, settings, input ? 2 : 0, &err)) {
        finding_add(e->findings, FINDING_FAIL, AREA,
                    "try again, create it yourself, or allow CreateTopics to this client", "%s",
                    err.text);
        return false;
    }
    finding_add(e->findings, FINDING_FIXED, AREA, NULL, "topic %s created with %d partitions",
                topic, partitions);
    return true;
}

/* Returns the number of partitions; 0 when it is not there. */
static int check_topic(struct examination *e, const char *topic, bool input)
{
    struct kafka_topic t;
    struct err err;
    if (!kafka_admin_topic(e->admin, topic, &t, &err)) {
        finding_add(e->findings, FINDING_FAIL, AREA, NULL, "%s", err.text);
        return 0;
    }
    if (!t.exists && e->fix)
        return create(e, topic, input) ? (int)e->settings->partitions : 0;
    if (!t.exists) {
        finding_add(e->findings, FINDING_FAIL, AREA,
                    "create it, or run 'attemptd doctor --fix --partitions N'",
                    "topic %s does not exist", topic);
        return 0;
    }
    finding_add(e->findings, FINDING_OK, AREA, NULL,
                "topic %s has %d partitions, replication factor %d", topic, t.partition_count,
                t.replication_factor);
    if (input)
        check_topic_settings(e, topic, t.replication_factor);
    return t.partition_count;
}

/* ------------------------------------------------------------------- logs and partitioner */

struct sample {
    int partition_count;
    int seen, astray;
};

static bool take_record(void *self, const struct record *record)
{
    struct sample *sample = self;
    if (!bytes_present(record->key))
        return true;
    sample->seen++;
    sample->astray +=
        murmur2_partition(record->key, sample->partition_count) != record->tp.partition;
    return true;
}

/* False when it cannot be read at present. */
static bool check_log(struct examination *e, const char *topic, int32_t partition,
                      struct kafka_log_ends *ret)
{
    struct err err;
    if (!kafka_admin_ends(e->admin, topic, partition, ret, &err)) {
        if (err.action == ERR_HALT)
            finding_add(e->findings, FINDING_FAIL, AREA, NULL, "%s", err.text);
        else
            finding_unreachable(e->findings, AREA, err.text);
        return false;
    }
    if (ret->high > ret->stable) {
        char step[WITHHELD_STEP_MAX];
        withheld_next_step(step, topic, partition, ret->stable);
        finding_add(e->findings, FINDING_WARN, AREA, step,
                    "%lld records of %s[%d] wait behind a producer's open transaction, which "
                    "begins at offset %lld",
                    (long long)(ret->high - ret->stable), topic, (int)partition,
                    (long long)ret->stable);
    }
    return true;
}

/*
 * A worker halts where the ledger would read on outside of the log. Only a warning, because nothing
 * keeps it from the other partitions, and whoever starts workers only when all is well must not.
 */
static void check_position(struct examination *e, const char *topic, int32_t partition,
                           const struct kafka_log_ends *log)
{
    size_t i;
    const json_t *row;
    json_array_foreach(e->ledger, i, row)
    {
        long long next = document_number(row, "next_offset");
        if (strcmp(document_text(row, "topic", ""), topic) != 0 ||
            document_number(row, "partition") != partition ||
            (next >= log->low && next <= log->high))
            continue;
        bool beyond = next > log->high;
        char next_step[512];
        (void)snprintf(next_step, sizeof next_step,
                       "a worker halts here (reason=%s): bring the log back, or accept what it is "
                       "now: 'attemptd accept-gap %s %d --reason WHY'",
                       beyond ? "log_end" : "log_start", topic, (int)partition);
        finding_add(e->findings, FINDING_WARN, AREA, next_step,
                    "the ledger reads %s[%d] on at offset %lld, but the log %s at %lld", topic,
                    (int)partition, next, beyond ? "ends" : "begins",
                    (long long)(beyond ? log->high : log->low));
    }
}

/* Each log; and its last records show whether all producers agree on where keys belong. */
static void check_logs(struct examination *e, const char *topic, int partition_count)
{
    struct sample sample = { .partition_count = partition_count };
    for (int32_t p = 0; p < partition_count; p++) {
        struct kafka_log_ends log;
        struct err err;
        if (!check_log(e, topic, p, &log))
            continue; /* a partition without a leader says nothing of the others */
        check_position(e, topic, p, &log);
        int64_t from =
            log.stable - log.low > SAMPLE_RECORDS ? log.stable - SAMPLE_RECORDS : log.low;
        if (from < log.stable &&
            !kafka_read_range(e->options, topic, p, from, log.stable, take_record, &sample, &err)) {
            finding_add(e->findings, FINDING_WARN, AREA, NULL, "cannot read %s[%d]: %s", topic,
                        (int)p, err.text);
        }
    }
    if (sample.astray > 0)
        finding_add(e->findings, FINDING_WARN, AREA,
                    "let every producer use murmur2 over the key (librdkafka: "
                    "partitioner=murmur2_random), and do not add partitions during an exam: events "
                    "of one attempt in two partitions lose their order",
                    "%d of the last %d records of %s are not where murmur2 puts their key",
                    sample.astray, sample.seen, topic);
    else if (sample.seen > 0)
        finding_add(e->findings, FINDING_OK, AREA, NULL,
                    "the last %d records of %s are where murmur2 puts their key", sample.seen,
                    topic);
}

/* ------------------------------------------------------------------------------------ all */

static void check_all(struct examination *e)
{
    struct err err;
    struct kafka_cluster cluster;
    if (!kafka_setup_wait(e->admin, e->settings->kafka_brokers, &cluster, &err)) {
        finding_unreachable(e->findings, AREA, err.text);
        return;
    }
    finding_add(e->findings, FINDING_OK, AREA, NULL, "cluster %s, %d broker%s", cluster.id,
                cluster.broker_count, cluster.broker_count == 1 ? "" : "s");
    e->broker_count = cluster.broker_count;
    int counts[TOPIC_COUNT];
    for (int i = 0; i < TOPIC_COUNT; i++)
        counts[i] = check_topic(e, e->settings->topics[i], true);
    (void)check_topic(e, e->settings->invalidations_topic, false);
    (void)check_topic(e, e->settings->outcomes_topic, false);
    int writes = counts[TOPIC_WRITES], activity = counts[TOPIC_ACTIVITY];
    if (writes > 0 && activity > 0 && writes != activity)
        finding_add(e->findings, FINDING_WARN, AREA,
                    "give both the same number, so that workers share them evenly",
                    "%s has %d partitions, %s has %d", e->settings->topics[TOPIC_WRITES], writes,
                    e->settings->topics[TOPIC_ACTIVITY], activity);
    if (writes > 0)
        check_logs(e, e->settings->topics[TOPIC_WRITES], writes);
    if (activity > 0)
        check_logs(e, e->settings->topics[TOPIC_ACTIVITY], activity);
}

void doctor_kafka(struct findings *findings, const struct settings *settings, const json_t *ledger,
                  bool fix)
{
    struct kafka_setup setup;
    struct err err;
    if (!kafka_setup_init(&setup, settings, &err))
        return; /* the settings' check has said so */
    struct examination e = { .findings = findings,
                             .settings = settings,
                             .options = &setup.options,
                             .admin = kafka_admin_new(&setup.options, &err),
                             .ledger = ledger,
                             .fix = fix };
    if (e.admin == NULL)
        finding_add(findings, FINDING_FAIL, AREA, NULL, "%s", err.text);
    else
        check_all(&e);
    kafka_admin_free(e.admin);
    kafka_setup_release(&setup);
}
