#include "worker/commands/gap_facts.h"

#include "worker/commands/facts.h"
#include "worker/kafka/kafka_reader.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

/* ------------------------------------------------------------------------------- the ledger */

static void take_anchor(struct gap_place *place, const struct pg_rows *rows)
{
    struct bytes hex = pg_rows_bytes(rows, 0, 7);
    size_t len = 0;
    place->anchor.offset = pg_rows_int(rows, 0, 5);
    place->anchor.timestamp_ms = pg_rows_int(rows, 0, 6);
    place->has_anchor = bytes_present(hex) &&
                        sodium_hex2bin(place->anchor.hash, sizeof place->anchor.hash, hex.ptr,
                                       hex.len, NULL, &len, NULL) == 0 &&
                        len == sizeof place->anchor.hash;
}

static bool read_row(struct gap_place *place, struct pg_client *db, struct err *err)
{
    char number[16];
    const char *params[] = { place->topic, number };
    struct pg_rows *rows;
    (void)snprintf(number, sizeof number, "%" PRId32, place->partition);
    if (!facts_run(db, "accept_gap_row.sql", params, 2, &rows, err))
        return false;
    struct gap_facts *facts = &place->facts;
    facts->has_row = pg_rows_count(rows) > 0;
    facts->generation = pg_rows_int(rows, 0, 0);
    facts->next_offset = pg_rows_int(rows, 0, 1);
    facts->published_offset = pg_rows_int(rows, 0, 2);
    place->records = pg_rows_int(rows, 0, 3);
    take_anchor(place, rows);
    (void)snprintf(place->updated_at, sizeof place->updated_at, "%s",
                   pg_rows_text(rows, 0, 8, "never"));
    pg_rows_free(rows);
    return true;
}

/* ---------------------------------------------------------------------------------- the log */

static bool survey(struct gap_place *place, struct kafka_admin *admin, struct err *err)
{
    struct kafka_topic topic;
    if (!kafka_admin_topic(admin, place->topic, &topic, err))
        return false;
    if (!topic.exists || place->partition >= topic.partition_count)
        return err_set(err, ERR_REJECT, "partition",
                       "Kafka has no partition %" PRId32 " of %s (%" PRId32 " partitions): name "
                       "TOPIC and PARTITION as the halt line does; a topic that is gone is made "
                       "by 'attemptd doctor --fix'",
                       place->partition, place->topic, topic.exists ? topic.partition_count : 0);
    if (!kafka_admin_log(admin, place->topic, place->partition, &place->facts.log_low,
                         &place->facts.log_end, err) ||
        !kafka_admin_committed(admin, place->topic, place->partition, &place->committed,
                               &place->facts.witness, err))
        return false;
    place->facts.has_committed = place->committed >= 0;
    return true;
}

struct first_record {
    bool found;
    struct anchor anchor;
};

static bool take_first(void *self, const struct record *record)
{
    struct first_record *first = self;
    first->found = true;
    first->anchor.offset = record->offset;
    first->anchor.timestamp_ms = record->timestamp_ms;
    record_hash(record, first->anchor.hash);
    return false;
}

/* What the library says of a batch whose checksum or form is wrong, and we of a record. */
static bool says_unreadable(const struct err *err)
{
    static const char *const codes[] = { "_BAD_MSG", "_BAD_COMPRESSION", "_NOT_IMPLEMENTED",
                                         "INVALID_MSG", "corrupt" };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(err->code, codes[i]) == 0)
            return true;
    return false;
}

/* The first record in [from, to); bytes that are no record are an answer, not a failure. */
static bool read_first(const struct gap_place *place, const struct kafka_setup *kafka, int64_t from,
                       int64_t to, struct first_record *ret, bool *ret_unreadable, struct err *err)
{
    struct err why;
    *ret = (struct first_record){ 0 };
    *ret_unreadable = false;
    if (from >= to || kafka_read_range(&kafka->options, place->topic, place->partition, from, to,
                                       take_first, ret, &why))
        return true;
    *ret_unreadable = says_unreadable(&why);
    if (!*ret_unreadable && err != NULL)
        *err = why;
    return *ret_unreadable;
}

static bool same_anchor(const struct anchor *a, const struct anchor *b)
{
    return a->offset == b->offset && a->timestamp_ms == b->timestamp_ms &&
           memcmp(a->hash, b->hash, sizeof a->hash) == 0;
}

/* The last record before next_offset must be the one that was applied last. */
static bool compare_anchor(struct gap_place *place, const struct kafka_setup *kafka,
                           struct err *err)
{
    struct first_record first;
    bool unreadable;
    if (!place->has_anchor)
        return true;
    if (place->anchor.offset >= place->facts.log_low) {
        if (!read_first(place, kafka, place->anchor.offset, place->facts.next_offset, &first,
                        &unreadable, err))
            return false;
        place->facts.unreadable = unreadable;
        place->facts.anchor_differs =
            !unreadable && (!first.found || !same_anchor(&first.anchor, &place->anchor));
    }
    if (place->facts.unreadable || place->facts.anchor_differs)
        return true;
    int64_t behind = place->anchor.offset + 1;
    if (behind < place->facts.log_low)
        behind = place->facts.log_low;
    if (!read_first(place, kafka, behind, place->facts.next_offset, &first,
                    &place->facts.unreadable, err))
        return false;
    place->facts.anchor_differs = first.found; /* the ledger was put ahead */
    return true;
}

static bool look_at_next(struct gap_place *place, const struct kafka_setup *kafka, struct err *err)
{
    struct first_record first;
    if (place->facts.unreadable || place->facts.anchor_differs)
        return true;
    return read_first(place, kafka, place->facts.next_offset, place->facts.log_end, &first,
                      &place->facts.unreadable, err);
}

/*
 * Where reading works again. A broken batch is unreadable from each of its offsets, so the end of
 * it is found by doubling and halving; further broken batches behind it show when one gets there.
 */
static bool find_readable(struct gap_place *place, const struct kafka_setup *kafka, struct err *err)
{
    int64_t bad = place->facts.next_offset - 1, good = place->facts.log_end;
    for (int64_t step = 1; bad + 1 < good;) {
        int64_t probe = bad + step < good ? bad + step : bad + (good - bad) / 2;
        struct first_record first;
        bool unreadable;
        if (!read_first(place, kafka, probe, place->facts.log_end, &first, &unreadable, err))
            return false;
        if (unreadable)
            bad = probe;
        else
            good = probe;
        bool bounded = good < place->facts.log_end;
        step = bounded ? (good - bad + 1) / 2 : step * 2;
    }
    place->facts.readable_from = good;
    return true;
}

bool gap_facts_gather(struct gap_place *place, struct pg_client *db,
                      const struct kafka_setup *kafka, struct kafka_admin *admin, struct err *err)
{
    if (!read_row(place, db, err) || !survey(place, admin, err))
        return false;
    if (gap_judge(&place->facts) != GAP_NONE)
        return true; /* there is nothing in the log to compare with */
    return compare_anchor(place, kafka, err) && look_at_next(place, kafka, err) &&
           (!place->facts.unreadable || find_readable(place, kafka, err));
}
