#include "worker/simulate/exam.h"

#include "common/rng.h"
#include "worker/simulate/poison.h"
#include "worker/simulate/render.h"

#include <stdlib.h>

#define RECENT_MAX   8 /* well below the 16 that are remembered, so that a re-sent one is known */
#define INTENTS_MAX  32
#define START_AT_END UINT32_MAX

enum phase { PHASE_WORKING, PHASE_SUBMITTED, PHASE_GONE };

/* A write that can be sent again. */
struct sent {
    int64_t expected, at_ms;
    uint32_t number;
    bool submit;
};

struct student {
    int64_t begin_ms, next_ms, submit_ms;
    int64_t version; /* of the row, once all that was given out is settled */
    uint32_t numbers, activities;
    uint32_t saves, saves_left, burst_left;
    uint32_t start_after; /* saves that come before the start */
    uint32_t late_left;
    enum phase phase;
    bool known, start_sent, stays; /* known: there is a row. stays: never submits */
    struct sent recent[RECENT_MAX];
    uint32_t recent_count;
    int64_t activity_at_ms;
};

struct exam {
    struct exam_options options;
    struct rng rng;
    struct student *students;
    uint32_t *heap; /* of students, by next_ms, then by number */
    uint32_t heap_count;
    struct intent intents[INTENTS_MAX]; /* decided, not yet given out */
    unsigned intent_first, intent_count;
    struct render render;
    size_t poisons;
    struct exam_expectation expectation;
    bool failed;
};

struct exam_options exam_options_default(void)
{
    return (struct exam_options){ .students = 1000,
                                  .questions = 40,
                                  .exams = 1,
                                  .duration_ms = 60000,
                                  .begin_us = 1760000000000000,
                                  .seed = 1,
                                  .version_jump_max = 1000000 };
}

const char *exam_kind_name(enum exam_kind kind)
{
    static const char *const names[EXAM_KINDS] = { "started", "saved", "submitted", "activity",
                                                   "poison" };
    return names[kind];
}

struct uuid exam_id_of(const struct exam_options *options, unsigned exam)
{
    return content_uuid(options->seed, CONTENT_EXAM, exam, 0);
}

uint64_t exam_estimate(const struct exam_options *options)
{
    double saves = 1.25 * options->questions;
    double writes = 2 + saves * (1 + options->stale) + options->late * 2;
    double records = (writes + saves * 0.35) * (1 + options->duplicates);
    return (uint64_t)(records * (1 + options->poison) * options->students);
}

/* ----------------------------------------------------------------------------------- chances */

static bool chance(struct exam *exam, double probability)
{
    return (double)(rng_next(&exam->rng) >> 11) < probability * 0x1p53;
}

static int64_t between(struct exam *exam, int64_t low, int64_t high)
{
    return high <= low ? low : low + (int64_t)rng_below(&exam->rng, (uint64_t)(high - low));
}

/* -------------------------------------------------------------------------------- the agenda */

static bool earlier(const struct exam *exam, uint32_t a, uint32_t b)
{
    int64_t at_a = exam->students[a].next_ms, at_b = exam->students[b].next_ms;
    return at_a < at_b || (at_a == at_b && a < b);
}

static void sift_down(struct exam *exam, uint32_t place)
{
    uint32_t *heap = exam->heap, moving = heap[place];
    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child >= exam->heap_count)
            break;
        if (child + 1 < exam->heap_count && earlier(exam, heap[child + 1], heap[child]))
            child++;
        if (!earlier(exam, heap[child], moving))
            break;
        heap[place] = heap[child];
        place = child;
    }
    heap[place] = moving;
}

static void build_heap(struct exam *exam)
{
    exam->heap_count = exam->options.students;
    for (uint32_t i = 0; i < exam->heap_count; i++)
        exam->heap[i] = i;
    for (uint32_t i = exam->heap_count / 2; i > 0; i--)
        sift_down(exam, i - 1);
}

/* ------------------------------------------------------------------------------ what happens */

static void push(struct exam *exam, struct intent intent);

static void push_poison(struct exam *exam, uint32_t index)
{
    const struct student *student = &exam->students[index];
    size_t number = exam->poisons++;
    if (poison_needs_start(number) && !student->start_sent)
        number = exam->poisons++;
    push(exam, (struct intent){ .kind = EXAM_POISON,
                                .student = index,
                                .number = (uint32_t)number,
                                .expected = student->version + exam->options.version_jump_max + 1,
                                .at_ms = student->next_ms,
                                .outcome = OUTCOME_DEAD,
                                .reason = poison_reason(number) });
}

static void push(struct exam *exam, struct intent intent)
{
    unsigned place = (exam->intent_first + exam->intent_count++) % INTENTS_MAX;
    exam->intents[place] = intent;
    if (intent.kind != EXAM_POISON && chance(exam, exam->options.poison))
        push_poison(exam, intent.student);
}

