/*
 * accept-gap: the operator's word that a halted partition may go on with the log as it is.
 *
 * A new generation of the log begins: counters at zero, no anchor, a new epoch, so that a worker
 * that still holds the old state can commit nothing more. The old row is kept in audit_log, in the
 * same transaction. Nothing is deleted.
 */
#include "worker/commands/accept_gap.h"

#include "worker/commands/command.h"
#include "worker/commands/confirm.h"
#include "worker/commands/facts.h"
#include "worker/commands/gap_facts.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sysexits.h>

const char accept_gap_help[] =
    "A worker halts a partition when the log is not the one that the ledger knows, because going\n"
    "on would be guessing. This is the operator's word that it may go on with the log as it is.\n"
    "First try what loses nothing: bring the log back, or point at the right cluster or database.\n"
    "\n"
    "TOPIC and PARTITION are those of the halt line. It looks at ledger and log itself and says\n"
    "what it found and what it is going to do, before it asks:\n"
    "\n"
    "  log_start       records were removed before they were read: goes on at the log's start;\n"
    "                  what lies between is lost\n"
    "  log_end,        the log is another one, or has lost its end: reads the whole log. If it is\n"
    "  anchor          the same log without its last records (an unclean election), go on at its\n"
    "                  end instead, with --skip-to\n"
    "  ledger_missing  the database knows nothing of a partition that the group has read: reads\n"
    "                  the whole log\n"
    "  ledger_behind   the database was put back to an older state: reads again from where it\n"
    "                  stands now\n"
    "  corrupt         the broker's data cannot be read: needs --skip-to\n"
    "\n"
    "The partition gets a new generation, with counters of its own; the old row with all its\n"
    "counters is kept in audit_log. A running worker goes on by itself within 15 seconds. When\n"
    "records are gone whose changes were not published yet, caches are told to drop everything.\n"
    "Where ledger and log agree nothing is changed.\n"
    "\n"
    "Options:\n"
    "  --reason TEXT     why; kept in audit_log (needed)\n"
    "  --skip-to OFFSET  go on here; what lies before is not read\n"
    "  --yes             do not ask\n"
    "  --force           also where ledger and log agree; needs --skip-to\n"
    "  --json            the result as JSON\n"
    "\n"
    "Exit codes: 0 done, 1 not confirmed, 65 there is nothing to accept, or the partition moved\n"
    "meanwhile; 69 Kafka or PostgreSQL does not answer.\n"
    "\n"
    "Examples:\n"
    "  attemptd accept-gap attempt.writes 3 --reason 'retention was too short, ticket 4711'\n"
    "  attemptd accept-gap attempt.writes 3 --skip-to 120044 --reason 'disk of broker 2' --yes\n";

#define EXIT_NOT_CONFIRMED 1

struct acceptance {
    struct settings settings;
    const char *topic_word, *reason;
    bool yes, force, json;
    int64_t skip_to;

    struct pg_client *db;
    struct kafka_setup kafka;
    struct kafka_admin *admin;
    struct gap_place place;
    enum gap_state state;
    struct gap_step step;
    int64_t generation; /* the new one */
};

/* ------------------------------------------------------------------------------ the words */

static bool read_number(const char *word, int64_t max, int64_t *ret)
{
    char *end;
    errno = 0;
    long long value = strtoll(word, &end, 10);
    if (*word < '0' || *word > '9' || *end != '\0' || errno != 0 || value > max)
        return false;
    *ret = value;
    return true;
}

static int read_words(struct acceptance *a, int argc, char **argv)
{
    int64_t partition;
    if (argc - optind != 2)
        return command_usage("accept-gap", "TOPIC and PARTITION are needed, as the halt line has "
                                           "them");
    if (!read_number(argv[optind + 1], INT32_MAX, &partition))
        return command_usage("accept-gap", "'%s' is no number of a partition", argv[optind + 1]);
    if (a->reason == NULL || *a->reason == '\0')
        return command_usage("accept-gap", "--reason TEXT is needed: it is kept in audit_log");
    a->topic_word = argv[optind];
    a->place.partition = (int32_t)partition;
    return EX_OK;
}

static int parse(struct acceptance *a, int argc, char **argv)
{
    static const struct option options[] = {
        { "reason", required_argument, NULL, 'r' }, { "skip-to", required_argument, NULL, 's' },
        { "yes", no_argument, NULL, 'y' },          { "force", no_argument, NULL, 'f' },
        { "json", no_argument, NULL, 'j' },         { 0 }
    };
    int option;
    optind = 0;
    opterr = 0;
    a->skip_to = GAP_NO_OFFSET;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?')
            return command_usage("accept-gap", "unknown option or missing value: %s",
                                 argv[optind - 1]);
        if (option == 's' && !read_number(optarg, INT64_MAX, &a->skip_to))
            return command_usage("accept-gap", "--skip-to %s: an offset is a number", optarg);
        if (option == 'r')
            a->reason = optarg;
        a->yes |= option == 'y';
        a->force |= option == 'f';
        a->json |= option == 'j';
    }
    return read_words(a, argc, argv);
}

