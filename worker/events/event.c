#include "worker/events/event.h"

const char *reason_name(enum reason reason)
{
    switch (reason) {
    case REASON_NONE:
        return "none";
    case REASON_EMPTY:
        return "empty";
    case REASON_TOMBSTONE:
        return "tombstone";
    case REASON_JSON:
        return "json";
    case REASON_UTF8:
        return "utf8";
    case REASON_DUPLICATE_KEY:
        return "duplicate_key";
    case REASON_LIMITS:
        return "limits";
    case REASON_DEPTH:
        return "depth";
    case REASON_NUMBER:
        return "number";
    case REASON_TIME:
        return "time";
    case REASON_UUID:
        return "uuid";
    case REASON_MISSING:
        return "missing";
    case REASON_TYPE:
        return "type";
    case REASON_VERSION:
        return "version";
    case REASON_VERSION_JUMP:
        return "version_jump";
    case REASON_KEY:
        return "key";
    case REASON_ENVELOPE:
        return "envelope";
    case REASON_START_CONFLICT:
        return "start_conflict";
    case REASON_CONSTRAINT:
        return "constraint";
    case REASON_SIGNATURE:
        return "signature";
    }
    return "unknown";
}

const char *event_type_name(enum event_type type)
{
    switch (type) {
    case EVENT_STARTED:
        return "attempt.started.v1";
    case EVENT_SAVED:
        return "attempt.saved.v1";
    case EVENT_SUBMITTED:
        return "attempt.submitted.v1";
    case EVENT_ACTIVITY:
        return "attempt.activity.v1";
    case EVENT_REFRESH:
        return "view.refresh.requested.v1";
    }
    return "unknown";
}

const char *outcome_name(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_APPLIED:
        return "applied";
    case OUTCOME_DUPLICATE:
        return "duplicate";
    case OUTCOME_STALE:
        return "stale";
    case OUTCOME_LATE:
        return "late";
    case OUTCOME_DEAD:
        return "dead";
    }
    return "unknown";
}