static void push_again(struct exam *exam, uint32_t index, const struct sent *sent)
{
    push(exam, (struct intent){ .kind = sent->submit ? EXAM_SUBMITTED : EXAM_SAVED,
                                .student = index,
                                .number = sent->number,
                                .expected = sent->expected,
                                .at_ms = sent->at_ms,
                                .outcome = OUTCOME_DUPLICATE });
}

static void push_start(struct exam *exam, uint32_t index)
{
    struct student *student = &exam->students[index];
    struct intent intent = { .kind = EXAM_STARTED, .student = index, .at_ms = student->begin_ms };
    student->start_sent = student->known = true;
    push(exam, intent);
    if (chance(exam, exam->options.duplicates)) {
        intent.outcome = OUTCOME_DUPLICATE;
        push(exam, intent);
    }
}

/* A save or submit that is applied: the row's version follows. */
static void push_applied(struct exam *exam, uint32_t index, int64_t expected, bool submit)
{
    struct student *student = &exam->students[index];
    struct sent sent = { expected, student->next_ms, student->numbers++, submit };
    bool gap = expected > student->version;
    student->version = expected + 1;
    student->known = true;
    student->recent[student->recent_count++ % RECENT_MAX] = sent;
    push(exam, (struct intent){ .kind = submit ? EXAM_SUBMITTED : EXAM_SAVED,
                                .student = index,
                                .number = sent.number,
                                .expected = expected,
                                .at_ms = sent.at_ms,
                                .outcome = OUTCOME_APPLIED,
                                .gap = gap });
    if (!chance(exam, exam->options.duplicates))
        return;
    uint32_t kept = student->recent_count < RECENT_MAX ? student->recent_count : RECENT_MAX;
    push_again(exam, index, &student->recent[rng_below(&exam->rng, kept)]);
}

/* A save with an id of its own that comes too late, in one sense or the other. */
static void push_rejected(struct exam *exam, uint32_t index, int64_t expected, enum outcome outcome)
{
    struct student *student = &exam->students[index];
    push(exam, (struct intent){ .kind = EXAM_SAVED,
                                .student = index,
                                .number = student->numbers++,
                                .expected = expected,
                                .at_ms = student->next_ms,
                                .outcome = outcome });
}

static void push_activity(struct exam *exam, uint32_t index)
{
    struct student *student = &exam->students[index];
    struct intent intent = { .kind = EXAM_ACTIVITY,
                             .student = index,
                             .number = student->activities++,
                             .at_ms = student->next_ms };
    student->activity_at_ms = student->next_ms;
    push(exam, intent);
    if (chance(exam, exam->options.duplicates)) {
        intent.outcome = OUTCOME_DUPLICATE;
        push(exam, intent);
    }
}

/* ------------------------------------------------------------------------- a student's course */

static void enroll(struct exam *exam, uint32_t index)
{
    const struct exam_options *options = &exam->options;
    struct student *student = &exam->students[index];
    int64_t duration = options->duration_ms;
    *student = (struct student){ .version = 1 };
    student->begin_ms = student->next_ms = between(exam, 0, duration / 20);
    student->submit_ms = chance(exam, 0.75) ? between(exam, duration - duration / 20, duration)
                                            : between(exam, duration / 2, duration - duration / 20);
    student->saves_left =
        options->questions + (uint32_t)between(exam, 0, options->questions / 2 + 1);
    student->stays = chance(exam, 0.02);
    if (chance(exam, 1.0 / 30))
        student->start_after = chance(exam, 0.2) ? START_AT_END : (uint32_t)between(exam, 1, 6);
    if (chance(exam, options->late))
        student->late_left = 1 + (uint32_t)rng_below(&exam->rng, 2);
}

/* Bursts while an answer is being written, with pauses for thought in between. */
static int64_t pause_ms(struct exam *exam, struct student *student)
{
    if (student->burst_left == 0 && chance(exam, 0.15))
        student->burst_left = 2 + (uint32_t)rng_below(&exam->rng, 4);
    int64_t mean = (student->submit_ms - student->next_ms) / (student->saves_left + 1);
    if (student->burst_left > 0) {
        student->burst_left--;
        return between(exam, mean / 16, mean / 4 + 2);
    }
    return between(exam, mean / 4, 2 * mean + 2);
}

static void save(struct exam *exam, uint32_t index)
{
    const struct exam_options *options = &exam->options;
    struct student *student = &exam->students[index];
    student->saves_left--;
    student->saves++;
    if (chance(exam, options->disorder)) {
        int64_t overtaken = student->version;
        push_applied(exam, index, overtaken + 1, false);
        push_rejected(exam, index, overtaken, OUTCOME_STALE);
    } else {
        int64_t skipped = chance(exam, 0.002) ? 1 + (int64_t)rng_below(&exam->rng, 3) : 0;
        push_applied(exam, index, student->version + skipped, false);
    }
    if (chance(exam, options->stale) && student->version > 1)
        push_rejected(exam, index, between(exam, 1, student->version), OUTCOME_STALE);
    if (chance(exam, 0.35))
        push_activity(exam, index);
}

