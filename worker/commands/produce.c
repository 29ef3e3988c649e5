/*
 * produce: JSON lines to Kafka.
 *
 * Every line is looked at before it is sent, with the worker's own decoder, so that a mistake is
 * found here, by line number, and not among the dead letters. Good lines are sent even when others
 * are bad: each is an event of its own.
 */
#include "worker/commands/produce.h"

#include "common/clock.h"
#include "common/json.h"
#include "worker/commands/command.h"
#include "worker/commands/interrupt.h"
#include "worker/commands/progress.h"
#include "worker/commands/record_line.h"
#include "worker/commands/sender.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sysexits.h>

#define BAD_LINES_SHOWN  20
#define FLUSH_TIMEOUT_MS 60000
#define LOOK_EVERY       64 /* lines between two looks for signals */

const char produce_help[] =
    "Sends one event for each line of FILE (or of standard input, with - or without FILE):\n"
    "\n"
    "  {\"type\":\"attempt.saved.v1\",\"id\":\"UUID\",\"data\":{\"attempt_id\":\"UUID\",...}}\n"
    "\n"
    "An id is made where there is none; the key is data.attempt_id; the topic follows from the\n"
    "type. Each line is checked with the worker's own decoder first: bad lines are named and left\n"
    "out, the others are sent. A line may also hold a record made by hand, with the members topic,\n"
    "key, partition, headers and value (key_base64 and value_base64 for what is no text).\n"
    "\n"
    "Options:\n"
    "  --form FORM   send events as bare JSON (bare, the default), or as CloudEvents in binary\n"
    "                (binary) or structured (structured) form\n"
    "  --raw         send also what the decoder would refuse, to see what becomes of it\n"
    "  --dry-run     only check\n"
    "  --json        the summary as JSON, and no progress\n"
    "  --quiet       no progress\n"
    "\n"
    "Exit codes: 0 all sent and acknowledged, 65 some lines were bad (the rest was sent),\n"
    "66 FILE cannot be read, 69 Kafka does not answer or did not acknowledge everything.\n"
    "\n"
    "Examples:\n"
    "  attemptd produce events.jsonl\n"
    "  attemptd simulate --students 10 --dry-run | attemptd produce --raw -\n";

struct produce {
    const struct settings *settings;
    struct decode_limits limits;
    enum wrap_form form;
    bool raw, dry_run, json, quiet;
    const char *file; /* NULL: standard input */

    struct clock clock;
    struct progress progress;
    struct record_line line;
    struct arena arena;
    struct sender *sender; /* NULL with --dry-run */
    uint64_t lines, good, bad;
    int64_t bad_lines[BAD_LINES_SHOWN];
};

static bool parse_form(const char *word, enum wrap_form *ret)
{
    static const char *const names[] = { "binary", "structured", "bare" };
    for (int i = 0; i < 3; i++) {
        if (strcmp(word, names[i]) == 0) {
            *ret = (enum wrap_form)i;
            return true;
        }
    }
    return false;
}

static int parse_options(struct produce *produce, int argc, char **argv)
{
    static const struct option options[] = {
        { "form", required_argument, NULL, 'f' }, { "raw", no_argument, NULL, 'r' },
        { "dry-run", no_argument, NULL, 'n' },    { "json", no_argument, NULL, 'j' },
        { "quiet", no_argument, NULL, 'q' },      { 0 }
    };
    int option;
    optind = 0;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'f' && !parse_form(optarg, &produce->form))
            return command_usage("produce", "--form %s: it is binary, structured or bare", optarg);
        if (option == '?')
            return command_usage("produce", "unknown option or missing value: %s",
                                 argv[optind - 1]);
        produce->raw |= option == 'r';
        produce->dry_run |= option == 'n';
        produce->json |= option == 'j';
        produce->quiet |= option == 'q' || option == 'j';
    }
    if (argc - optind > 1)
        return command_usage("produce", "one FILE at a time");
    if (optind < argc && strcmp(argv[optind], "-") != 0)
        produce->file = argv[optind];
    return EX_OK;
}

/* ---------------------------------------------------------------------------------- the lines */

static void note_bad(struct produce *produce, const char *why)
{
    if (produce->bad < BAD_LINES_SHOWN) {
        progress_end(&produce->progress);
        (void)fprintf(stderr, "attemptd produce: line %" PRIu64 ": %s\n", produce->lines, why);
        produce->bad_lines[produce->bad] = (int64_t)produce->lines;
    }
    produce->bad++;
}

/* Whether the decoder takes it; else the line is noted as bad. */
static bool acceptable(struct produce *produce)
{
    struct event event;
    struct refusal refusal;
    char why[256];
    arena_reset(&produce->arena);
    if (decode(&produce->line.record, &produce->limits, &produce->arena, &event, &refusal) !=
        DECODE_DEAD)
        return true;
    (void)snprintf(why, sizeof why, "%s: %s", reason_name(refusal.reason), refusal.detail);
    note_bad(produce, why);
    return false;
}

static bool take_line(struct produce *produce, struct bytes text, struct err *err)
{
    struct err why;
    produce->lines++;
    if (json_is_blank(text))
        return true;
    if (!record_line_read(&produce->line, text, produce->form, produce->settings->topic_prefix,
                          &why)) {
        note_bad(produce, why.text);
        return true;
    }
    if (!produce->raw && !acceptable(produce))
        return true;
    produce->good++;
    return produce->sender == NULL || sender_send(produce->sender, &produce->line.record, 0, err);
}

