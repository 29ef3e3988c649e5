/*
 * The log, once through: how many records it holds, and with --replay what each of them must have
 * become, held against rejected_writes and dead_letters record by record.
 */
#include "worker/commands/audit_contents.h"
#include "worker/commands/audit_outcomes.h"
#include "worker/commands/audit_work.h"
#include "worker/kafka/kafka_reader.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

struct reading {
    struct audit *audit;
    struct audit_partition *partition;
    struct audit_outcomes outcomes;
    struct audit_contents contents;
    struct model_sink sink;
    struct arena arena;
    struct err *err;
    bool failed;
};

/* What the record must have become. */
struct judgement {
    struct verdict verdict;
    bool has_event;
    struct uuid event_id, attempt_id;
};

/* ------------------------------------------------------------------------------- differences */

static void describe(char *text, size_t size, enum outcome outcome, const char *reason,
                     int64_t row_version)
{
    if (outcome == OUTCOME_STALE || outcome == OUTCOME_LATE)
        (void)snprintf(text, size, "%s%s%s at version %" PRId64, outcome_name(outcome),
                       reason != NULL && *reason != '\0' ? " " : "", reason != NULL ? reason : "",
                       row_version);
    else
        (void)snprintf(text, size, "%s %s", outcome_name(outcome), reason != NULL ? reason : "");
}

static void report(struct reading *reading, const struct record *record,
                   const struct judgement *judgement, const char *expected, const char *found)
{
    bool dead = judgement->verdict.outcome == OUTCOME_DEAD;
    struct difference *difference =
        differences_add(&reading->audit->differences, dead ? "dead_letters" : "rejected_writes");
    if (difference == NULL)
        return;
    int len = snprintf(difference->key, sizeof difference->key, "%.40s@%" PRId64,
                       reading->partition->name, record->offset);
    (void)snprintf(difference->expected, sizeof difference->expected, "%s", expected);
    (void)snprintf(difference->found, sizeof difference->found, "%s", found);
    difference->has_attempt = judgement->has_event;
    difference->attempt_id = judgement->attempt_id;
    char id[UUID_TEXT_LEN + 1];
    if (difference->has_attempt)
        (void)snprintf(difference->key + len, sizeof difference->key - (size_t)len, " %s",
                       uuid_format(&judgement->attempt_id, id));
}

static const char *reason_of(const struct verdict *verdict)
{
    if (verdict->outcome == OUTCOME_DEAD)
        return reason_name(verdict->reason);
    return verdict->late_reason;
}

static bool same_hash(struct bytes bytes, struct bytes hex)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    char text[2 * crypto_hash_sha256_BYTES + 1];
    if (!bytes_present(bytes) || !bytes_present(hex))
        return bytes_present(bytes) == bytes_present(hex);
    (void)crypto_hash_sha256(hash, (const unsigned char *)bytes.ptr, bytes.len);
    (void)sodium_bin2hex(text, sizeof text, hash, sizeof hash);
    return bytes_equal(hex, bytes_of(text));
}

/* Two rows for one outcome: the same kind, the same reason, and what goes with it. */
static void compare_row(struct reading *reading, const struct record *record,
                        const struct judgement *judgement, const struct audit_outcome *row)
{
    const struct verdict *verdict = &judgement->verdict;
    char texts[2][64], id[UUID_TEXT_LEN + 1] = "";
    bool rejected = verdict->outcome == OUTCOME_STALE || verdict->outcome == OUTCOME_LATE;
    const char *reason = reason_of(verdict);
    if (row->outcome != verdict->outcome ||
        strcmp(row->reason, reason != NULL ? reason : "") != 0 ||
        (rejected && row->row_version != verdict->row_version)) {
        describe(texts[0], sizeof texts[0], verdict->outcome, reason, verdict->row_version);
        describe(texts[1], sizeof texts[1], row->outcome, row->reason, row->row_version);
        report(reading, record, judgement, texts[0], texts[1]);
    } else if (!row->erased && rejected &&
               strcmp(row->event_id, uuid_format(&judgement->event_id, id)) != 0) {
        report(reading, record, judgement, id, row->event_id);
    } else if (!row->erased && verdict->outcome == OUTCOME_DEAD &&
               (!same_hash(record->key, row->key_hash) ||
                !same_hash(record->value, row->value_hash))) {
        report(reading, record, judgement, "the record's exact bytes", "other bytes");
    }
}

