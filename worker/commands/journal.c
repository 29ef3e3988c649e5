#include "worker/commands/journal.h"
#include "worker/postgres/sqlstate.h"

#include <stdio.h>
#include <string.h>

#define SAME_TROUBLE_MS 60000
#define NEW_TROUBLE_MS  10000 /* the same again, after all was well */

static const char retrying[] = "PostgreSQL did not carry out a transaction; trying again";
static const char unreachable[] = "no session with PostgreSQL; trying again";
static const char open[] = "the database fails again and again: circuit breaker open";

const char *halt_next_step(const char *reason)
{
    static const struct {
        const char *reason, *step;
    } steps[] = {
        { "log_start", "records that were never applied are gone from the log (retention?): bring "
                       "the log back, or accept the loss: 'attemptd accept-gap'" },
        { "log_end", "the log ends before what the ledger has applied (topic made anew, broker "
                     "restored from a copy?): bring the log back, or accept this one: 'attemptd "
                     "accept-gap'" },
        { "anchor", "the last applied record is another one now, so this is not the log that the "
                    "ledger knows: check KAFKA_BOOTSTRAP_SERVERS and --topic-prefix, or accept "
                    "this log: 'attemptd accept-gap'" },
        { "ledger_missing", "the group has committed offsets but the ledger has no row: check "
                            "DATABASE_URL and --schema (an empty or old database?), or read the "
                            "whole log: 'attemptd accept-gap'" },
        { "ledger_behind",
          "the database was put back to an older state (a backup restored, a standby promoted that "
          "lacked the last commits, another database?): bring the newer one back, or read the "
          "records again from where the ledger stands: 'attemptd accept-gap'" },
        { "corrupt", "the broker gives what cannot be read: mend the log on the broker, or go on "
                     "behind it: 'attemptd accept-gap --skip-to OFFSET'" },
        { "data_errors",
          "the database refused two submits in a row, or more than twenty records in a minute, so the "
          "fault is rather in the schema (a constraint, a trigger) than in them: mend what the "
          "error names; looked at again every minute. Where the records themselves are bad, say "
          "so: 'attemptd dlq accept'" },
        { "schema", "the tables or the rights are not as needed: 'attemptd migrate status', "
                    "'attemptd doctor'; looked at again every minute" },
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (strcmp(steps[i].reason, reason) == 0)
            return steps[i].step;
    }
    return "see 'attemptd doctor'";
}

static const char *text_of(const struct err *err)
{
    return err == NULL ? NULL : err->text;
}

static const char *code_of(const struct err *err)
{
    return err == NULL ? NULL : err->code;
}

/* NULL when the words of the error say enough. */
static const char *advice_of(const struct err *err)
{
    if (err == NULL)
        return NULL;
    if (strstr(err->text, "Too many open files") != NULL)
        return "this process may not open as many files as it needs: raise its limit ('ulimit -n', "
               "systemd's LimitNOFILE) to 1024 or more, and restart it";
    return sqlstate_advice(err->code);
}

/*
 * True when this trouble was told a moment ago. If not, *ret_unsaid says how often it came since it
 * was told last.
 */
static bool is_repeated(struct journal_log *journal, const char *message, const struct err *err,
                        uint64_t *ret_unsaid)
{
    int64_t now = clock_monotonic_ms(&journal->log->clock);
    const char *code = err == NULL ? "" : err->code;
    size_t known = journal->trouble_count;
    if (known > JOURNAL_TROUBLES)
        known = JOURNAL_TROUBLES;
    struct journal_trouble *trouble = NULL;
    for (size_t i = 0; i < known; i++) {
        if (journal->troubles[i].message == message && strcmp(journal->troubles[i].code, code) == 0)
            trouble = &journal->troubles[i];
    }
    int64_t quiet_ms = trouble != NULL && trouble->over ? NEW_TROUBLE_MS : SAME_TROUBLE_MS;
    if (trouble != NULL && now - trouble->told_ms < quiet_ms) {
        trouble->unsaid++;
        return true;
    }
    *ret_unsaid = trouble == NULL ? 0 : trouble->unsaid;
    if (trouble == NULL)
        trouble = &journal->troubles[journal->trouble_count++ % JOURNAL_TROUBLES];
    *trouble = (struct journal_trouble){ .message = message, .told_ms = now };
    (void)snprintf(trouble->code, sizeof trouble->code, "%s", code);
    return false;
}

void journal_log_retry(struct journal_log *journal, const char *message, const struct err *err,
                       int64_t next_try_ms)
{
    uint64_t unsaid = 0;
    if (is_repeated(journal, message, err, &unsaid))
        return;
    log_line(journal->log, LEVEL_WARN, message,
             FIELDS(FIELD_TEXT("error", text_of(err)), FIELD_TEXT("code", code_of(err)),
                    FIELD_INT("next_try_ms", next_try_ms), FIELD_INT("unsaid", unsaid),
                    FIELD_TEXT("next_step", advice_of(err))));
}