static struct kafka_counts counts_of(struct produce *produce)
{
    if (produce->sender == NULL)
        return (struct kafka_counts){ 0 };
    return sender_counts(produce->sender);
}

static void show_progress(struct produce *produce)
{
    if (!progress_due(&produce->progress, clock_monotonic_ms(&produce->clock)))
        return;
    struct kafka_counts counts = counts_of(produce);
    progress_show(&produce->progress,
                  "%" PRIu64 " lines read, %" PRIu64 " sent, %" PRIu64 " acknowledged, %" PRIu64
                  " bad",
                  produce->lines, counts.sent, counts.delivered, produce->bad);
}

static int take_lines(struct produce *produce, FILE *from)
{
    char *text = NULL;
    size_t size = 0;
    struct err err;
    int code = EX_OK;
    ssize_t len = 0;
    while (code == EX_OK && (len = getline(&text, &size, from)) >= 0) {
        if (len > 0 && text[len - 1] == '\n')
            len--;
        if (!take_line(produce, (struct bytes){ text, (size_t)len }, &err))
            code = command_fail("produce", &err);
        show_progress(produce);
        if (produce->lines % LOOK_EVERY == 0 && interrupt_seen()) {
            (void)fprintf(stderr, "attemptd produce: stopped after line %" PRIu64 "\n",
                          produce->lines);
            code = EXIT_INTERRUPTED;
        }
        if (produce->bad == BAD_LINES_SHOWN && produce->good == 0) {
            (void)fputs("attemptd produce: this does not look like JSON lines; stopped reading\n",
                        stderr);
            break;
        }
    }
    /* Not ferror(): a line for which there is no memory sets no flag. */
    if (code == EX_OK && len < 0 && !feof(from)) {
        (void)fprintf(stderr, "attemptd produce: %s: %s\n",
                      produce->file != NULL ? produce->file : "standard input", strerror(errno));
        code = EX_NOINPUT;
    }
    free(text);
    return code;
}

/* ------------------------------------------------------------------------------- the summary */

static void print_json(const struct produce *produce, struct kafka_counts counts)
{
    (void)printf("{\"lines\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"acknowledged\":%" PRIu64
                 ",\"failed\":%" PRIu64 ",\"bad\":%" PRIu64 ",\"bad_lines\":[",
                 produce->lines, counts.sent, counts.delivered, counts.failed, produce->bad);
    for (uint64_t i = 0; i < produce->bad && i < BAD_LINES_SHOWN; i++)
        (void)printf("%s%" PRId64, i == 0 ? "" : ",", produce->bad_lines[i]);
    (void)puts("]}");
}

static int summarize(struct produce *produce)
{
    struct kafka_counts counts = counts_of(produce);
    progress_end(&produce->progress);
    if (produce->json)
        print_json(produce, counts);
    else if (produce->dry_run)
        (void)printf("%" PRIu64 " good, %" PRIu64 " bad of %" PRIu64 " lines; nothing was sent\n",
                     produce->good, produce->bad, produce->lines);
    else
        (void)printf("%" PRIu64 " sent, %" PRIu64 " acknowledged, %" PRIu64 " failed, %" PRIu64
                     " bad of %" PRIu64 " lines\n",
                     counts.sent, counts.delivered, counts.failed, produce->bad, produce->lines);
    if (counts.failed > 0)
        return command_fail("produce", &counts.last_failure);
    return produce->bad > 0 ? EX_DATAERR : EX_OK;
}

static int produce_lines(struct produce *produce, FILE *from)
{
    struct err err;
    if (from != stdin) /* which may keep us waiting for the next line */
        interrupt_hold();
    if (!produce->dry_run) {
        produce->sender = sender_new(produce->settings, &err);
        if (produce->sender == NULL)
            return command_fail("produce", &err);
    }
    int code = take_lines(produce, from);
    if (produce->sender != NULL && !sender_flush(produce->sender, FLUSH_TIMEOUT_MS, &err))
        code = command_fail("produce", &err);
    int verdict = summarize(produce);
    return code != EX_OK ? code : verdict;
}

int produce_command(const struct settings *settings, int argc, char **argv)
{
    struct produce produce = { .settings = settings,
                               .limits = settings_limits(settings),
                               .form = WRAP_BARE,
                               .clock = clock_system() };
    int code = parse_options(&produce, argc, argv);
    if (code != EX_OK)
        return code;
    FILE *from = produce.file != NULL ? fopen(produce.file, "re") : stdin;
    if (from == NULL) {
        (void)fprintf(stderr, "attemptd produce: %s: %s\n", produce.file, strerror(errno));
        return EX_NOINPUT;
    }
    record_line_init(&produce.line);
    arena_init(&produce.arena, 65536, 0);
    progress_start(&produce.progress, produce.quiet);
    code = produce_lines(&produce, from);
    sender_free(produce.sender);
    arena_release(&produce.arena);
    record_line_release(&produce.line);
    if (from != stdin)
        (void)fclose(from);
    return code;
}