static void compare(struct reading *reading, const struct record *record,
                    const struct judgement *judgement, const struct audit_outcome *row)
{
    const struct verdict *verdict = &judgement->verdict;
    char texts[2][64];
    bool kept = verdict->outcome != OUTCOME_APPLIED && verdict->outcome != OUTCOME_DUPLICATE;
    if (row != NULL && kept) {
        compare_row(reading, record, judgement, row);
    } else if (kept || row != NULL) {
        describe(texts[0], sizeof texts[0], verdict->outcome, reason_of(verdict),
                 verdict->row_version);
        (void)snprintf(texts[1], sizeof texts[1], "no row");
        if (row != NULL)
            describe(texts[1], sizeof texts[1], row->outcome, row->reason, row->row_version);
        report(reading, record, judgement, texts[0], texts[1]);
    }
}

/* ------------------------------------------------------------------------------------- judging */

/* PostgreSQL, or a key, refused it: nothing in the log tells. */
static bool refused_by_database(const struct audit_outcome *row)
{
    return row != NULL && row->outcome == OUTCOME_DEAD &&
           (strcmp(row->reason, reason_name(REASON_CONSTRAINT)) == 0 ||
            strcmp(row->reason, reason_name(REASON_SIGNATURE)) == 0);
}

static bool judge(struct reading *reading, const struct record *record,
                  const struct audit_outcome *row, struct judgement *ret)
{
    struct audit *audit = reading->audit;
    struct event event;
    struct refusal refusal;
    *ret = (struct judgement){ .verdict = { .outcome = OUTCOME_DEAD } };
    arena_reset(&reading->arena);
    switch (decode(record, &audit->limits, &reading->arena, &event, &refusal)) {
    case DECODE_NO_MEMORY:
        return false;
    case DECODE_DEAD:
        ret->verdict.reason = refusal.reason;
        return true;
    case DECODE_EVENT:
        break;
    }
    ret->has_event = true;
    ret->event_id = event.event_id;
    ret->attempt_id = event.attempt_id;
    if (refused_by_database(row)) {
        ret->verdict.reason = strcmp(row->reason, reason_name(REASON_SIGNATURE)) == 0
                                  ? REASON_SIGNATURE
                                  : REASON_CONSTRAINT;
        audit->refused_by_database++;
        return true;
    }
    if (!replay_model_fold(audit->model, &event, record->tp.partition, record->offset,
                           &reading->sink, &ret->verdict))
        return false;
    if (ret->verdict.outcome == OUTCOME_STALE || ret->verdict.outcome == OUTCOME_LATE)
        audit_contents_rejected(&reading->contents, &event, record->offset);
    return true;
}

/* The row of this record; rows before it belong to records that the log does not have. */
static bool row_of(struct reading *reading, const struct record *record, struct audit_outcome *row,
                   bool *ret_found)
{
    for (;;) {
        if (!audit_outcomes_peek(&reading->outcomes, ret_found, row, reading->err))
            return false;
        if (!*ret_found || row->offset > record->offset) {
            *ret_found = false;
            return true;
        }
        if (row->offset == record->offset)
            return true;
        char key[96];
        (void)snprintf(key, sizeof key, "%.60s@%" PRId64, reading->partition->name, row->offset);
        (void)differences_put(&reading->audit->differences, "rows without a record", key, "no row",
                              outcome_name(row->outcome));
        audit_outcomes_pass(&reading->outcomes);
    }
}

