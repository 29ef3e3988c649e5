#include "worker/commands/simulate_report.h"

#include <inttypes.h>

static uint64_t total_of(const uint64_t *numbers, size_t count)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += numbers[i];
    return total;
}

static void put_outcomes(const struct exam_expectation *expected, FILE *to)
{
    for (int i = 0; i < OUTCOME_COUNT; i++)
        (void)fprintf(to, "\"%s\":%" PRIu64 ",", outcome_name((enum outcome)i),
                      expected->outcomes[i]);
    (void)fprintf(to,
                  "\"gaps\":%" PRIu64 ",\"attempts\":%" PRIu64 ",\"submitted\":%" PRIu64
                  ",\"activity_rows\":%" PRIu64,
                  expected->gaps, expected->attempts, expected->submitted, expected->activity_rows);
}

static void put_exams(const struct exam_options *options, FILE *to)
{
    for (unsigned i = 0; i < options->exams; i++) {
        char text[UUID_TEXT_LEN + 1];
        struct uuid id = exam_id_of(options, i);
        (void)fprintf(to, "%s\"%s\"", i == 0 ? "" : ",", uuid_format(&id, text));
    }
}

void simulate_report_json(const struct simulate_report *report, FILE *to)
{
    const struct exam_expectation *made = report->expected;
    (void)fprintf(to,
                  "{\"produced\":{\"total\":%" PRIu64 ",\"started\":%" PRIu64 ",\"saved\":%" PRIu64
                  ",\"submitted\":%" PRIu64 ",\"activity_records\":%" PRIu64
                  ",\"activity_events\":%" PRIu64 ",\"poison\":%" PRIu64 ",\"duplicates\":%" PRIu64
                  ",\"stale\":%" PRIu64 ",\"late\":%" PRIu64 "},",
                  total_of(made->records, EXAM_KINDS), made->records[EXAM_STARTED],
                  made->records[EXAM_SAVED], made->records[EXAM_SUBMITTED],
                  made->records[EXAM_ACTIVITY], made->activity_events, made->records[EXAM_POISON],
                  made->outcomes[OUTCOME_DUPLICATE], made->outcomes[OUTCOME_STALE],
                  made->outcomes[OUTCOME_LATE]);
    (void)fprintf(to, "\"acknowledged\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"acknowledged_by\":{",
                  report->counts.delivered, report->counts.failed);
    for (int i = 0; i < EXAM_KINDS; i++)
        (void)fprintf(to, "%s\"%s\":%" PRIu64, i == 0 ? "" : ",", exam_kind_name((enum exam_kind)i),
                      report->counts.delivered_by[i]);
    (void)fprintf(to, "},\"complete\":%s,\"expected\":{", report->complete ? "true" : "false");
    put_outcomes(made, to);
    (void)fprintf(to, "},\"seconds\":%.3f,\"seed\":%" PRIu64 ",\"exam_ids\":[", report->seconds,
                  report->options->seed);
    put_exams(report->options, to);
    (void)fputs("]}\n", to);
}

static void put_row(FILE *to, const char *name, uint64_t produced, uint64_t acknowledged)
{
    (void)fprintf(to, "  %-12s %12" PRIu64 " %12" PRIu64 "\n", name, produced, acknowledged);
}

void simulate_report_table(const struct simulate_report *report, FILE *to)
{
    const struct exam_expectation *made = report->expected;
    uint64_t total = total_of(made->records, EXAM_KINDS);
    (void)fprintf(to, "  %-12s %12s %12s\n", "records", "produced", "acknowledged");
    for (int i = 0; i < EXAM_KINDS; i++)
        put_row(to, exam_kind_name((enum exam_kind)i), made->records[i],
                report->counts.delivered_by[i]);
    put_row(to, "total", total, report->counts.delivered);
    (void)fprintf(to, "\n  %-12s %12s\n", "outcome", "expected");
    for (int i = 0; i < OUTCOME_COUNT; i++)
        (void)fprintf(to, "  %-12s %12" PRIu64 "\n", outcome_name((enum outcome)i),
                      made->outcomes[i]);
    (void)fprintf(to,
                  "\n  %" PRIu64 " attempts, %" PRIu64 " of them submitted; %" PRIu64
                  " gaps; %" PRIu64 " distinct activity events\n",
                  made->attempts, made->submitted, made->gaps, made->activity_rows);
    (void)fprintf(to, "  %.1f s, %.0f records/s, seed %" PRIu64 ", %u exam%s\n", report->seconds,
                  report->seconds > 0 ? (double)total / report->seconds : 0.0,
                  report->options->seed, report->options->exams,
                  report->options->exams == 1 ? "" : "s");
    if (!report->complete)
        (void)fputs("  The exam was not played to its end: the outcomes are not determined.\n", to);
}
