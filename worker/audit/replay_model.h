/*
 * What the rows must be: the rules of DESIGN 1.4, one event at a time, in the plainest way.
 *
 * The auditor folds the log with it and compares. It shares the decoder with the engine and
 * nothing else: no batches, no merged patches, no fast way; so a mistake in those cannot hide here.
 * It keeps one entry for each attempt and some 30 bytes for each distinct activity event, whatever
 * the length of the log. It owns copies of all that it keeps.
 */
#ifndef WORKER_AUDIT_REPLAY_MODEL_H
#define WORKER_AUDIT_REPLAY_MODEL_H

#include "worker/audit/members.h"
#include "worker/events/event.h"

#define MODEL_RECENT_MAX 16

struct model_attempt {
    struct uuid id;
    int64_t version;
    bool submitted;
    struct members answers;
    char *auto_save_data; /* JSON text, terminated; NULL while there is none */
    bool has_start;
    struct started start; /* if has_start */

    struct uuid recent[MODEL_RECENT_MAX]; /* ids of applied saves and submits; the oldest goes */
    unsigned recent_count, recent_next;

    /* if submitted */
    struct uuid submit_id;
    int64_t submit_expected; /* e of the submit; the version became e + 1 */
    int64_t submit_missing;
    int64_t submitted_at_us;
    int32_t submit_partition;
    int64_t submit_offset;

    int32_t partition; /* of its first write */
    bool spread;       /* its writes lie in several partitions: their order is not known */
    bool foreign;      /* for the auditor: the row was changed by somebody else too */
};

struct verdict {
    enum outcome outcome;
    enum reason reason;            /* dead */
    const char *late_reason;       /* late: "overtaken" or "after_submit"; else NULL */
    int64_t row_version;           /* stale and late: what the row's version was */
    int64_t missing;               /* applied: e - v; more than 0 is a gap */
    struct model_attempt *attempt; /* NULL when the event knows none and made none */
};

/* Called for each activity event that was new. */
struct model_sink {
    void *self;
    void (*stored)(void *self, const struct uuid *attempt_id, const struct activity *item);
};

struct replay_model;

/* NULL when memory is short. */
struct replay_model *replay_model_new(int64_t version_jump_max);
void replay_model_free(struct replay_model *model);

/*
 * Judges and applies one event that was found at `offset` of `partition`. `sink` may be NULL. False
 * when memory is short, after which the model is of no use.
 */
bool replay_model_fold(struct replay_model *model, const struct event *event, int32_t partition,
                       int64_t offset, const struct model_sink *sink, struct verdict *ret);

/* NULL when there is no such attempt. */
struct model_attempt *replay_model_find(const struct replay_model *model, const struct uuid *id);

/* All attempts, in no order: *cursor is 0 at first; NULL at the end. */
struct model_attempt *replay_model_next(const struct replay_model *model, size_t *cursor);

size_t replay_model_attempts(const struct replay_model *model);
uint64_t replay_model_activity_events(const struct replay_model *model); /* distinct ones */

/* Whether one activity event came in several partitions, so that nobody knows which was first. */
bool replay_model_activity_is_spread(const struct replay_model *model);

#endif