/* Marks what was told under this message as over. True when there was any. */
static bool is_over(struct journal_log *journal, const char *message)
{
    bool any = false;
    for (size_t i = 0; i < journal->trouble_count && i < JOURNAL_TROUBLES; i++) {
        struct journal_trouble *trouble = &journal->troubles[i];
        bool meant = trouble->message == message;
        any = any || (meant && !trouble->over);
        trouble->over = trouble->over || meant;
    }
    return any;
}

void journal_log_over(struct journal_log *journal, const char *message, const char *end)
{
    if (is_over(journal, message))
        log_line(journal->log, LEVEL_INFO, end, NULL);
}

/* "record at offset 77: ..." names the record that a brake has stopped at. */
static void put_offset(char *out, size_t room, const struct err *err)
{
    long long offset = 0;
    bool known = err != NULL && sscanf(err->text, "record at offset %lld:", &offset) == 1;
    (void)(known ? snprintf(out, room, " %lld", offset) : snprintf(out, room, " OFFSET"));
}

/* The step with its command spelled out: the operator's word is about this partition. */
static void put_next_step(char *out, size_t room, const char *reason, const char *topic,
                          int32_t partition, const struct err *err)
{
    char offset[32];
    put_offset(offset, sizeof offset, err);
    const struct {
        const char *name, *after;
    } commands[] = { { "'attemptd accept-gap", "" }, { "'attemptd dlq accept", offset } };
    const char *step = halt_next_step(reason), *advice = advice_of(err);
    if (strcmp(reason, "schema") == 0 && advice != NULL) {
        (void)snprintf(out, room, "%s; looked at again every minute", advice);
        return;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const char *found = strstr(step, commands[i].name);
        if (found == NULL)
            continue;
        size_t before = (size_t)(found - step) + strlen(commands[i].name);
        (void)snprintf(out, room, "%.*s %s %d%s --reason WHY%s", (int)before, step, topic,
                       partition, commands[i].after, step + before);
        return;
    }
    (void)snprintf(out, room, "%s", step);
}

/* The line that the contract promises, word for word; in JSON also as fields. */
static void log_halt(struct journal_log *journal, const struct note *note)
{
    const char *topic = journal->settings->topics[note->tp.topic];
    const char *reason = note->word == NULL ? "unknown" : note->word;
    char message[TOPIC_NAME_MAX + 128], next_step[TOPIC_NAME_MAX + 512];
    put_next_step(next_step, sizeof next_step, reason, topic, note->tp.partition, note->err);
    (void)snprintf(message, sizeof message, "halt topic=%s partition=%d reason=%s", topic,
                   note->tp.partition, reason);
    bool json = journal->log->form == LOG_FORM_JSON;
    log_line(journal->log, LEVEL_ERROR, message,
             FIELDS(FIELD_TEXT("topic", json ? topic : NULL),
                    FIELD_TEXT("reason", json ? reason : NULL),
                    FIELD_INT("next_offset", note->number), FIELD_TEXT("error", text_of(note->err)),
                    FIELD_TEXT("next_step", next_step)));
}

/* One line for all that was told of the engine's session. */
static void database_answers(struct journal_log *journal, const char *end)
{
    bool any = is_over(journal, retrying);
    any = is_over(journal, unreachable) || any;
    any = is_over(journal, open) || any;
    if (any)
        log_line(journal->log, LEVEL_INFO, end, NULL);
}

static void log_breaker(struct journal_log *journal, const struct note *note)
{
    uint64_t unsaid = 0;
    if (strcmp(note->word, "closed") == 0) {
        database_answers(journal, "the database answers again: circuit breaker closed");
    } else if (strcmp(note->word, "open") != 0) {
        log_line(journal->log, LEVEL_DEBUG, "circuit breaker: probing", NULL);
    } else if (!is_repeated(journal, open, note->err, &unsaid)) {
        const char *advice = advice_of(note->err);
        char next_step[512];
        (void)snprintf(next_step, sizeof next_step,
                       "nothing is read meanwhile, nothing is lost, and it is tried again by "
                       "itself. What to do: %s",
                       advice != NULL ? advice
                                      : "look at PostgreSQL and the way to it, 'attemptd doctor'");
        log_line(journal->log, LEVEL_ERROR, open,
                 FIELDS(FIELD_TEXT("error", text_of(note->err)),
                        FIELD_TEXT("code", code_of(note->err)), FIELD_INT("unsaid", unsaid),
                        FIELD_TEXT("next_step", next_step)));
    }
}

