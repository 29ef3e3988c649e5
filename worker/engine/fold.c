#include "worker/engine/fold.h"

#include "worker/engine/merge.h"

static bool is_write(const struct entry *entry)
{
    return entry->event.type != EVENT_STARTED;
}

/* True when `entry` is applied whatever the row holds, if `last` and all before it are. A `started`
 * takes the fast way only as the first event of its attempt. */
static bool follows(const struct entry *last, const struct entry *entry, int64_t jump_max)
{
    if (!is_write(entry) || last->event.type == EVENT_SUBMITTED)
        return false;
    if (!is_write(last))
        return true;
    int64_t version = last->event.write.expected_version + 1;
    int64_t expected = entry->event.write.expected_version;
    return expected >= version && expected - version <= jump_max;
}

void fold_append(struct fold *fold, struct entry *entry, int64_t jump_max)
{
    if (fold->last_entry == NULL) {
        fold->entries = entry;
        fold->ascends = true;
    } else {
        fold->last_entry->next_of_attempt = entry;
        fold->ascends = fold->ascends && follows(fold->last_entry, entry, jump_max);
    }
    fold->last_entry = entry;
    fold->write_count += is_write(entry);
}

/* The writes that are to become one, oldest first. */
struct merging {
    struct uuid *ids;
    size_t count;
    struct bytes *patches;
    size_t patch_count;
    struct bytes auto_save_data;
    struct entry *submit;
};

static bool merging_init(struct merging *merging, size_t room, struct arena *arena)
{
    *merging = (struct merging){ .auto_save_data = BYTES_NONE,
                                 .ids = arena_alloc(arena, room * sizeof(struct uuid)),
                                 .patches = arena_alloc(arena, room * sizeof(struct bytes)) };
    return merging->ids != NULL && merging->patches != NULL;
}

static void merging_take(struct merging *merging, struct entry *entry)
{
    const struct attempt_write *write = &entry->event.write;
    merging->ids[merging->count++] = entry->event.event_id;
    if (bytes_present(write->answers))
        merging->patches[merging->patch_count++] = write->answers;
    if (bytes_present(write->auto_save_data))
        merging->auto_save_data = write->auto_save_data;
    if (entry->event.type == EVENT_SUBMITTED)
        merging->submit = entry;
}

/* Into what the row write takes. False when memory is short. */
static bool merging_end(const struct merging *merging, struct fold *fold, struct arena *arena)
{
    fold->event_ids = merging->ids;
    fold->event_id_count = merging->count;
    fold->has_write = true;
    fold->has_submit = merging->submit != NULL;
    fold->submit = merging->submit;
    fold->auto_save_data = merging->auto_save_data;
    return merge_patches(merging->patches, merging->patch_count, arena, &fold->patch);
}

/* Few ids are compared pairwise; many of them in one batch are a hot attempt, which the careful
 * way handles with its ring of the last sixteen. */
#define PAIRWISE_MAX 64

static bool id_repeats(const struct merging *merging)
{
    for (size_t i = 1; i < merging->count; i++)
        for (size_t k = 0; k < i; k++)
            if (uuid_equal(&merging->ids[i], &merging->ids[k]))
                return true;
    return false;
}

bool fold_classify(struct fold *fold, struct arena *arena)
{
    fold->exact = !fold->ascends || fold->write_count > PAIRWISE_MAX;
    if (fold->exact || fold->write_count == 0)
        return true;
    struct merging merging;
    if (!merging_init(&merging, fold->write_count, arena))
        return false;
    for (struct entry *e = fold->entries; e != NULL; e = e->next_of_attempt)
        if (is_write(e))
            merging_take(&merging, e);
    fold->exact = id_repeats(&merging);
    if (fold->exact)
        return true;
    const struct entry *first =
        is_write(fold->entries) ? fold->entries : fold->entries->next_of_attempt;
    fold->expected_first = first->event.write.expected_version;
    fold->version = fold->last_entry->event.write.expected_version + 1;
    return merging_end(&merging, fold, arena);
}

void fold_settle_fast(struct fold *fold)
{
    int64_t version = fold->prior_version;
    for (struct entry *e = fold->entries; e != NULL; e = e->next_of_attempt) {
        if (!is_write(e))
            continue;
        e->judged = true;
        e->outcome = OUTCOME_APPLIED;
        e->missing = e->event.write.expected_version - version;
        version = e->event.write.expected_version + 1;
        e->version = version;
    }
}

bool fold_is_settled(const struct fold *fold)
{
    /* Of a fold that ascends only the first event may be a start. */
    return !fold->exact && (!fold->has_write || fold->written) && fold->entries->judged;
}

/* ------------------------------------------------------------------------ the careful way */