static bool replay_record(struct reading *reading, const struct record *record)
{
    struct audit_outcome row;
    struct judgement judgement;
    bool found;
    if (!row_of(reading, record, &row, &found))
        return false;
    if (!judge(reading, record, found ? &row : NULL, &judgement))
        return err_set(reading->err, ERR_RESOURCE, "ENOMEM", "no memory for the replay");
    compare(reading, record, &judgement, found ? &row : NULL);
    reading->partition->replayed[judgement.verdict.outcome]++;
    if (judgement.verdict.outcome == OUTCOME_APPLIED && judgement.verdict.missing > 0)
        reading->partition->replayed_gaps++;
    if (found)
        audit_outcomes_pass(&reading->outcomes);
    return audit_contents_compare(&reading->contents, false, reading->err);
}

static bool take_record(void *self, const struct record *record)
{
    struct reading *reading = self;
    struct audit_partition *partition = reading->partition;
    struct record own = *record;
    own.tp = (struct tp){ partition->kind, partition->partition };
    partition->found_records++;
    if (progress_due(&reading->audit->progress, clock_monotonic_ms(&reading->audit->clock)))
        progress_show(&reading->audit->progress, "%s %s: %" PRId64 " of %" PRId64 " records",
                      reading->audit->model != NULL ? "replaying" : "counting", partition->name,
                      partition->found_records, partition->records);
    if (reading->audit->model != NULL && !replay_record(reading, &own))
        reading->failed = true;
    return !reading->failed;
}

/* ------------------------------------------------------------------------------ one partition */

static bool survey(struct audit *audit, struct audit_partition *partition, struct err *err)
{
    struct kafka_topic topic;
    char text[32];
    if (!kafka_admin_topic(audit->admin, partition->topic, &topic, err))
        return false;
    if (!topic.exists || partition->partition >= topic.partition_count) {
        (void)differences_put(&audit->differences, "log", partition->name, "a partition", "none");
        return true;
    }
    if (!kafka_admin_log(audit->admin, partition->topic, partition->partition, &partition->log_low,
                         &partition->log_high, err))
        return false;
    (void)snprintf(text, sizeof text, "%" PRId64, partition->log_high);
    if (partition->next > partition->log_high)
        (void)differences_put(&audit->differences, "log: next_offset <= end", partition->name,
                              "not before next_offset", text);
    else
        partition->log_whole =
            partition->log_low <= partition->first || partition->next == partition->first;
    return true;
}

static struct audit_partition *partition_of(struct audit *audit, enum topic topic, int32_t number)
{
    for (size_t i = 0; i < audit->partition_count; i++) {
        if (audit->partitions[i].known && audit->partitions[i].kind == topic &&
            audit->partitions[i].partition == number)
            return &audit->partitions[i];
    }
    return NULL;
}

/* Partitions that no worker has begun with. */
static bool count_unclaimed(struct audit *audit, enum topic topic, struct err *err)
{
    const char *name = audit->kafka.names.topics[topic];
    struct kafka_topic facts;
    if (!kafka_admin_topic(audit->admin, name, &facts, err))
        return false;
    for (int32_t i = 0; facts.exists && i < facts.partition_count; i++) {
        int64_t low, high;
        if (partition_of(audit, topic, i) != NULL)
            continue;
        if (!kafka_admin_log(audit->admin, name, i, &low, &high, err))
            return false;
        audit->unclaimed += high - low;
    }
    return true;
}

static void compare_counters(struct audit *audit, const struct audit_partition *partition)
{
    char key[TOPIC_NAME_MAX + 32];
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        (void)snprintf(key, sizeof key, "%s %s", partition->name, outcome_name((enum outcome)i));
        differences_compare(&audit->differences, "ingest_progress: replayed counter", key,
                            partition->replayed[i], partition->counters[i]);
    }
    (void)snprintf(key, sizeof key, "%s gaps", partition->name);
    differences_compare(&audit->differences, "ingest_progress: replayed counter", key,
                        partition->replayed_gaps, partition->gaps);
}