static void submit(struct exam *exam, uint32_t index)
{
    struct student *student = &exam->students[index];
    int64_t overtaken = student->version;
    bool overtakes = chance(exam, exam->options.disorder);
    push_applied(exam, index, overtaken + overtakes, true);
    if (overtakes)
        push_rejected(exam, index, overtaken, OUTCOME_LATE);
}

static void work(struct exam *exam, uint32_t index)
{
    struct student *student = &exam->students[index];
    bool leaves = student->stays && student->next_ms >= student->submit_ms;
    if (!student->start_sent && (leaves || student->saves >= student->start_after))
        push_start(exam, index);
    if (leaves) {
        student->phase = PHASE_GONE;
    } else if (student->next_ms >= student->submit_ms) {
        submit(exam, index);
        student->phase = PHASE_SUBMITTED;
        exam->expectation.submitted++;
        student->next_ms += between(exam, 100, 3000);
        return;
    } else if (student->saves > 0 || student->start_after > 0 ||
               student->next_ms > student->begin_ms) {
        save(exam, index);
    }
    student->next_ms += 1 + pause_ms(exam, student);
    if (student->next_ms > student->submit_ms || student->saves_left == 0)
        student->next_ms = student->submit_ms;
}

/* Browsers that go on saving, and a start that was stuck somewhere. */
static void linger(struct exam *exam, uint32_t index)
{
    struct student *student = &exam->students[index];
    if (!student->start_sent)
        push_start(exam, index);
    if (student->late_left > 0) {
        student->late_left--;
        push_rejected(exam, index, student->version, OUTCOME_LATE);
        student->next_ms += between(exam, 100, 3000);
    } else {
        student->phase = PHASE_GONE;
    }
}

/* Lets the next student act. */
static void step(struct exam *exam)
{
    uint32_t index = exam->heap[0];
    struct student *student = &exam->students[index];
    bool was_known = student->known;
    if (student->phase == PHASE_WORKING)
        work(exam, index);
    else
        linger(exam, index);
    if (!was_known && student->known)
        exam->expectation.attempts++;
    if (student->phase == PHASE_GONE)
        exam->heap[0] = exam->heap[--exam->heap_count];
    if (exam->heap_count > 0)
        sift_down(exam, 0);
}

/* --------------------------------------------------------------------------- the public face */

struct exam *exam_new(const struct exam_options *options)
{
    struct exam *exam = calloc(1, sizeof *exam);
    if (exam == NULL)
        return NULL;
    exam->options = *options;
    struct exam_options *own = &exam->options;
    own->students = own->students == 0 ? 1 : own->students;
    own->questions = own->questions == 0 ? 1 : own->questions;
    own->exams = own->exams == 0 ? 1 : own->exams;
    own->duration_ms = own->duration_ms < 1000 ? 1000 : own->duration_ms;
    exam->rng = (struct rng){ own->seed };
    render_init(&exam->render, own);
    exam->students = calloc(own->students, sizeof *exam->students);
    exam->heap = calloc(own->students, sizeof *exam->heap);
    if (exam->students == NULL || exam->heap == NULL) {
        exam_free(exam);
        return NULL;
    }
    for (uint32_t i = 0; i < own->students; i++)
        enroll(exam, i);
    build_heap(exam);
    return exam;
}

void exam_free(struct exam *exam)
{
    if (exam == NULL)
        return;
    render_release(&exam->render);
    free(exam->students);
    free(exam->heap);
    free(exam);
}

static void expect(struct exam_expectation *expectation, const struct exam_record *record)
{
    expectation->records[record->kind]++;
    expectation->outcomes[record->outcome]++;
    expectation->gaps += record->gap;
    expectation->activity_events += record->activity_events;
    if (record->outcome == OUTCOME_APPLIED)
        expectation->activity_rows += record->activity_events;
}

bool exam_next(struct exam *exam, struct exam_record *ret)
{
    while (exam->intent_count == 0 && exam->heap_count > 0)
        step(exam);
    if (exam->intent_count == 0 || exam->failed)
        return false;
    struct intent intent = exam->intents[exam->intent_first];
    exam->intent_first = (exam->intent_first + 1) % INTENTS_MAX;
    exam->intent_count--;
    if (!render(&exam->render, &intent, ret)) {
        exam->failed = true;
        return false;
    }
    expect(&exam->expectation, ret);
    return true;
}

bool exam_failed(const struct exam *exam)
{
    return exam->failed;
}

const struct exam_expectation *exam_expectation(const struct exam *exam)
{
    return &exam->expectation;
}
