#include "tests/sim/sim_model.h"

#include <string.h>

void model_merge(struct model_row *row, const int answers[SIM_KEYS])
{
    for (int key = 0; key < SIM_KEYS; key++) {
        if (answers[key] == ANSWER_CLEAR)
            row->answers[key] = 0;
        else if (answers[key] != ANSWER_SAME)
            row->answers[key] = answers[key];
    }
}

void model_remember(struct model_row *row, uint32_t event)
{
    if (row->recent_count == MODEL_RECENT) {
        memmove(row->recent, row->recent + 1, (MODEL_RECENT - 1) * sizeof row->recent[0]);
        row->recent_count--;
    }
    row->recent[row->recent_count++] = event;
}

bool model_remembers(const struct model_row *row, uint32_t event)
{
    for (int i = 0; i < row->recent_count; i++)
        if (row->recent[i] == event)
            return true;
    return false;
}

static struct verdict dead(enum reason reason)
{
    return (struct verdict){ .outcome = OUTCOME_DEAD, .reason = reason };
}

static struct verdict judge_start(struct model_row *row, const struct meaning *meaning)
{
    if (row->exists && row->has_start) {
        if (row->exam != meaning->exam || row->student != meaning->student)
            return dead(REASON_START_CONFLICT);
        return (struct verdict){ .outcome = OUTCOME_DUPLICATE, .version = row->version };
    }
    if (!row->exists)
        *row = (struct model_row){ .exists = true, .version = 1 };
    row->has_start = true;
    row->exam = meaning->exam;
    row->student = meaning->student;
    return (struct verdict){ .outcome = OUTCOME_APPLIED, .version = row->version, .changed = true };
}

static struct verdict judge_late(const struct model_row *row, int64_t expected)
{
    bool skipped =
        expected < row->submit_expected && expected >= row->submit_expected - row->submit_missing;
    return (struct verdict){ .outcome = OUTCOME_LATE,
                             .version = row->version,
                             .late_reason = skipped ? "overtaken" : "after_submit" };
}

static struct verdict judge_write(struct model_row *row, const struct meaning *meaning)
{
    int64_t expected = meaning->expected;
    int64_t version = row->exists ? row->version : 1;
    if (expected - version > SIM_VERSION_JUMP)
        return dead(REASON_VERSION_JUMP);
    if (row->exists && model_remembers(row, meaning->event))
        return (struct verdict){ .outcome = OUTCOME_DUPLICATE, .version = version };
    if (row->exists && row->submitted)
        return judge_late(row, expected);
    if (expected < version)
        return (struct verdict){ .outcome = OUTCOME_STALE, .version = version };

    if (!row->exists)
        *row = (struct model_row){ .exists = true, .version = 1 };
    row->version = expected + 1;
    if (meaning->has_answers)
        model_merge(row, meaning->answers);
    if (meaning->auto_save != 0)
        row->auto_save = meaning->auto_save;
    model_remember(row, meaning->event);
    if (meaning->type == EVENT_SUBMITTED) {
        row->submitted = true;
        row->submit_expected = expected;
        row->submit_missing = expected - version;
    }
    return (struct verdict){ .outcome = OUTCOME_APPLIED,
                             .version = expected + 1,
                             .missing = expected - version,
                             .gap = expected > version,
                             .changed = true };
}

struct verdict model_judge(struct model_row *row, const struct meaning *meaning)
{
    if (meaning->poison)
        return dead(meaning->reason);
    if (meaning->type == EVENT_STARTED)
        return judge_start(row, meaning);
    return judge_write(row, meaning);
}

bool model_equal(const struct model_row *a, const struct model_row *b, const char **ret_what)
{
    *ret_what = "existence";
    if (a->exists != b->exists)
        return false;
    if (!a->exists)
        return true;
    *ret_what = "version";
    if (a->version != b->version)
        return false;
    *ret_what = "status";
    if (a->submitted != b->submitted)
        return false;
    *ret_what = "start";
    if (a->has_start != b->has_start ||
        (a->has_start && (a->exam != b->exam || a->student != b->student)))
        return false;
    *ret_what = "answers";
    if (memcmp(a->answers, b->answers, sizeof a->answers) != 0)
        return false;
    *ret_what = "auto_save_data";
    if (a->auto_save != b->auto_save)
        return false;
    *ret_what = "recent event ids";
    return a->recent_count == b->recent_count &&
           memcmp(a->recent, b->recent, (size_t)a->recent_count * sizeof a->recent[0]) == 0;
}
