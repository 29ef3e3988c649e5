/*
 * simulate: an exam as it is played, into Kafka, and what must become of it.
 */
#include "worker/commands/simulate.h"

#include "common/clock.h"
#include "worker/commands/command.h"
#include "worker/commands/interrupt.h"
#include "worker/commands/progress.h"
#include "worker/commands/record_line.h"
#include "worker/commands/sender.h"
#include "worker/commands/simulate_report.h"
#include "worker/simulate/exam.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

#define FLUSH_TIMEOUT_MS 120000
#define LOOK_EVERY       64 /* records between two looks at the clock */

const char simulate_help[] =
    "Plays an exam into Kafka: students start, autosave in bursts, are active, and nearly all\n"
    "submit in the last minutes. Then it says what was produced and acknowledged, and what must\n"
    "become of it, which is determined by the options and the seed as long as nobody else writes\n"
    "these attempts.\n"
    "\n"
    "Options:\n"
    "  --students N    1000\n"
    "  --questions N   40 for each; a student saves a little more often than that\n"
    "  --exams N       1; students are spread over them\n"
    "  --duration S    60: how long the exam lasts, in seconds\n"
    "  --speed X       1: play it X times as fast\n"
    "  --rate N        instead: N records a second, whatever the exam's clock says; 0 for as fast\n"
    "                  as possible\n"
    "  --seed N        the same seed and options give the same exam; else a new one each time\n"
    "  --begin S       when the exam begins, in seconds since 1970 (default: now); with --seed it\n"
    "                  makes the records the same to the byte\n"
    "What goes wrong, as fractions from 0 to 1, each 0 unless given:\n"
    "  --duplicates P  of writes and activity records are sent again\n"
    "  --stale P       of saves are accompanied by one with an old version\n"
    "  --disorder P    of saves change places with the next write\n"
    "  --late P        of submitted attempts go on saving\n"
    "  --poison P      of records are accompanied by one that cannot be accepted\n"
    "Output:\n"
    "  --dry-run       write the records as JSON lines to standard output instead (as fast as\n"
    "                  possible unless --speed or --rate is given); for attemptd produce --raw\n"
    "  --json          the report as JSON, and no progress\n"
    "  --quiet         no progress\n"
    "\n"
    "Ctrl-C ends the exam early: what was sent is waited for and reported; a second one ends at\n"
    "once.\n"
    "\n"
    "Exit codes: 0 all was acknowledged, 69 Kafka does not answer or did not acknowledge all, 130\n"
    "ended early.\n"
    "\n"
    "Examples:\n"
    "  attemptd simulate --students 2000 --duration 60 --duplicates 0.01 --poison 0.002\n"
    "  attemptd simulate --students 10000 --rate 50000 --json\n";

struct simulate {
    const struct settings *settings;
    struct exam_options exam_options;
    double speed; /* 0: not by the exam's clock */
    double rate;  /* records a second; 0: as fast as possible */
    bool begin_given, paced, dry_run, json, quiet;
    bool interrupted;

    struct clock clock;
    int64_t started_ms;
    struct progress progress;
    struct exam *exam;
    struct sender *sender; /* NULL with --dry-run */
    struct buf line;       /* --dry-run */
    uint64_t made;
};

/* ----------------------------------------------------------------------------------- options */

enum {
    OPT_STUDENTS = 1,
    OPT_QUESTIONS,
    OPT_EXAMS,
    OPT_DURATION,
    OPT_SPEED,
    OPT_RATE,
    OPT_SEED,
    OPT_BEGIN,
    OPT_DUPLICATES,
    OPT_STALE,
    OPT_DISORDER,
    OPT_LATE,
    OPT_POISON,
    OPT_DRY_RUN,
    OPT_JSON,
    OPT_QUIET
};

static const struct option long_options[] = {
    { "students", required_argument, NULL, OPT_STUDENTS },
    { "questions", required_argument, NULL, OPT_QUESTIONS },
    { "exams", required_argument, NULL, OPT_EXAMS },
    { "duration", required_argument, NULL, OPT_DURATION },
    { "speed", required_argument, NULL, OPT_SPEED },
    { "rate", required_argument, NULL, OPT_RATE },
    { "seed", required_argument, NULL, OPT_SEED },
    { "begin", required_argument, NULL, OPT_BEGIN },
    { "duplicates", required_argument, NULL, OPT_DUPLICATES },
    { "stale", required_argument, NULL, OPT_STALE },
    { "disorder", required_argument, NULL, OPT_DISORDER },
    { "late", required_argument, NULL, OPT_LATE },
    { "poison", required_argument, NULL, OPT_POISON },
    { "dry-run", no_argument, NULL, OPT_DRY_RUN },
    { "json", no_argument, NULL, OPT_JSON },
    { "quiet", no_argument, NULL, OPT_QUIET },
    { 0 }
};