/* The attempt as the events leave it, one after the other. */
struct standing {
    bool exists;
    struct attempt_row row;
};

static void remember(struct attempt_row *row, const struct uuid *id)
{
    if (row->recent_count == RECENT_EVENTS_MAX) {
        memmove(row->recent, row->recent + 1, sizeof row->recent - sizeof row->recent[0]);
        row->recent_count--;
    }
    row->recent[row->recent_count++] = *id;
}

static bool remembers(const struct attempt_row *row, const struct uuid *id)
{
    for (size_t i = 0; i < row->recent_count; i++)
        if (uuid_equal(&row->recent[i], id))
            return true;
    return false;
}

static void judged(struct entry *entry, enum outcome outcome, int64_t version)
{
    entry->judged = true;
    entry->outcome = outcome;
    entry->version = version;
}

static void judge_start(struct standing *now, struct entry *entry, struct fold_verdict *verdict)
{
    const struct started *started = &entry->event.started;
    struct attempt_row *row = &now->row;
    if (now->exists && row->has_start) {
        if (uuid_equal(&row->exam_id, &started->exam_id) &&
            uuid_equal(&row->student_id, &started->student_id)) {
            judged(entry, OUTCOME_DUPLICATE, row->version);
            return;
        }
        judged(entry, OUTCOME_DEAD, 0);
        entry->reason = REASON_START_CONFLICT;
        entry->detail =
            "the attempt was started before with another exam or student; the first start stands";
        return;
    }
    if (now->exists) {
        verdict->fill = entry;
    } else {
        verdict->new_row = true;
        verdict->new_start = entry;
        now->exists = true;
    }
    row->has_start = true;
    row->exam_id = started->exam_id;
    row->student_id = started->student_id;
    judged(entry, OUTCOME_APPLIED, row->version);
}

static const char *why_late(const struct attempt_row *row, int64_t expected)
{
    int64_t submit_expected = row->submit_version - 1;
    bool skipped = expected < submit_expected && expected >= submit_expected - row->submit_missing;
    return skipped ? "overtaken" : "after_submit";
}

/* True when the write is applied. */
static bool judge_write(struct standing *now, struct entry *entry, int64_t jump_max,
                        struct fold_verdict *verdict)
{
    struct attempt_row *row = &now->row;
    int64_t expected = entry->event.write.expected_version;
    if (expected - row->version > jump_max) {
        judged(entry, OUTCOME_DEAD, 0);
        entry->reason = REASON_VERSION_JUMP;
        entry->detail =
            "expected_version is further ahead of the attempt than max_version_jump allows: were saves "
            "lost before it, or does its producer count wrongly?";
        return false;
    }
    if (remembers(row, &entry->event.event_id)) {
        judged(entry, OUTCOME_DUPLICATE, row->version);
        return false;
    }
    if (row->submitted) {
        judged(entry, OUTCOME_LATE, row->version);
        entry->late_reason = why_late(row, expected);
        return false;
    }
    if (expected < row->version) {
        judged(entry, OUTCOME_STALE, row->version);
        return false;
    }
    if (!now->exists) {
        verdict->new_row = true;
        now->exists = true;
    }
    entry->missing = expected - row->version;
    row->version = expected + 1;
    remember(row, &entry->event.event_id);
    if (entry->event.type == EVENT_SUBMITTED) {
        row->submitted = true;
        row->submit_version = row->version;
        row->submit_missing = entry->missing;
    }
    judged(entry, OUTCOME_APPLIED, row->version);
    return true;
}

bool fold_judge(struct fold *fold, const struct attempt_row *row, int64_t jump_max,
                struct arena *arena, struct fold_verdict *ret)
{
    *ret = (struct fold_verdict){ 0 };
    struct standing now = { .exists = row->found, .row = *row };
    if (!row->found)
        now.row.version = 1;
    int64_t version_before = now.row.version;
    struct merging applied;
    if (!merging_init(&applied, fold->write_count, arena))
        return false;
    for (struct entry *e = fold->entries; e != NULL; e = e->next_of_attempt) {
        if (e->judged)
            continue;
        if (!is_write(e))
            judge_start(&now, e, ret);
        else if (judge_write(&now, e, jump_max, ret))
            merging_take(&applied, e);
    }
    /* What the fast way had prepared, and did not write, is void. */
    if (!fold->written) {
        fold->has_write = fold->has_submit = false;
        fold->submit = NULL;
        fold->patch = fold->auto_save_data = BYTES_NONE;
    }
    if (applied.count == 0)
        return true;
    fold->exact = true;
    fold->expected_first = version_before;
    fold->version = now.row.version;
    return merging_end(&applied, fold, arena);
}
