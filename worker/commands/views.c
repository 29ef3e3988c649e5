#include "worker/commands/views.h"

#include <stdio.h>

bool views_init(struct views *views, struct journal_log *journal)
{
    *views = (struct views){ .journal = journal, .list = json_array() };
    return views->list != NULL;
}

void views_release(struct views *views)
{
    json_decref(views->list);
    views->list = NULL;
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
    case HOUSEKEEPER_UNCONFIRMED:
        log_note(views, LEVEL_WARN, "Kafka does not confirm news of the views; it is tried again",
                 note);
        return;
    case HOUSEKEEPER_TROUBLE:
        journal_log_retry(views->journal, "the housekeeping session fails; trying again", note->err,
                          note->number);
        return;
    }
}
