/*
 * Reading one member at a time, each fault a refusal: the small tools of the decoder.
 *
 * A read_ function takes the raw JSON of a member (absent when it was missing or null) and its
 * name. It sets its result and returns true, or notes the refusal and returns false; when the arena
 * is full it returns false and sets `no_memory`, and nothing is refused.
 */
#ifndef WORKER_EVENTS_READER_H
#define WORKER_EVENTS_READER_H

#include "common/json.h"
#include "worker/events/decode.h"

struct reader {
    const struct record *record;
    const struct decode_limits *limits;
    struct arena *arena;
    struct refusal *refusal;
    struct json_marks marks; /* of the value, once it has been checked */
    size_t element;          /* within `events`: index of the event being read ... */
    bool has_element;        /* ... if there is one */
    bool no_memory;
};

/* Notes a refusal (a sentence without any of the payload) and returns false. */
bool refuse(struct reader *reader, enum reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same about a member of data: "data.events[3].event_id is not ...". */
bool refuse_member(struct reader *reader, enum reason reason, const char *name, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));

/* Sorts the members of an object into `values`, in the order of `names`; unknown members are
 * ignored. */
void find_members(const struct reader *reader, struct bytes object, const struct bytes *names,
                  size_t count, struct bytes *ret_values);

/* Null is as good as absent. */
void drop_nulls(struct bytes *values, size_t count);

/* Both. */
static inline void read_members(const struct reader *reader, struct bytes object,
                                const struct bytes *names, size_t count, struct bytes *ret_values)
{
    find_members(reader, object, names, count, ret_values);
    drop_nulls(ret_values, count);
}

/* A string; `wrong` is the reason when it is something else. */
bool read_text(struct reader *reader, struct bytes value, const char *name, enum reason wrong,
               struct bytes *ret);
bool read_uuid(struct reader *reader, struct bytes value, const char *name, struct uuid *ret);
bool read_uuid_text(struct reader *reader, struct bytes value, const char *name, struct uuid *ret,
                    struct bytes *ret_text);
bool read_time(struct reader *reader, struct bytes value, const char *name, int64_t *ret_us);
bool read_version(struct reader *reader, struct bytes value, const char *name, int64_t *ret);

/* A string of 1 to name_bytes_max bytes. */
bool read_name(struct reader *reader, struct bytes value, const char *name, struct bytes *ret);

/* An object, or absent: then `*ret` is absent. */
bool read_optional_object(struct reader *reader, struct bytes value, const char *name,
                          struct bytes *ret);

#endif
