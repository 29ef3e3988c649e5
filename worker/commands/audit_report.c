/*
 * What the audit says: a table and a verdict for people, an object for programs.
 */
#include "common/json.h"
#include "worker/commands/audit_work.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct audit_partition total_of(const struct audit *audit)
{
    struct audit_partition total = { 0 };
    for (size_t i = 0; i < audit->partition_count; i++) {
        const struct audit_partition *partition = &audit->partitions[i];
        total.records += partition->records;
        total.gaps += partition->gaps;
        for (int k = 0; k < OUTCOME_COUNT; k++)
            total.counters[k] += partition->counters[k];
    }
    return total;
}

static bool replayed(const struct audit *audit)
{
    return audit->model != NULL;
}

static bool conserved(const struct audit *audit)
{
    return audit->unconserved == 0;
}

/* ---------------------------------------------------------------------------------------- JSON */

static void put_counters(struct buf *out, const struct audit_partition *partition)
{
    buf_printf(out, "\"records\":%" PRId64, partition->records);
    for (int i = 0; i < OUTCOME_COUNT; i++)
        buf_printf(out, ",\"%s\":%" PRId64, outcome_name((enum outcome)i), partition->counters[i]);
    buf_printf(out, ",\"gaps\":%" PRId64, partition->gaps);
}

static void put_partition(struct buf *out, const struct audit_partition *partition)
{
    buf_put(out, BYTES("{\"topic\":"));
    json_put_string(out, bytes_of(partition->topic));
    buf_printf(out,
               ",\"partition\":%d,\"generation\":%" PRId64 ",\"first_offset\":%" PRId64
               ",\"next_offset\":%" PRId64 ",\"published_offset\":%" PRId64 ",\"log_end\":%" PRId64
               ",",
               (int)partition->partition, partition->generation, partition->first, partition->next,
               partition->published, partition->log_high);
    put_counters(out, partition);
    buf_put_char(out, '}');
}

static void put_difference(struct buf *out, const struct difference *difference)
{
    buf_put(out, BYTES("{\"table\":"));
    json_put_string(out, bytes_of(difference->table));
    buf_put(out, BYTES(",\"key\":"));
    json_put_string(out, bytes_of(difference->key));
    buf_put(out, BYTES(",\"expected\":"));
    json_put_string(out, bytes_of(difference->expected));
    buf_put(out, BYTES(",\"found\":"));
    json_put_string(out, bytes_of(difference->found));
    buf_put_char(out, '}');
}

static void put_replay(struct buf *out, const struct audit *audit)
{
    if (!audit->replay)
        buf_put(out, BYTES("null"));
    else
        buf_printf(out,
                   "{\"done\":%s,\"attempts\":%zu,\"compared\":%" PRIu64 ",\"foreign\":%" PRIu64
                   ",\"spread\":%" PRIu64 ",\"activity_events\":%" PRIu64
                   ",\"refused_by_database\":%" PRIu64 "}",
                   replayed(audit) ? "true" : "false",
                   replayed(audit) ? replay_model_attempts(audit->model) : 0, audit->compared,
                   audit->foreign_attempts, audit->spread_attempts,
                   replayed(audit) ? replay_model_activity_events(audit->model) : 0,
                   audit->refused_by_database);
}

static void report_json(const struct audit *audit, bool proved)
{
    struct buf out;
    struct audit_partition total = total_of(audit);
    buf_init(&out, (size_t)64 << 20);
    buf_printf(&out, "{\"proved\":%s,\"conserved\":%s,", proved ? "true" : "false",
               conserved(audit) ? "true" : "false");
    put_counters(&out, &total);
    buf_printf(
        &out,
        ",\"attempts\":%" PRId64 ",\"attempts_without_start\":%" PRId64 ",\"submitted\":%" PRId64
        ",\"submissions\":%" PRId64 ",\"activity_events\":%" PRId64 ",\"log_cut\":%s,\"replay\":",
        audit->facts.attempts, audit->facts.without_start, audit->facts.submitted,
        audit->facts.submissions, audit->facts.activity_events, audit->log_cut ? "true" : "false");
    put_replay(&out, audit);
    buf_put(&out, BYTES(",\"partitions\":["));
    for (size_t i = 0; i < audit->partition_count; i++) {
        if (i > 0)
            buf_put_char(&out, ',');
        put_partition(&out, &audit->partitions[i]);
    }
    buf_printf(&out, "],\"difference_count\":%" PRIu64 ",\"differences\":[",
               audit->differences.count);
    for (size_t i = 0; i < audit->differences.kept && i < DIFFERENCES_SHOWN_MAX; i++) {
        if (i > 0)
            buf_put_char(&out, ',');
        put_difference(&out, &audit->differences.items[i]);
    }
    buf_put(&out, BYTES("]}\n"));
    (void)fwrite(out.ptr, 1, out.len, stdout);
    buf_release(&out);
}

/* ------------------------------------------------------------------------------- for people */

static void print_row(const char *name, const struct audit_partition *partition)
{
    (void)printf("  %-24s %10" PRId64, name, partition->records);
    for (int i = 0; i < OUTCOME_COUNT; i++)
        (void)printf(" %10" PRId64, partition->counters[i]);
    (void)printf("\n");
}

