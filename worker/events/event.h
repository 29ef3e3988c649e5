/*
 * An event: what a record means once the strict decoder has accepted it (DESIGN 1.3).
 *
 * All three accepted forms (CloudEvents binary and structured, bare JSON) become the same struct.
 * Slices point into the record that was decoded, arrays into the arena given to the decoder; an
 * event therefore lives exactly as long as its batch. Times are microseconds since 1970 UTC.
 */
#ifndef WORKER_EVENTS_EVENT_H
#define WORKER_EVENTS_EVENT_H

#include "common/bytes.h"
#include "common/uuid.h"

#include <stddef.h>
#include <stdint.h>

enum event_type {
    EVENT_STARTED,
    EVENT_SAVED,
    EVENT_SUBMITTED,
    EVENT_ACTIVITY,
    EVENT_REFRESH, /* view.refresh.requested.v1; not in the ledger */
};

/* Why a record is dead. The names (reason_name) are part of the contract. */
enum reason {
    REASON_NONE,
    REASON_EMPTY,
    REASON_TOMBSTONE,
    REASON_JSON,
    REASON_UTF8,
    REASON_DUPLICATE_KEY,
    REASON_LIMITS,
    REASON_DEPTH,
    REASON_NUMBER,
    REASON_TIME,
    REASON_UUID,
    REASON_MISSING,
    REASON_TYPE,
    REASON_VERSION,
    REASON_VERSION_JUMP,
    REASON_KEY,
    REASON_ENVELOPE,
    REASON_START_CONFLICT,
    REASON_CONSTRAINT,
    REASON_SIGNATURE,
};

const char *reason_name(enum reason reason);
const char *event_type_name(enum event_type type); /* as ce_type has it */

/* What became of a record. Exactly one of these for every consumed record of a ledger topic. */
enum outcome { OUTCOME_APPLIED, OUTCOME_DUPLICATE, OUTCOME_STALE, OUTCOME_LATE, OUTCOME_DEAD };
#define OUTCOME_COUNT 5

const char *outcome_name(enum outcome outcome);

struct started {
    struct uuid exam_id;
    struct uuid student_id;
    int64_t started_at_us;
    int64_t deadline_at_us; /* only if has_deadline */
    bool has_deadline;
};

/* A save or a submit. */
struct attempt_write {
    int64_t expected_version;
    struct bytes answers;        /* the raw JSON object; absent when there is none */
    struct bytes auto_save_data; /* the raw JSON object; absent when there is none */
    int64_t at_us;               /* saved_at or submitted_at */
};

struct activity {
    struct uuid event_id;
    struct bytes event_type; /* unescaped UTF-8, 1-256 bytes */
    struct bytes payload;    /* raw JSON value; absent when there is none */
    int64_t occurred_at_us;
};

struct event {
    enum event_type type;
    struct uuid event_id;
    struct uuid attempt_id; /* all but EVENT_REFRESH */
    union {
        struct started started;
        struct attempt_write write;
        struct {
            const struct activity *items;
            size_t count;
        } activity;
        struct {
            struct bytes view_name; /* unescaped */
        } refresh;
    };
    struct bytes data; /* the raw JSON of `data`: what rejected_writes keeps */
    struct bytes traceparent;
};

/* A refusal by the decoder: the code, a sentence for people, and the ids where they could be read.
 */
struct refusal {
    enum reason reason;
    char detail[160]; /* never quotes a payload */
    bool has_event_id;
    bool has_attempt_id;
    struct uuid event_id;
    struct uuid attempt_id;
    struct bytes traceparent; /* of the record's headers */
};

#endif
