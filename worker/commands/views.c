#include "worker/commands/views.h"

#include <stdio.h>

bool views_init(struct views *views, struct journal_log *journal)
{
    *views = (struct views){ .journal = journal, .balances = json_array(), .list = json_array() };
    return views->list != NULL && views->balances != NULL;
}

void views_release(struct views *views)
{
    json_decref(views->balances);
    json_decref(views->list);
    views->balances = views->list = NULL;
}

/* The view's object, made when it is its first time; NULL when memory is short. */
static json_t *find(struct views *views, struct bytes name)
{
    size_t i;
    json_t *view;
    json_array_foreach(views->list, i, view)
    {
        const char *known = json_string_value(json_object_get(view, "view"));
        if (known != NULL && bytes_equal(bytes_of(known), name))
            return view;
    }
    view = json_pack("{s:o, s:i, s:i}", "view", json_stringn(name.ptr, name.len), "refreshes", 0,
                     "failures", 0);
    return view == NULL || json_array_append_new(views->list, view) != 0 ? NULL : view;
}

static void raise(json_t *view, const char *key)
{
    (void)json_object_set_new(view, key,
                              json_integer(json_integer_value(json_object_get(view, key)) + 1));
}

static void count(struct views *views, const struct housekeeper_note *note)
{
    json_t *view = find(views, note->name);
    if (view == NULL)
        return;
    if (note->kind == HOUSEKEEPER_REFRESH_FAILED) {
        raise(view, "failures");
        return;
    }
    const struct clock *clock = &views->journal->log->clock;
    raise(view, "refreshes");
    (void)json_object_set_new(view, "last_refresh_ms", json_integer(clock_wall_us(clock) / 1000));
    (void)json_object_set_new(view, "last_duration_ms", json_integer(note->duration_ms));
}

/* The partition's object, made when it is its first time; NULL when memory is short. */
static json_t *find_balance(struct views *views, const struct housekeeper_note *note)
{
    size_t i;
    json_t *balance;
    json_array_foreach(views->balances, i, balance)
    {
        const char *topic = json_string_value(json_object_get(balance, "topic"));
        if (topic != NULL && bytes_equal(bytes_of(topic), note->name) &&
            json_integer_value(json_object_get(balance, "partition")) == note->partition)
            return balance;
    }
    balance = json_pack("{s:o, s:i}", "topic", json_stringn(note->name.ptr, note->name.len),
                        "partition", (int)note->partition);
    return balance == NULL || json_array_append_new(views->balances, balance) != 0 ? NULL : balance;
}

static void weigh(struct views *views, const struct housekeeper_note *note)
{
    json_t *balance = find_balance(views, note);
    bool differed = json_integer_value(json_object_get(balance, "difference")) != 0;
    if (balance != NULL)
        (void)json_object_set_new(balance, "difference", json_integer(note->number));
    char topic[256];
    (void)snprintf(topic, sizeof topic, "%.*s", BYTES_FMT(note->name));
    if (note->number == 0 && differed)
        log_line(views->journal->log, LEVEL_INFO,
                 "conservation holds again: the ledger's counters and the tables of outcomes agree",
                 FIELDS(FIELD_TEXT("topic", topic), FIELD_INT("partition", note->partition)));
    if (note->number == 0)
        return;
    log_line(views->journal->log, LEVEL_ERROR,
             "conservation is broken: the ledger's counters and the tables of outcomes differ",
             FIELDS(FIELD_TEXT("topic", topic), FIELD_INT("partition", note->partition),
                    FIELD_INT("difference", note->number),
                    FIELD_TEXT("next_step", "somebody has changed ingest_progress, rejected_writes "
                                            "or dead_letters by hand, or this is a bug: 'attemptd "
                                            "audit --replay' names the records")));
}

static void log_note(struct views *views, enum log_level level, const char *message,
                     const struct housekeeper_note *note)
{
    char name[128] = "";
    (void)snprintf(name, sizeof name, "%.*s", BYTES_FMT(note->name));
    log_line(views->journal->log, level, message,
             FIELDS(FIELD_TEXT("name", bytes_present(note->name) ? name : NULL),
                    FIELD_INT("number", note->number), FIELD_INT("took_ms", note->duration_ms),
                    FIELD_TEXT("error", note->err == NULL ? NULL : note->err->text),
                    FIELD_TEXT("code", note->err == NULL ? NULL : note->err->code)));
}

/* What is not done meanwhile; events are not concerned. */
static const char *failing_job(const struct housekeeper_note *note)
{
    static const char news[] = "changes made by SQL cannot be looked for, so caches do not hear of "
                               "them yet; trying again";
    static const char views[] = "views cannot be refreshed by their schedule; trying again";
    static const char partitions[] = "partitions of activity_events cannot be made or dropped; "
                                     "trying again";
    static const char balance[] = "conservation cannot be checked; trying again";
    return bytes_equal(note->name, BYTES("news"))      ? news
           : bytes_equal(note->name, BYTES("views"))   ? views
           : bytes_equal(note->name, BYTES("balance")) ? balance
                                                       : partitions;
}

void views_note(struct views *views, const struct housekeeper_note *note)
{
    switch (note->kind) {
    case HOUSEKEEPER_REFRESHED:
        count(views, note);
        log_note(views, LEVEL_INFO, "view refreshed", note);
        return;
    case HOUSEKEEPER_REFRESH_FAILED:
        count(views, note);
        log_note(views, LEVEL_ERROR, "view cannot be refreshed; it is tried again", note);
        return;
    case HOUSEKEEPER_CHANGES:
        log_note(views, LEVEL_DEBUG, "foreign changes published", note);
        return;
    case HOUSEKEEPER_SUBMITS:
        log_note(views, LEVEL_DEBUG, "submits made by SQL have their digests", note);
        return;
    case HOUSEKEEPER_PARTITION:
        log_note(views, LEVEL_INFO, "activity partition made", note);
        return;
    case HOUSEKEEPER_DROPPED:
        log_note(views, LEVEL_INFO, "old activity partition dropped", note);
        return;
    case HOUSEKEEPER_BALANCE:
        weigh(views, note);
        return;
    case HOUSEKEEPER_LEDGER:
    case HOUSEKEEPER_LOOKED:
        return; /* for the engine */
    case HOUSEKEEPER_UNCONFIRMED:
        log_note(views, LEVEL_WARN, "Kafka does not confirm news of the views; it is tried again",
                 note);
        return;
    case HOUSEKEEPER_TROUBLE:
        journal_log_retry(views->journal, failing_job(note), note->err, note->number);
        return;
    case HOUSEKEEPER_WELL:
        journal_log_over(views->journal, failing_job(note),
                         bytes_equal(note->name, BYTES("news"))
                             ? "changes made by SQL are looked for again"
                             : "views are refreshed again");
        return;
    }
}