static void print_table(const struct audit *audit)
{
    struct audit_partition total = total_of(audit);
    (void)printf("  %-24s %10s", "partition", "records");
    for (int i = 0; i < OUTCOME_COUNT; i++)
        (void)printf(" %10s", outcome_name((enum outcome)i));
    (void)printf("\n");
    for (size_t i = 0; i < audit->partition_count; i++)
        print_row(audit->partitions[i].name, &audit->partitions[i]);
    print_row("total", &total);
}

static void print_notes(const struct audit *audit)
{
    int64_t open = audit->unclaimed;
    for (size_t i = 0; i < audit->partition_count; i++) {
        const struct audit_partition *partition = &audit->partitions[i];
        if (partition->log_high > partition->next)
            open += partition->log_high - partition->next;
        if (!partition->known)
            (void)printf("  %s is none of the topics of this configuration: its log was not read\n",
                         partition->name);
        else if (!partition->log_whole && partition->log_low > partition->first)
            (void)printf("  %s: the log begins at %" PRId64 ", the ledger at %" PRId64
                         ": its records cannot be counted any more\n",
                         partition->name, partition->log_low, partition->first);
        if (partition->earlier > 0)
            (void)printf("  %s: %" PRId64 " records were settled before accept-gap made generation "
                         "%" PRId64 "; their counters are in audit_log, their log is not known\n",
                         partition->name, partition->earlier, partition->generation);
        else if (partition->earlier == EARLIER_UNKNOWN)
            (void)printf("  %s: generation %" PRId64 " of the log; nobody knows what the earlier "
                         "ones settled\n",
                         partition->name, partition->generation);
    }
    if (open > 0)
        (void)printf("  %" PRId64 " records of the log are not settled yet\n", open);
    if (audit->facts.without_start > 0)
        (void)printf("  attempts without a start: %" PRId64 "\n", audit->facts.without_start);
    if (audit->foreign_attempts > 0)
        (void)printf("  attempts that others changed too, not compared: %" PRIu64 "\n",
                     audit->foreign_attempts);
    if (audit->spread_attempts > 0)
        (void)printf("  attempts with events in several partitions, whose order is not known, "
                     "compared loosely: %" PRIu64 "\n",
                     audit->spread_attempts);
    if (audit->refused_by_database > 0)
        (void)printf("  records refused by the database or for their signature, which the log "
                     "cannot tell: %" PRIu64 "\n",
                     audit->refused_by_database);
}

static void print_differences(const struct differences *differences)
{
    for (size_t i = 0; i < differences->kept && i < DIFFERENCES_SHOWN_MAX; i++) {
        const struct difference *difference = &differences->items[i];
        (void)printf("  DIFFERENT %s, %s: expected %s, found %s\n", difference->table,
                     difference->key, difference->expected, difference->found);
    }
    if (differences->count > DIFFERENCES_SHOWN_MAX)
        (void)printf("  ... and %" PRIu64 " more\n", differences->count - DIFFERENCES_SHOWN_MAX);
}

static void print_verdict(const struct audit *audit)
{
    struct audit_partition total = total_of(audit);
    (void)printf("audit: %s, %" PRId64 " records =",
                 conserved(audit) ? "conserved" : "NOT CONSERVED", total.records);
    for (int i = 0; i < OUTCOME_COUNT; i++)
        (void)printf("%s %" PRId64 " %s", i == 0 ? "" : " +", total.counters[i],
                     outcome_name((enum outcome)i));
    if (!audit->replay)
        (void)printf("\n");
    else if (!replayed(audit))
        (void)printf("; replay: NOT POSSIBLE, not every record that was settled is in the log\n");
    else if (audit->differences.count == 0)
        (void)printf("; replay: %" PRIu64 " attempts and %" PRIu64 " activity events equal\n",
                     audit->compared,
                     replay_model_activity_events(audit->model) - (uint64_t)audit->erased_activity);
    else
        (void)printf("; replay: DIFFERENT\n");
}

/* What is different now may be gone after the next attempt to mend it: evidence first. */
static void print_next_step(const struct audit *audit)
{
    if (audit->differences.count > 0)
        (void)printf(
            "What now: change nothing by hand. Keep a copy of the database (pg_dump) and of "
            "the log as they are, look at\nwhat is named above ('attemptd show ATTEMPT'; "
            "audit_log says who changed what), and report it with both.\n");
    else if (audit->replay && !replayed(audit))
        (void)printf(
            "What now: the ledger agrees with its tables; only the comparison with the log "
            "needs records that retention\nhas taken. Audit with --replay before they go.\n");
}

bool audit_report(struct audit *audit)
{
    bool proved = audit->differences.count == 0 && (!audit->replay || replayed(audit));
    progress_end(&audit->progress);
    if (audit->json) {
        report_json(audit, proved);
        return proved;
    }
    print_table(audit);
    print_notes(audit);
    print_differences(&audit->differences);
    print_verdict(audit);
    print_next_step(audit);
    return proved;
}
