/*
 * Conservation: what the database says about itself, and how much the log holds.
 */
#include "worker/commands/audit_work.h"
#include "worker/commands/facts.h"

#include <inttypes.h>
#include <stdlib.h>

static int64_t column_of(const struct pg_rows *rows, size_t row, size_t *column)
{
    return pg_rows_int(rows, row, (*column)++);
}

static void read_partition(struct audit *audit, const struct pg_rows *rows, size_t row)
{
    struct audit_partition *partition = &audit->partitions[row];
    *partition = (struct audit_partition){ .kind = TOPIC_COUNT };
    (void)snprintf(partition->topic, sizeof partition->topic, "%s", pg_rows_text(rows, row, 0, ""));
    for (int i = 0; i < TOPIC_REFRESH; i++) {
        if (strcmp(partition->topic, audit->kafka.names.topics[i]) == 0) {
            partition->kind = (enum topic)i;
            partition->known = true;
        }
    }
    size_t column = 1;
    partition->partition = (int32_t)column_of(rows, row, &column);
    partition->generation = column_of(rows, row, &column);
    partition->first = column_of(rows, row, &column);
    partition->next = column_of(rows, row, &column);
    partition->published = column_of(rows, row, &column);
    partition->records = column_of(rows, row, &column);
    for (int i = 0; i < OUTCOME_COUNT; i++)
        partition->counters[i] = column_of(rows, row, &column);
    partition->gaps = column_of(rows, row, &column);
    partition->rejected_stale = column_of(rows, row, &column);
    partition->rejected_late = column_of(rows, row, &column);
    partition->letters = column_of(rows, row, &column);
    partition->submits = column_of(rows, row, &column);
    partition->outside = column_of(rows, row, &column);
    bool known = bytes_present(pg_rows_bytes(rows, row, column));
    partition->earlier = known ? column_of(rows, row, &column) : EARLIER_UNKNOWN;
    (void)snprintf(partition->name, sizeof partition->name, "%s[%d]", partition->topic,
                   (int)partition->partition);
}

static bool read_partitions(struct audit *audit, struct err *err)
{
    struct pg_rows *rows;
    if (!facts_run(audit->db, "audit_progress.sql", NULL, 0, &rows, err))
        return false;
    audit->partition_count = pg_rows_count(rows);
    audit->partitions = calloc(audit->partition_count + 1, sizeof *audit->partitions);
    for (size_t i = 0; audit->partitions != NULL && i < audit->partition_count; i++)
        read_partition(audit, rows, i);
    pg_rows_free(rows);
    return audit->partitions != NULL || err_set(err, ERR_RESOURCE, "ENOMEM", "out of memory");
}

static bool read_facts(struct audit *audit, struct err *err)
{
    const char *params[] = { audit->kafka.names.topics[TOPIC_WRITES],
                             audit->kafka.names.topics[TOPIC_ACTIVITY] };
    struct pg_rows *rows;
    if (!facts_run(audit->db, "audit_facts.sql", params, 2, &rows, err))
        return false;
    size_t column = 0;
    struct audit_facts *facts = &audit->facts;
    facts->attempts = column_of(rows, 0, &column);
    facts->without_start = column_of(rows, 0, &column);
    facts->submitted = column_of(rows, 0, &column);
    facts->foreign = column_of(rows, 0, &column);
    facts->activity_events = column_of(rows, 0, &column);
    facts->submissions = column_of(rows, 0, &column);
    facts->stray_rejected = column_of(rows, 0, &column);
    facts->stray_letters = column_of(rows, 0, &column);
    pg_rows_free(rows);
    return true;
}

/* ----------------------------------------------------------------------------- in the database */