static void log_isolated(struct journal_log *journal, const struct note *note)
{
    log_line(journal->log, LEVEL_WARN,
             "the database refuses a record: it becomes a dead letter in the same transaction",
             FIELDS(FIELD_TEXT("topic", journal->settings->topics[note->tp.topic]),
                    FIELD_INT("partition", note->tp.partition), FIELD_INT("offset", note->number),
                    FIELD_TEXT("error", text_of(note->err)), FIELD_TEXT("code", code_of(note->err)),
                    FIELD_TEXT("next_step",
                               "the others go on, unless a halt line follows; look at it with "
                               "'attemptd dlq list --reason constraint', and send it again with "
                               "'attemptd dlq replay' once the cause is mended")));
}

static void log_resolved(struct journal_log *journal, const struct note *note)
{
    const char *meaning =
        strcmp(note->word, "committed") == 0 ? "it was done, and is told to the world now"
        : strcmp(note->word, "lost") == 0    ? "it was not done, and is repeated"
                                             : "another worker has the partitions, and knows";
    log_line(journal->log, LEVEL_WARN,
             "the connection broke during a commit; the ledger says what became of it",
             FIELDS(FIELD_TEXT("outcome", note->word), FIELD_TEXT("meaning", meaning)));
}

/* Notes about one partition that need no more words than these. */
static void log_partition(struct journal_log *journal, enum log_level level, const char *message,
                          const struct note *note)
{
    const char *topic = note->has_tp ? journal->settings->topics[note->tp.topic] : NULL;
    log_line(journal->log, level, message,
             FIELDS(FIELD_TEXT("topic", topic), FIELD_INT("partition", note->tp.partition),
                    FIELD_INT("offset", note->number), FIELD_TEXT("reason", note->word),
                    FIELD_TEXT("error", text_of(note->err)),
                    FIELD_TEXT("code", code_of(note->err))));
}

/* Once, instead of a halt line for each partition: this ends the process. */
static void refuse_settings(struct journal_log *journal, const struct err *err)
{
    if (!journal->settings_refused)
        log_line(journal->log, LEVEL_ERROR, err->text, FIELDS(FIELD_TEXT("code", err->code)));
    journal->settings_refused = true;
}

static void note_line(void *self, const struct note *note)
{
    struct journal_log *journal = self;
    journal->news = journal->news || note->kind != NOTE_FLUSHED;
    if (note->err != NULL && strcmp(note->err->code, "settings") == 0) {
        refuse_settings(journal, note->err);
        return;
    }
    switch (note->kind) {
    case NOTE_CLAIMED:
        log_partition(journal, LEVEL_INFO, "partition claimed", note);
        return;
    case NOTE_RELEASED:
        log_partition(journal, LEVEL_INFO, "partition released", note);
        return;
    case NOTE_FENCED:
        log_partition(journal, LEVEL_WARN,
                      "another worker has taken the partition over; it goes on there", note);
        return;
    case NOTE_HALTED:
        log_halt(journal, note);
        return;
    case NOTE_HEALED:
        log_partition(journal, LEVEL_INFO, "partition goes on", note);
        return;
    case NOTE_FLUSHED:
        log_line(
            journal->log, LEVEL_DEBUG, "flushed",
            FIELDS(FIELD_INT("records", note->number), FIELD_INT("took_ms", note->duration_ms)));
        return;
    case NOTE_RETRYING:
        journal_log_retry(journal, note->word != NULL ? unreachable : retrying, note->err,
                          note->number);
        return;
    case NOTE_ANSWERS:
        database_answers(journal, "the database carries out what was tried again");
        return;
    case NOTE_RESOLVED:
        log_resolved(journal, note);
        return;
    case NOTE_BREAKER:
        log_breaker(journal, note);
        return;
    case NOTE_ISOLATED:
        log_isolated(journal, note);
        return;
    case NOTE_TROUBLE:
        journal_log_trouble(journal, "Kafka", note->err);
        return;
    }
}

void journal_log_trouble(struct journal_log *journal, const char *what, const struct err *err)
{
    if (err == NULL)
        return;
    if (err->action == ERR_BUG && strcmp(err->code, "fatal") == 0)
        journal->client_finished = true;
    bool bad = err->action == ERR_BUG || err->action == ERR_HALT;
    bool good = err->action == ERR_NONE;
    log_line(journal->log,
             bad    ? LEVEL_ERROR
             : good ? LEVEL_INFO
                    : LEVEL_WARN,
             err->text,
             FIELDS(FIELD_TEXT("from", what), FIELD_TEXT("code", good ? NULL : err->code),
                    FIELD_TEXT("next_step", advice_of(err))));
}

void journal_log_init(struct journal_log *journal, const struct log *log,
                      const struct settings *settings)
{
    *journal = (struct journal_log){ .log = log, .settings = settings };
}

struct journal journal_log_port(struct journal_log *journal)
{
    return (struct journal){ .self = journal, .note = note_line };
}
