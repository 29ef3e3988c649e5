/*
 * What the worker tells the world: the values of outgoing messages, their keys and their ids.
 *
 * Pure builders into a struct buf (its sticky failure is the only way to fail). The id (ce_id) of a
 * message follows from what it is about and never from when it is sent, so that a message that is
 * published again carries the id it had. Text from outside is escaped; bytes that are not UTF-8
 * become U+FFFD.
 */
#ifndef WORKER_EVENTS_MESSAGE_H
#define WORKER_EVENTS_MESSAGE_H

#include "common/buf.h"
#include "common/bytes.h"
#include "common/uuid.h"
#include "worker/events/event.h"

#define INVALIDATION_TYPE "cache.invalidated.v1"
#define OUTCOME_TYPE      "attempt.outcome.v1"
#define CACHE_KEY_ALL     "all" /* key of the one message that says: drop everything */

/* A place in a log, as messages name it. */
struct place {
    const char *topic; /* the full name */
    int32_t partition;
    int64_t generation;
    int64_t offset;
};

/* ------------------------------------------------------------------------------ cache.invalidated
 */

enum scope { SCOPE_KEY, SCOPE_PREFIX, SCOPE_VIEW, SCOPE_ALL };

/* The word of the contract: key, prefix, view, all. */
const char *scope_name(enum scope scope);

struct invalidation {
    struct bytes key;
    enum scope scope;
    bool has_version; /* attempts */
    int64_t version;
    bool has_revision; /* attempts, and views: the number of the refresh */
    int64_t revision;
    bool has_exam;
    struct uuid exam_id;
    int64_t committed_at_us;
    int64_t ttl_hint_s;
};

/* Keys: `attempt:<id>`, `exam:<id>:stats`, `view:<name>`. Appended. */
void cache_key_attempt(struct buf *buf, const struct uuid *attempt_id);
void cache_key_exam_stats(struct buf *buf, const struct uuid *exam_id);
void cache_key_view(struct buf *buf, struct bytes view_name);

/* Of an attempt's row (`exam_id` NULL: not known yet), and of an exam's statistics. Key and
 * ttl_hint_s are for the sender to fill in. */
struct invalidation invalidation_of_attempt(int64_t version, int64_t revision,
                                            const struct uuid *exam_id, int64_t committed_at_us);
struct invalidation invalidation_of_exam(const struct uuid *exam_id, int64_t committed_at_us);

/* Appends the JSON value. */
void message_invalidation(struct buf *buf, const struct invalidation *invalidation);

/* ------------------------------------------------------------------------------- attempt.outcome
 */

struct outcome_facts {
    bool has_attempt_id, has_event_id; /* a dead record may have neither */
    struct uuid attempt_id, event_id;
    enum outcome outcome;
    bool has_version; /* all but dead */
    int64_t version;
    struct bytes reason; /* dead: a code of reason_name(); late: overtaken, ...; else absent */
    bool has_missing;    /* applied submits */
    int64_t missing;
    struct bytes receipt; /* text; absent when there is none */
    struct place place;   /* topic NULL: no record, the submit was made by SQL */
    int64_t committed_at_us;
};

/* Appends the JSON value. */
void message_outcome(struct buf *buf, const struct outcome_facts *facts);

/* ------------------------------------------------------------------------------------------- ids
 */

/* `topic/partition/generation/offset`: the id of an outcome. */
void message_id_of_record(struct buf *buf, const struct place *place);

/* `submission:<attempt id>@version`: the id of the outcome of a submit by SQL. */
void message_id_of_submission(struct buf *buf, const struct uuid *attempt_id, int64_t version);

/* `key@revision`: the id of an attempt's or a view's invalidation. */
void message_id_of_revision(struct buf *buf, struct bytes key, int64_t revision);

/* `key@topic/partition/generation/offset`: the id of an invalidation without a revision (exam keys,
 * `all`), about the last record of the flush that touched the key. */
void message_id_of_key(struct buf *buf, struct bytes key, const struct place *last);

#endif
