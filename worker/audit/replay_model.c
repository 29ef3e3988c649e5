#include "worker/audit/replay_model.h"

#include "common/rng.h"
#include "worker/audit/fingerprints.h"

#include <stdlib.h>

struct replay_model {
    int64_t jump_max;
    struct model_attempt **slots; /* open addressing by id; NULL is a free one */
    size_t capacity;              /* a power of two */
    size_t count;
    struct fingerprints activity, activity_places; /* events; events and their partitions */
    bool activity_spread;
};

struct replay_model *replay_model_new(int64_t version_jump_max)
{
    struct replay_model *model = calloc(1, sizeof *model);
    if (model != NULL)
        model->jump_max = version_jump_max;
    return model;
}

static void attempt_free(struct model_attempt *attempt)
{
    if (attempt == NULL)
        return;
    members_release(&attempt->answers);
    free(attempt->auto_save_data);
    free(attempt);
}

void replay_model_free(struct replay_model *model)
{
    if (model == NULL)
        return;
    for (size_t i = 0; i < model->capacity; i++)
        attempt_free(model->slots[i]);
    free(model->slots);
    fingerprints_release(&model->activity);
    fingerprints_release(&model->activity_places);
    free(model);
}

/* ------------------------------------------------------------------------------ the attempts */

static uint64_t uuid_hash(const struct uuid *id)
{
    uint64_t halves[2];
    memcpy(halves, id->bytes, sizeof halves);
    struct rng rng = { halves[0] };
    rng.state ^= rng_next(&rng) ^ halves[1];
    return rng_next(&rng);
}

static size_t slot_of(struct model_attempt *const *slots, size_t capacity, const struct uuid *id)
{
    size_t i = uuid_hash(id) & (capacity - 1);
    while (slots[i] != NULL && !uuid_equal(&slots[i]->id, id))
        i = (i + 1) & (capacity - 1);
    return i;
}

static bool grow(struct replay_model *model)
{
    size_t capacity = model->capacity == 0 ? 1024 : model->capacity * 2;
    struct model_attempt **slots = calloc(capacity, sizeof(void *));
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < model->capacity; i++) {
        if (model->slots[i] != NULL)
            slots[slot_of(slots, capacity, &model->slots[i]->id)] = model->slots[i];
    }
    free(model->slots);
    model->slots = slots;
    model->capacity = capacity;
    return true;
}

struct model_attempt *replay_model_find(const struct replay_model *model, const struct uuid *id)
{
    if (model->capacity == 0)
        return NULL;
    return model->slots[slot_of(model->slots, model->capacity, id)];
}

struct model_attempt *replay_model_next(const struct replay_model *model, size_t *cursor)
{
    while (*cursor < model->capacity) {
        struct model_attempt *attempt = model->slots[(*cursor)++];
        if (attempt != NULL)
            return attempt;
    }
    return NULL;
}

size_t replay_model_attempts(const struct replay_model *model)
{
    return model->count;
}

uint64_t replay_model_activity_events(const struct replay_model *model)
{
    return model->activity.count;
}

bool replay_model_activity_is_spread(const struct replay_model *model)
{
    return model->activity_spread;
}

/* The attempt of that id, made with version 1 if it is not known yet. */
static struct model_attempt *attempt_of(struct replay_model *model, const struct uuid *id,
                                        int32_t partition)
{
    if (model->count * 4 >= model->capacity * 3 && !grow(model))
        return NULL;
    size_t i = slot_of(model->slots, model->capacity, id);
    struct model_attempt *attempt = model->slots[i];
    if (attempt == NULL) {
        attempt = calloc(1, sizeof *attempt);
        if (attempt == NULL)
            return NULL;
        *attempt = (struct model_attempt){ .id = *id, .version = 1, .partition = partition };
        model->slots[i] = attempt;
        model->count++;
    }
    return attempt;
}

/* --------------------------------------------------------------------------------- the rules */

static void remember(struct model_attempt *attempt, const struct uuid *event_id)
{
    attempt->recent[attempt->recent_next] = *event_id;
    attempt->recent_next = (attempt->recent_next + 1) % MODEL_RECENT_MAX;
    if (attempt->recent_count < MODEL_RECENT_MAX)
        attempt->recent_count++;
}

static bool remembers(const struct model_attempt *attempt, const struct uuid *event_id)
{
    for (unsigned i = 0; i < attempt->recent_count; i++) {
        if (uuid_equal(&attempt->recent[i], event_id))
            return true;
    }
    return attempt->submitted && uuid_equal(&attempt->submit_id, event_id);
}

/* The submit skipped the versions from e - missing up to e - 1. */
static const char *why_late(const struct model_attempt *attempt, int64_t expected)
{
    bool skipped = expected < attempt->submit_expected &&
                   expected >= attempt->submit_expected - attempt->submit_missing;
    return skipped ? "overtaken" : "after_submit";
}