/* The full name, or the name without the prefix. */
static bool find_topic(struct acceptance *a, struct err *err)
{
    for (int i = 0; i < TOPIC_REFRESH; i++) {
        const char *full = a->kafka.names.topics[i];
        if (strcmp(full, a->topic_word) == 0 ||
            strcmp(full + strlen(a->settings.topic_prefix), a->topic_word) == 0) {
            a->place.topic = full;
            return true;
        }
    }
    return err_set(err, ERR_REJECT, "topic",
                   "'%s' is not in the ledger, which knows %s and %s (--topic-prefix?)",
                   a->topic_word, a->kafka.names.topics[TOPIC_WRITES],
                   a->kafka.names.topics[TOPIC_ACTIVITY]);
}

static bool open_all(struct acceptance *a, struct err *err)
{
    if (!kafka_setup_init(&a->kafka, &a->settings, err))
        return false;
    if (!find_topic(a, err))
        return false;
    a->db = facts_connect(&a->settings, false, err);
    a->admin = a->db == NULL ? NULL : kafka_setup_reach(&a->kafka, err);
    return a->admin != NULL && gap_facts_gather(&a->place, a->db, &a->kafka, a->admin, err);
}

static void close_all(struct acceptance *a)
{
    pg_client_free(a->db);
    kafka_admin_free(a->admin);
    kafka_setup_release(&a->kafka);
}

/* ------------------------------------------------------------------------------- the plan */

static void show_found(const struct acceptance *a, FILE *to)
{
    const struct gap_place *place = &a->place;
    const struct gap_facts *facts = &place->facts;
    bool halt = a->state != GAP_NONE && a->state != GAP_NEW;
    (void)fprintf(to, "%s partition %" PRId32 ": %s%s\n", place->topic, place->partition,
                  halt ? "halts with reason=" : "ledger and log agree",
                  halt ? gap_state_name(a->state) : "");
    if (facts->has_row)
        (void)fprintf(to,
                      "  ledger  generation %" PRId64 ", next_offset %" PRId64
                      ", published_offset %" PRId64 ", %" PRId64
                      " records settled, last moved %s\n",
                      facts->generation, facts->next_offset, facts->published_offset,
                      place->records, place->updated_at);
    else
        (void)fprintf(to, "  ledger  has no row\n");
    if (facts->has_committed)
        (void)fprintf(to, "  group   %s has committed offset %" PRId64 "\n", a->settings.group,
                      place->committed);
    if (a->state == GAP_LEDGER_BEHIND)
        (void)fprintf(to,
                      "  seen    generation %" PRId64 ", next_offset %" PRId64
                      ", before the database was put back\n",
                      facts->witness.generation, facts->witness.next_offset);
    (void)fprintf(to, "  log     offsets from %" PRId64 " to before %" PRId64 "\n", facts->log_low,
                  facts->log_end);
    if (a->state == GAP_CORRUPT)
        (void)fprintf(to, "  disk    what can be read begins again at offset %" PRId64 "\n",
                      facts->readable_from);
}

/* What was never read, and never will be. */
static void show_lost(const struct acceptance *a, FILE *to)
{
    const struct gap_facts *facts = &a->place.facts;
    int64_t next = facts->next_offset, start = a->step.start;
    switch (a->state) {
    case GAP_LOG_START:
    case GAP_LEDGER_BEHIND:
    case GAP_CORRUPT:
    case GAP_NONE:
    case GAP_NEW:
        if (start > next)
            (void)fprintf(to,
                          "  lost: the records with offsets %" PRId64 " to %" PRId64 " (%" PRId64
                          " at most) are never read\n",
                          next, start - 1, start - next);
        else if (start < next)
            (void)fprintf(to,
                          "  again: offsets %" PRId64 " to %" PRId64 " are judged a second time\n",
                          start, next - 1);
        return;
    case GAP_LOG_END:
    case GAP_ANCHOR:
        (void)fprintf(to,
                      "  lost: what the old log held from offset %" PRId64
                      " on, if anything; nobody can say how much\n",
                      next);
        break;
    case GAP_LEDGER_MISSING:
        (void)fprintf(to, "  lost: what the log held before offset %" PRId64 ", if anything\n",
                      facts->log_low);
        break;
    }
    if (start > facts->log_low)
        (void)fprintf(to, "  left out: offsets %" PRId64 " to %" PRId64 " of this log\n",
                      facts->log_low, start - 1);
}

static void show_plan(const struct acceptance *a, FILE *to)
{
    const struct gap_facts *facts = &a->place.facts;
    (void)fprintf(to, "Accepting it means:\n");
    show_lost(a, to);
    (void)fprintf(to,
                  "  read: a new generation begins at offset %" PRId64 "; %" PRId64
                  " offsets wait there\n",
                  a->step.start, facts->log_end - a->step.start);
    if (a->state == GAP_LOG_END && a->skip_to == GAP_NO_OFFSET && facts->log_end > facts->log_low)
        (void)fprintf(to,
                      "  note: if this is the same log without its last records, its events "
                      "would be judged again;\n        go on at its end instead: --skip-to "
                      "%" PRId64 "\n",
                      facts->log_end);
    if (a->step.published < a->step.start)
        (void)fprintf(to, "  told: caches are to drop everything, because changes were not "
                          "published yet\n");
}

