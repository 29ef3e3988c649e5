#include "worker/events/message.h"

#include "common/json.h"
#include "common/rfc3339.h"

/* ----------------------------------------------------------------------------------- members */

/* `"name":`, with a comma before it unless the object begins here. Names are ours: no escapes. */
static void put_name(struct buf *buf, const char *name)
{
    if (buf->len > 0 && buf->ptr[buf->len - 1] != '{')
        buf_put_char(buf, ',');
    buf_put_char(buf, '"');
    buf_put(buf, bytes_of(name));
    buf_put(buf, BYTES("\":"));
}

static void put_null(struct buf *buf)
{
    buf_put(buf, BYTES("null"));
}

/* Text of ours that needs no escapes, or null. */
static void put_quoted(struct buf *buf, bool present, struct bytes text)
{
    if (!present) {
        put_null(buf);
        return;
    }
    buf_put_char(buf, '"');
    buf_put(buf, text);
    buf_put_char(buf, '"');
}

static void put_int(struct buf *buf, bool present, int64_t value)
{
    if (present)
        buf_put_int(buf, value);
    else
        put_null(buf);
}

static void put_text_member(struct buf *buf, const char *name, struct bytes text)
{
    put_name(buf, name);
    if (bytes_present(text))
        json_put_string(buf, text);
    else
        put_null(buf);
}

static void put_int_member(struct buf *buf, const char *name, bool present, int64_t value)
{
    put_name(buf, name);
    put_int(buf, present, value);
}

static void put_uuid(struct buf *buf, const struct uuid *uuid)
{
    char text[UUID_TEXT_LEN + 1];
    buf_put(buf, bytes_of(uuid_format(uuid, text)));
}

static void put_uuid_member(struct buf *buf, const char *name, bool present,
                            const struct uuid *uuid)
{
    char text[UUID_TEXT_LEN + 1];
    put_text_member(buf, name, present ? bytes_of(uuid_format(uuid, text)) : BYTES_NONE);
}

static void put_time_member(struct buf *buf, const char *name, int64_t us)
{
    char text[RFC3339_TEXT_LEN + 1];
    put_text_member(buf, name, bytes_of(rfc3339_format(us, text)));
}

/* --------------------------------------------------------------------------- cache.invalidated */

const char *scope_name(enum scope scope)
{
    switch (scope) {
    case SCOPE_KEY:
        return "key";
    case SCOPE_PREFIX:
        return "prefix";
    case SCOPE_VIEW:
        return "view";
    case SCOPE_ALL:
        return "all";
    }
    return "unknown";
}

void cache_key_attempt(struct buf *buf, const struct uuid *attempt_id)
{
    buf_put(buf, BYTES("attempt:"));
    put_uuid(buf, attempt_id);
}

void cache_key_exam_stats(struct buf *buf, const struct uuid *exam_id)
{
    buf_put(buf, BYTES("exam:"));
    put_uuid(buf, exam_id);
    buf_put(buf, BYTES(":stats"));
}

void cache_key_view(struct buf *buf, struct bytes view_name)
{
    buf_put(buf, BYTES("view:"));
    buf_put(buf, view_name);
}

struct invalidation invalidation_of_attempt(int64_t version, int64_t revision,
                                            const struct uuid *exam_id, int64_t committed_at_us)
{
    struct invalidation invalidation = { .scope = SCOPE_KEY,
                                         .has_version = true,
                                         .version = version,
                                         .has_revision = true,
                                         .revision = revision,
                                         .committed_at_us = committed_at_us };
    invalidation.has_exam = exam_id != NULL;
    if (exam_id != NULL)
        invalidation.exam_id = *exam_id;
    return invalidation;
}

struct invalidation invalidation_of_exam(const struct uuid *exam_id, int64_t committed_at_us)
{
    return (struct invalidation){ .scope = SCOPE_KEY,
                                  .has_exam = true,
                                  .exam_id = *exam_id,
                                  .committed_at_us = committed_at_us };
}

/* One for each changed attempt and flush, the most frequent message by far: hence not by
 * put_name(). */
void message_invalidation(struct buf *buf, const struct invalidation *invalidation)
{
    char exam_id[UUID_TEXT_LEN + 1], committed_at[RFC3339_TEXT_LEN + 1];
    buf_put(buf, BYTES("{\"key\":"));
    json_put_string(buf, invalidation->key);
    buf_put(buf, BYTES(",\"scope\":"));
    put_quoted(buf, true, bytes_of(scope_name(invalidation->scope)));
    buf_put(buf, BYTES(",\"version\":"));
    put_int(buf, invalidation->has_version, invalidation->version);
    buf_put(buf, BYTES(",\"revision\":"));
    put_int(buf, invalidation->has_revision, invalidation->revision);
    buf_put(buf, BYTES(",\"exam_id\":"));
    put_quoted(buf, invalidation->has_exam,
               invalidation->has_exam ? bytes_of(uuid_format(&invalidation->exam_id, exam_id))
                                      : BYTES_NONE);
    buf_put(buf, BYTES(",\"committed_at\":"));
    put_quoted(buf, true, bytes_of(rfc3339_format(invalidation->committed_at_us, committed_at)));
    buf_put(buf, BYTES(",\"ttl_hint_s\":"));
    buf_put_int(buf, invalidation->ttl_hint_s);
    buf_put_char(buf, '}');
}

/* ---------------------------------------------------------------------------- attempt.outcome */

void message_outcome(struct buf *buf, const struct outcome_facts *facts)
{
    buf_put_char(buf, '{');
    put_uuid_member(buf, "attempt_id", facts->has_attempt_id, &facts->attempt_id);
    put_uuid_member(buf, "event_id", facts->has_event_id, &facts->event_id);
    put_text_member(buf, "outcome", bytes_of(outcome_name(facts->outcome)));
    put_int_member(buf, "version", facts->has_version, facts->version);
    put_text_member(buf, "reason", facts->reason);
    put_int_member(buf, "missing", facts->has_missing, facts->missing);
    put_text_member(buf, "receipt", facts->receipt);
    bool has_place = facts->place.topic != NULL;
    put_text_member(buf, "topic", has_place ? bytes_of(facts->place.topic) : BYTES_NONE);
    put_int_member(buf, "partition", has_place, facts->place.partition);
    put_int_member(buf, "record_offset", has_place, facts->place.offset);
    put_time_member(buf, "committed_at", facts->committed_at_us);
    buf_put_char(buf, '}');
}

/* ---------------------------------------------------------------------------------------- ids */

void message_id_of_record(struct buf *buf, const struct place *place)
{
    buf_put(buf, bytes_of(place->topic));
    buf_put_char(buf, '/');
    buf_put_int(buf, place->partition);
    buf_put_char(buf, '/');
    buf_put_int(buf, place->generation);
    buf_put_char(buf, '/');
    buf_put_int(buf, place->offset);
}

void message_id_of_submission(struct buf *buf, const struct uuid *attempt_id, int64_t version)
{
    buf_put(buf, BYTES("submission:"));
    put_uuid(buf, attempt_id);
    buf_put_char(buf, '@');
    buf_put_int(buf, version);
}

void message_id_of_revision(struct buf *buf, struct bytes key, int64_t revision)
{
    buf_put(buf, key);
    buf_put_char(buf, '@');
    buf_put_int(buf, revision);
}

void message_id_of_key(struct buf *buf, struct bytes key, const struct place *last)
{
    buf_put(buf, key);
    buf_put_char(buf, '@');
    message_id_of_record(buf, last);
}