static bool apply(struct model_attempt *attempt, const struct event *event, int32_t partition,
                  int64_t offset, struct verdict *ret)
{
    const struct attempt_write *write = &event->write;
    if (bytes_present(write->answers) && !members_merge(&attempt->answers, write->answers))
        return false;
    if (bytes_present(write->auto_save_data)) {
        char *text = strndup(write->auto_save_data.ptr, write->auto_save_data.len);
        if (text == NULL)
            return false;
        free(attempt->auto_save_data);
        attempt->auto_save_data = text;
    }
    ret->outcome = OUTCOME_APPLIED;
    ret->missing = write->expected_version - attempt->version;
    attempt->version = write->expected_version + 1;
    remember(attempt, &event->event_id);
    if (event->type == EVENT_SUBMITTED) {
        attempt->submitted = true;
        attempt->submit_id = event->event_id;
        attempt->submit_expected = write->expected_version;
        attempt->submit_missing = ret->missing;
        attempt->submitted_at_us = write->at_us;
        attempt->submit_partition = partition;
        attempt->submit_offset = offset;
    }
    return true;
}

static bool fold_write(struct replay_model *model, const struct event *event, int32_t partition,
                       int64_t offset, struct verdict *ret)
{
    int64_t expected = event->write.expected_version;
    const struct model_attempt *known = replay_model_find(model, &event->attempt_id);
    if (expected - (known != NULL ? known->version : 1) > model->jump_max) {
        ret->outcome = OUTCOME_DEAD;
        ret->reason = REASON_VERSION_JUMP;
        return true;
    }
    struct model_attempt *attempt = attempt_of(model, &event->attempt_id, partition);
    if (attempt == NULL)
        return false;
    ret->row_version = attempt->version;
    if (remembers(attempt, &event->event_id)) {
        ret->outcome = OUTCOME_DUPLICATE;
    } else if (attempt->submitted) {
        ret->outcome = OUTCOME_LATE;
        ret->late_reason = why_late(attempt, expected);
    } else if (expected < attempt->version) {
        ret->outcome = OUTCOME_STALE;
    } else {
        return apply(attempt, event, partition, offset, ret);
    }
    return true;
}

static bool fold_started(struct replay_model *model, const struct event *event, int32_t partition,
                         struct verdict *ret)
{
    struct model_attempt *attempt = attempt_of(model, &event->attempt_id, partition);
    if (attempt == NULL)
        return false;
    if (!attempt->has_start) {
        attempt->has_start = true;
        attempt->start = event->started;
        ret->outcome = OUTCOME_APPLIED;
    } else if (uuid_equal(&attempt->start.exam_id, &event->started.exam_id) &&
               uuid_equal(&attempt->start.student_id, &event->started.student_id)) {
        ret->outcome = OUTCOME_DUPLICATE;
    } else {
        ret->outcome = OUTCOME_DEAD;
        ret->reason = REASON_START_CONFLICT;
    }
    return true;
}

/* Whether the event was never there before, in any partition. */
static bool note_activity(struct replay_model *model, const struct activity *item,
                          int32_t partition, bool *ret_new)
{
    struct rng rng = { uuid_hash(&item->event_id) ^ (uint64_t)item->occurred_at_us };
    uint64_t event = rng_next(&rng);
    rng.state ^= (uint64_t)partition;
    bool new_here;
    if (!fingerprints_add(&model->activity, event, ret_new) ||
        !fingerprints_add(&model->activity_places, rng_next(&rng), &new_here))
        return false;
    model->activity_spread |= new_here && !*ret_new;
    return true;
}

static bool fold_activity(struct replay_model *model, const struct event *event, int32_t partition,
                          const struct model_sink *sink, struct verdict *ret)
{
    ret->outcome = OUTCOME_DUPLICATE;
    for (size_t i = 0; i < event->activity.count; i++) {
        const struct activity *item = &event->activity.items[i];
        bool is_new;
        if (!note_activity(model, item, partition, &is_new))
            return false;
        if (!is_new)
            continue;
        ret->outcome = OUTCOME_APPLIED;
        if (sink != NULL)
            sink->stored(sink->self, &event->attempt_id, item);
    }
    return true;
}

bool replay_model_fold(struct replay_model *model, const struct event *event, int32_t partition,
                       int64_t offset, const struct model_sink *sink, struct verdict *ret)
{
    struct verdict verdict = { 0 };
    bool good = true;
    if (event->type == EVENT_ACTIVITY)
        good = fold_activity(model, event, partition, sink, &verdict);
    else if (event->type == EVENT_STARTED)
        good = fold_started(model, event, partition, &verdict);
    else
        good = fold_write(model, event, partition, offset, &verdict);
    if (!good)
        return false;
    if (event->type != EVENT_ACTIVITY)
        verdict.attempt = replay_model_find(model, &event->attempt_id);
    if (verdict.attempt != NULL && verdict.attempt->partition != partition)
        verdict.attempt->spread = true;
    *ret = verdict;
    return true;
}