/* ------------------------------------------------------------------------------- the step */

static char *found_json(const struct acceptance *a)
{
    const struct gap_facts *facts = &a->place.facts;
    json_t *found = json_pack(
        "{s:s, s:I, s:I, s:I, s:b, s:I, s:I, s:I}", "state", gap_state_name(a->state), "log_start",
        (json_int_t)facts->log_low, "log_end", (json_int_t)facts->log_end, "first_offset",
        (json_int_t)a->step.start, "published_all", (int)(a->step.published < a->step.start),
        "committed", (json_int_t)a->place.committed, "seen_generation",
        (json_int_t)facts->witness.generation, "seen_next_offset",
        (json_int_t)facts->witness.next_offset);
    char *text = found == NULL ? NULL : json_dumps(found, JSON_COMPACT);
    json_decref(found);
    return text;
}

static bool write_row(struct acceptance *a, const char *found, struct err *err)
{
    char numbers[6][24];
    const int64_t values[] = { a->place.partition,         a->place.facts.generation,
                               a->place.facts.next_offset, a->step.start,
                               a->step.published,          a->place.facts.witness.generation };
    for (size_t i = 0; i < 6; i++)
        (void)snprintf(numbers[i], sizeof numbers[i], "%" PRId64, values[i]);
    const char *lock[] = { a->place.topic, numbers[0] };
    const char *raise[] = { a->place.topic, numbers[0], numbers[1], numbers[2], numbers[3],
                            numbers[4],     a->reason,  found,      numbers[5] };
    const char *make[] = { a->place.topic, numbers[0], numbers[3], numbers[4],
                           a->reason,      found,      numbers[5] };
    struct pg_rows *rows;
    if (!facts_run(a->db, "accept_gap_lock.sql", lock, 2, NULL, err) ||
        !(a->place.facts.has_row ? facts_run(a->db, "accept_gap_raise.sql", raise, 9, &rows, err)
                                 : facts_run(a->db, "accept_gap_make.sql", make, 7, &rows, err)))
        return false;
    bool written = pg_rows_count(rows) == 1;
    a->generation = pg_rows_int(rows, 0, 0);
    pg_rows_free(rows);
    return written || err_set(err, ERR_REJECT, "moved",
                              "the ledger moved while you were asked, so nothing was changed: "
                              "look again");
}

static bool carry_out(struct acceptance *a, struct err *err)
{
    char *found = found_json(a);
    if (found == NULL)
        return err_set(err, ERR_RESOURCE, "ENOMEM", "out of memory; nothing was changed");
    bool ok = pg_client_execute(a->db, "begin", "BEGIN", err) && write_row(a, found, err);
    free(found);
    if (!ok) {
        (void)pg_client_execute(a->db, "take back", "ROLLBACK", NULL);
        return false;
    }
    if (pg_client_execute(a->db, "commit", "COMMIT", err))
        return true;
    if (err->action != ERR_LOST)
        return false;
    return err_set(err, ERR_LOST, err->code,
                   "the connection was lost at COMMIT, so nobody knows whether it was done: give "
                   "the command again; where it was, ledger and log agree");
}

static void report(const struct acceptance *a)
{
    if (a->json)
        (void)printf("{\"topic\":\"%s\",\"partition\":%" PRId32 ",\"state\":\"%s\",\"generation\":"
                     "%" PRId64 ",\"first_offset\":%" PRId64 ",\"log_end\":%" PRId64
                     ",\"published_all\":%s}\n",
                     a->place.topic, a->place.partition, gap_state_name(a->state), a->generation,
                     a->step.start, a->place.facts.log_end,
                     a->step.published < a->step.start ? "true" : "false");
    else
        (void)printf("Accepted: generation %" PRId64 " of %s partition %" PRId32
                     " begins at offset %" PRId64 "; kept in audit_log.\n"
                     "A running worker goes on within 15 s; 'attemptd status' shows it.\n",
                     a->generation, a->place.topic, a->place.partition, a->step.start);
}

static int accept_it(struct acceptance *a)
{
    struct err err;
    FILE *to = a->json ? stderr : stdout;
    if (!open_all(a, &err))
        return command_fail("accept-gap", &err);
    a->state = gap_judge(&a->place.facts);
    show_found(a, to);
    if (!gap_plan(&a->place.facts, a->skip_to, a->force, &a->step, &err)) {
        (void)fflush(to);
        return command_fail("accept-gap", &err);
    }
    show_plan(a, to);
    if (!a->yes && !confirm("attemptd accept-gap", "Accept this?"))
        return EXIT_NOT_CONFIRMED;
    if (!carry_out(a, &err))
        return command_fail("accept-gap", &err);
    report(a);
    return EX_OK;
}

int accept_gap_command(const struct settings *settings, int argc, char **argv)
{
    struct acceptance a = { .settings = *settings };
    int code = parse(&a, argc, argv);
    if (code != EX_OK)
        return code;
    code = accept_it(&a);
    close_all(&a);
    return code;
}
