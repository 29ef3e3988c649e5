#include "worker/engine/fold.h"

#include "worker/engine/merge.h"

void fold_append(struct fold *fold, struct entry *entry)
{
    if (fold->last_entry != NULL)
        fold->last_entry->next_of_attempt = entry;
    else
        fold->entries = entry;
    fold->last_entry = entry;
}

static bool is_write(const struct entry *entry)
{
    return entry->event.type != EVENT_STARTED;
}

/* Merges the changes of the given writes, oldest first, into what the row write takes. */
static bool merge_writes(struct fold *fold, struct entry *const *writes, size_t count,
                         struct arena *arena)
{
    struct uuid *ids = arena_calloc(arena, count, sizeof *ids);
    struct bytes *patches = arena_calloc(arena, count, sizeof *patches);
    if (ids == NULL || patches == NULL)
        return false;
    size_t patch_count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct attempt_write *write = &writes[i]->event.write;
        ids[i] = writes[i]->event.event_id;
        if (bytes_present(write->answers))
            patches[patch_count++] = write->answers;
        if (bytes_present(write->auto_save_data))
            fold->auto_save_data = write->auto_save_data;
        if (writes[i]->event.type == EVENT_SUBMITTED) {
            fold->has_submit = true;
            fold->submit = writes[i];
        }
    }
    fold->event_ids = ids;
    fold->event_id_count = count;
    fold->has_write = true;
    return merge_patches(patches, patch_count, arena, &fold->patch);
}

/* Few ids are compared pairwise; many of them in one batch are a hot attempt, which the careful
 * way handles with its ring of the last sixteen. */
#define PAIRWISE_MAX 64

static bool id_repeats(struct entry *const *writes, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t k = 0; k < i; k++)
            if (uuid_equal(&writes[i]->event.event_id, &writes[k]->event.event_id))
                return true;
    return false;
}

/* True when each write follows from those before it, whatever the row holds. */
static bool ascends(struct entry *const *writes, size_t count, int64_t jump_max)
{
    for (size_t i = 1; i < count; i++) {
        int64_t version = writes[i - 1]->event.write.expected_version + 1;
        int64_t expected = writes[i]->event.write.expected_version;
        if (writes[i - 1]->event.type == EVENT_SUBMITTED || expected < version ||
            expected - version > jump_max)
            return false;
    }
    return true;
}

static struct entry **collect_writes(const struct fold *fold, struct arena *arena,
                                     size_t *ret_count)
{
    size_t count = 0;
    for (const struct entry *e = fold->entries; e != NULL; e = e->next_of_attempt)
        count += is_write(e);
    struct entry **writes = arena_calloc(arena, count + 1, sizeof *writes);
    if (writes == NULL)
        return NULL;
    *ret_count = 0;
    for (struct entry *e = fold->entries; e != NULL; e = e->next_of_attempt)
        if (is_write(e))
            writes[(*ret_count)++] = e;
    return writes;
}

/* A `started` takes the fast way only as the first event of its attempt. */
static bool starts_in_order(const struct fold *fold)
{
    for (const struct entry *e = fold->entries->next_of_attempt; e != NULL; e = e->next_of_attempt)
        if (!is_write(e))
            return false;
    return true;
}

bool fold_classify(struct fold *fold, int64_t jump_max, struct arena *arena)
{
    size_t count = 0;
    struct entry **writes = collect_writes(fold, arena, &count);
    if (writes == NULL)
        return false;
    fold->exact = !starts_in_order(fold) || count > PAIRWISE_MAX || id_repeats(writes, count) ||
                  !ascends(writes, count, jump_max);
    if (fold->exact || count == 0)
        return true;
    fold->expected_first = writes[0]->event.write.expected_version;
    fold->version = writes[count - 1]->event.write.expected_version + 1;
    return merge_writes(fold, writes, count, arena);
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
        entry->detail = "the attempt was started with another exam or student";
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
        entry->detail = "expected_version is too far ahead of the attempt";
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
    size_t count = 0, applied_count = 0;
    struct entry **applied = collect_writes(fold, arena, &count);
    if (applied == NULL)
        return false;
    for (struct entry *e = fold->entries; e != NULL; e = e->next_of_attempt) {
        if (e->judged)
            continue;
        if (!is_write(e))
            judge_start(&now, e, ret);
        else if (judge_write(&now, e, jump_max, ret))
            applied[applied_count++] = e;
    }
    /* What the fast way had prepared, and did not write, is void. */
    if (!fold->written) {
        fold->has_write = fold->has_submit = false;
        fold->submit = NULL;
        fold->patch = fold->auto_save_data = BYTES_NONE;
    }
    if (applied_count == 0)
        return true;
    fold->exact = true;
    fold->expected_first = version_before;
    fold->version = now.row.version;
    return merge_writes(fold, applied, applied_count, arena);
}