static bool read_number(const char *text, double low, double high, double *ret)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !(value >= low && value <= high))
        return false;
    *ret = value;
    return true;
}

static bool read_count(const char *text, unsigned high, unsigned *ret)
{
    double value;
    if (!read_number(text, 1, high, &value) || value != floor(value))
        return false;
    *ret = (unsigned)value;
    return true;
}

static bool read_seed(const char *text, uint64_t *ret)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 0);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0)
        return false;
    *ret = value;
    return true;
}

static bool read_fraction(struct exam_options *options, int option, const char *text)
{
    double *const targets[] = { &options->duplicates, &options->stale, &options->disorder,
                                &options->late, &options->poison };
    return read_number(text, 0, 1, targets[option - OPT_DUPLICATES]);
}

static bool read_clock(struct simulate *simulate, int option, const char *text)
{
    struct exam_options *options = &simulate->exam_options;
    double value;
    switch (option) {
    case OPT_DURATION:
        if (!read_number(text, 1, 1e6, &value))
            return false;
        options->duration_ms = (int64_t)(value * 1000);
        return true;
    case OPT_BEGIN:
        if (!read_number(text, 946684800, 4.1e9, &value))
            return false;
        options->begin_us = (int64_t)value * 1000000;
        simulate->begin_given = true;
        return true;
    case OPT_SPEED:
        simulate->paced = true;
        return read_number(text, 1e-3, 1e6, &simulate->speed);
    default:
        simulate->paced = true;
        simulate->speed = 0;
        return read_number(text, 0, 1e9, &simulate->rate);
    }
}

static bool read_option(struct simulate *simulate, int option, const char *text)
{
    struct exam_options *options = &simulate->exam_options;
    switch (option) {
    case OPT_STUDENTS:
        return read_count(text, 10000000, &options->students);
    case OPT_QUESTIONS:
        return read_count(text, 5000, &options->questions);
    case OPT_EXAMS:
        return read_count(text, 100000, &options->exams);
    case OPT_SEED:
        return read_seed(text, &options->seed);
    case OPT_DRY_RUN:
        simulate->dry_run = true;
        return true;
    case OPT_JSON:
        simulate->json = simulate->quiet = true;
        return true;
    case OPT_QUIET:
        simulate->quiet = true;
        return true;
    case OPT_DURATION:
    case OPT_SPEED:
    case OPT_RATE:
    case OPT_BEGIN:
        return read_clock(simulate, option, text);
    default:
        return read_fraction(options, option, text);
    }
}

static int parse_options(struct simulate *simulate, int argc, char **argv)
{
    int option, index = 0;
    optind = 0;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", long_options, &index)) != -1) {
        if (option == '?')
            return command_usage("simulate", "unknown option or missing value: %s",
                                 argv[optind - 1]);
        if (!read_option(simulate, option, optarg))
            return command_usage("simulate", "--%s %s: out of range, or no number",
                                 long_options[index].name, optarg);
    }
    if (optind < argc)
        return command_usage("simulate", "'%s' is not an option", argv[optind]);
    if (simulate->dry_run && !simulate->paced)
        simulate->speed = 0;
    return EX_OK;
}

/* A new exam each time, and one whose times are about now when it has been played. */
static void choose_defaults(struct simulate *simulate)
{
    struct exam_options *options = &simulate->exam_options;
    *options = exam_options_default();
    options->version_jump_max = simulate->settings->max_version_jump;
    randombytes_buf(&options->seed, sizeof options->seed);
    options->seed >>= 24; /* short enough to be typed in */
    simulate->speed = 1;
}

static void choose_begin(struct simulate *simulate)
{
    struct exam_options *options = &simulate->exam_options;
    if (simulate->begin_given)
        return;
    options->begin_us = clock_wall_us(&simulate->clock);
    if (simulate->speed != 1)
        options->begin_us -= options->duration_ms * 1000;
}

/* ----------------------------------------------------------------------------------- playing */

static int64_t elapsed_ms(const struct simulate *simulate)
{
    return clock_monotonic_ms(&simulate->clock) - simulate->started_ms;
}

static struct kafka_counts counts_of(const struct simulate *simulate)
{
    if (simulate->sender == NULL)
        return (struct kafka_counts){ 0 };
    return sender_counts(simulate->sender);
}

static void show_progress(struct simulate *simulate, int64_t exam_ms)
{
    if (!progress_due(&simulate->progress, clock_monotonic_ms(&simulate->clock)))
        return;
    uint64_t estimate = exam_estimate(&simulate->exam_options);
    double share = 100.0 * (double)simulate->made / (double)(estimate > 0 ? estimate : 1);
    const struct exam_expectation *made = exam_expectation(simulate->exam);
    progress_show(&simulate->progress,
                  "exam at %" PRId64 " of %" PRId64 " s: %" PRIu64 " records (%.0f %%), %" PRIu64
                  " acknowledged, %" PRIu64 " students working, %" PRIu64 " submitted",
                  exam_ms / 1000, simulate->exam_options.duration_ms / 1000, simulate->made,
                  share > 99 ? 99 : share, counts_of(simulate).delivered,
                  made->attempts - made->submitted, made->submitted);
}