static bool read_partition(struct audit *audit, struct audit_partition *partition, struct err *err)
{
    struct reading reading = { .audit = audit, .partition = partition, .err = err };
    bool good = true;
    arena_init(&reading.arena, 1 << 16, 0);
    audit_outcomes_init(&reading.outcomes, audit->db, partition);
    audit_contents_init(&reading.contents, audit, partition);
    reading.sink = audit_contents_sink(&reading.contents);
    if (good && partition->next > partition->first)
        good = kafka_read_range(&audit->kafka.options, partition->topic, partition->partition,
                                partition->first, partition->next, take_record, &reading, err) &&
               !reading.failed;
    good = good && audit_contents_compare(&reading.contents, true, err);
    audit_contents_release(&reading.contents);
    audit_outcomes_release(&reading.outcomes);
    arena_release(&reading.arena);
    if (good) {
        audit->unconserved += partition->records != partition->found_records;
        differences_compare(&audit->differences, "log: records in [first_offset, next_offset)",
                            partition->name, partition->records, partition->found_records);
    }
    return good;
}

static bool read_topic(struct audit *audit, enum topic topic, struct err *err)
{
    for (size_t i = 0; i < audit->partition_count; i++) {
        struct audit_partition *partition = &audit->partitions[i];
        if (partition->known && partition->kind == topic && partition->log_whole &&
            !read_partition(audit, partition, err))
            return false;
    }
    return true;
}

/* Attempts that others changed, or whose events lie in two partitions, are not held against us. */
static bool excused(void *self, const struct difference *difference)
{
    const struct audit *audit = self;
    const struct model_attempt *attempt;
    if (difference->about_order)
        return replay_model_activity_is_spread(audit->model);
    if (!difference->has_attempt)
        return false;
    attempt = replay_model_find(audit->model, &difference->attempt_id);
    return attempt != NULL && (attempt->spread || attempt->foreign);
}

static void loosen(struct audit *audit)
{
    size_t cursor = 0;
    const struct model_attempt *attempt;
    bool spread = false;
    while ((attempt = replay_model_next(audit->model, &cursor)) != NULL) {
        struct audit_partition *partition = partition_of(audit, TOPIC_WRITES, attempt->partition);
        if (partition != NULL && attempt->foreign)
            partition->loose = true;
        spread |= attempt->spread;
    }
    bool activity_spread = replay_model_activity_is_spread(audit->model);
    for (size_t i = 0; i < audit->partition_count; i++) {
        struct audit_partition *partition = &audit->partitions[i];
        partition->loose |= partition->kind == TOPIC_WRITES ? spread : activity_spread;
    }
}

bool audit_log(struct audit *audit, struct err *err)
{
    for (size_t i = 0; i < audit->partition_count; i++) {
        if (audit->partitions[i].known && !survey(audit, &audit->partitions[i], err))
            return false;
        /* What an earlier generation did to the rows is in no log that could be read. */
        audit->log_cut |= !audit->partitions[i].log_whole || audit->partitions[i].earlier != 0;
    }
    if (!count_unclaimed(audit, TOPIC_WRITES, err) || !count_unclaimed(audit, TOPIC_ACTIVITY, err))
        return false;
    if (audit->replay && !audit->log_cut) {
        audit->model = replay_model_new(audit->settings.max_version_jump);
        if (audit->model == NULL)
            return err_set(err, ERR_RESOURCE, "ENOMEM", "out of memory");
    }
    audit->unconserved = audit->differences.count;
    if (!read_topic(audit, TOPIC_WRITES, err) || !read_topic(audit, TOPIC_ACTIVITY, err))
        return false;
    if (audit->model == NULL)
        return true;
    if (!audit_rows(audit, err))
        return false;
    differences_excuse(&audit->differences, excused, audit);
    loosen(audit);
    for (size_t i = 0; i < audit->partition_count; i++) {
        const struct audit_partition *partition = &audit->partitions[i];
        if (partition->known && partition->log_whole && !partition->loose)
            compare_counters(audit, partition);
    }
    return true;
}