static void compare_tables(struct differences *differences, const struct audit_partition *partition)
{
    const int64_t *counters = partition->counters;
    int64_t sum = 0;
    for (int i = 0; i < OUTCOME_COUNT; i++)
        sum += counters[i];
    differences_compare(differences, "ingest_progress: records = sum of the outcomes",
                        partition->name, partition->records, sum);
    differences_compare(differences, "rejected_writes: stale rows = counter", partition->name,
                        counters[OUTCOME_STALE], partition->rejected_stale);
    differences_compare(differences, "rejected_writes: late rows = counter", partition->name,
                        counters[OUTCOME_LATE], partition->rejected_late);
    differences_compare(differences, "dead_letters: rows = counter", partition->name,
                        counters[OUTCOME_DEAD], partition->letters);
    differences_compare(differences, "rows of records outside [first_offset, next_offset)",
                        partition->name, 0, partition->outside);
    if (partition->submits > counters[OUTCOME_APPLIED]) {
        char texts[2][32];
        (void)snprintf(texts[0], sizeof texts[0], "at most %" PRId64, counters[OUTCOME_APPLIED]);
        (void)snprintf(texts[1], sizeof texts[1], "%" PRId64, partition->submits);
        (void)differences_put(differences, "submissions: rows <= applied", partition->name,
                              texts[0], texts[1]);
    }
    if (partition->published > partition->next)
        differences_compare(differences, "ingest_progress: published_offset <= next_offset",
                            partition->name, partition->next, partition->published);
}

/* What the ledger said when accept-gap ended a generation still has to be true of its rows. */
static bool compare_earlier(struct audit *audit, struct err *err)
{
    struct pg_rows *rows;
    if (!facts_run(audit->db, "audit_earlier.sql", NULL, 0, &rows, err))
        return false;
    for (size_t i = 0; i < pg_rows_count(rows); i++) {
        struct audit_partition earlier = { 0 };
        size_t column = 1;
        earlier.partition = (int32_t)column_of(rows, i, &column);
        earlier.generation = column_of(rows, i, &column);
        earlier.records = column_of(rows, i, &column);
        for (int k = 0; k < OUTCOME_COUNT; k++)
            earlier.counters[k] = column_of(rows, i, &column);
        earlier.rejected_stale = column_of(rows, i, &column);
        earlier.rejected_late = column_of(rows, i, &column);
        earlier.letters = column_of(rows, i, &column);
        earlier.submits = column_of(rows, i, &column);
        (void)snprintf(earlier.name, sizeof earlier.name, "%.200s[%d] generation %" PRId64,
                       pg_rows_text(rows, i, 0, ""), (int)earlier.partition, earlier.generation);
        compare_tables(&audit->differences, &earlier);
    }
    pg_rows_free(rows);
    return true;
}

/* Names the records whose rows are one too many; what has none is found by the replay. */
static bool name_misplaced(struct audit *audit, struct err *err)
{
    struct pg_rows *rows;
    if (!facts_run(audit->db, "audit_misplaced.sql", NULL, 0, &rows, err))
        return false;
    for (size_t i = 0; i < pg_rows_count(rows); i++) {
        char key[96];
        (void)snprintf(key, sizeof key, "%.60s[%d]@%" PRId64, pg_rows_text(rows, i, 0, ""),
                       (int)pg_rows_int(rows, i, 1), pg_rows_int(rows, i, 3));
        bool doubled = pg_rows_bool(rows, i, 5);
        (void)differences_put(&audit->differences, "records and their outcomes", key,
                              doubled ? "one outcome" : "not settled yet",
                              pg_rows_text(rows, i, 4, ""));
    }
    pg_rows_free(rows);
    return true;
}

bool audit_ledger(struct audit *audit, struct err *err)
{
    if (!read_partitions(audit, err) || !read_facts(audit, err))
        return false;
    uint64_t before = audit->differences.count;
    for (size_t i = 0; i < audit->partition_count; i++)
        compare_tables(&audit->differences, &audit->partitions[i]);
    if (!compare_earlier(audit, err))
        return false;
    if (audit->differences.count > before && !name_misplaced(audit, err))
        return false;
    differences_compare(&audit->differences,
                        "rejected_writes: rows of partitions that no ledger knows", "all", 0,
                        audit->facts.stray_rejected);
    differences_compare(&audit->differences,
                        "dead_letters: rows of partitions that no ledger knows", "all", 0,
                        audit->facts.stray_letters);
    return true;
}