/* When, since the start, the next record is due. */
static int64_t due_ms(const struct simulate *simulate, const struct exam_record *record)
{
    if (simulate->speed > 0)
        return (int64_t)((double)record->at_ms / simulate->speed);
    if (simulate->rate > 0)
        return (int64_t)((double)simulate->made * 1000.0 / simulate->rate);
    return 0;
}

static void wait_until_due(struct simulate *simulate, const struct exam_record *record)
{
    int64_t due = due_ms(simulate, record), left;
    bool look = simulate->made % LOOK_EVERY == 0;
    if (look)
        simulate->interrupted |= interrupt_seen();
    if (due == 0 && !look)
        return;
    while (!simulate->interrupted && (left = due - elapsed_ms(simulate)) > 0) {
        int64_t wait = left < 50 ? left : 50;
        (void)counts_of(simulate); /* takes delivery reports */
        (void)nanosleep(&(struct timespec){ .tv_nsec = (long)(wait * 1000000) }, NULL);
        simulate->interrupted |= interrupt_seen();
        show_progress(simulate, record->at_ms);
    }
    show_progress(simulate, record->at_ms);
}

static bool put_line(struct simulate *simulate, const struct record *record, struct err *err)
{
    buf_clear(&simulate->line);
    record_line_put(record, &simulate->line);
    struct bytes text = buf_bytes(&simulate->line);
    if (!simulate->line.failed && fwrite(text.ptr, 1, text.len, stdout) == text.len)
        return true;
    return err_set(err, ERR_RESOURCE, "EIO", "cannot write the records: %s", strerror(errno));
}

static bool play(struct simulate *simulate, struct err *err)
{
    struct exam_record record;
    while (!simulate->interrupted && exam_next(simulate->exam, &record)) {
        wait_until_due(simulate, &record);
        bool good = simulate->sender != NULL
                        ? sender_send(simulate->sender, &record.record, record.kind, err)
                        : put_line(simulate, &record.record, err);
        if (!good)
            return false;
        simulate->made++;
    }
    if (exam_failed(simulate->exam))
        return err_set(err, ERR_RESOURCE, "ENOMEM", "out of memory");
    if (simulate->sender != NULL)
        return sender_flush(simulate->sender, FLUSH_TIMEOUT_MS, err);
    if (fflush(stdout) != 0)
        return err_set(err, ERR_RESOURCE, "EIO", "cannot write the records: %s", strerror(errno));
    return true;
}

static int play_and_report(struct simulate *simulate)
{
    struct err err;
    simulate->started_ms = clock_monotonic_ms(&simulate->clock);
    bool complete = play(simulate, &err);
    progress_end(&simulate->progress);
    struct simulate_report report = {
        .options = &simulate->exam_options,
        .expected = exam_expectation(simulate->exam),
        .counts = counts_of(simulate),
        .seconds = (double)elapsed_ms(simulate) / 1000.0,
        .complete = complete && !simulate->interrupted,
    };
    FILE *to = simulate->dry_run ? stderr : stdout;
    if (simulate->json)
        simulate_report_json(&report, to);
    else if (!simulate->dry_run || !simulate->quiet)
        simulate_report_table(&report, to);
    if (!complete)
        return command_fail("simulate", &err);
    return simulate->interrupted ? EXIT_INTERRUPTED : EX_OK;
}

int simulate_command(const struct settings *settings, int argc, char **argv)
{
    struct simulate simulate = { .settings = settings, .clock = clock_system() };
    struct err err;
    choose_defaults(&simulate);
    int code = parse_options(&simulate, argc, argv);
    if (code != EX_OK)
        return code;
    choose_begin(&simulate);
    progress_start(&simulate.progress, simulate.quiet);
    buf_init(&simulate.line, 1 << 24);
    interrupt_hold();
    if (!simulate.dry_run) {
        simulate.sender = sender_new(settings, &err);
        if (simulate.sender == NULL)
            return command_fail("simulate", &err);
    }
    simulate.exam = exam_new(&simulate.exam_options);
    if (simulate.exam == NULL) {
        (void)err_set(&err, ERR_RESOURCE, "ENOMEM", "no memory for so many students");
        code = command_fail("simulate", &err);
    } else {
        code = play_and_report(&simulate);
    }
    exam_free(simulate.exam);
    sender_free(simulate.sender);
    buf_release(&simulate.line);
    return code;
}
