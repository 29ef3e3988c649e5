/*
 * An exam as it is played: thousands of students who start, autosave in bursts, are active, and
 * nearly all submit in the last minutes; among them what goes wrong in real life.
 *
 * A pure generator: exam_next() gives one record after the other in the order in which they must be
 * produced, and the same options give the same records, byte for byte. It also keeps count of what
 * must become of them. That is determined as long as nobody else writes these attempts and each
 * attempt's records stay in order, because every disturbance is made on purpose and known:
 *
 *   duplicate  a record among the attempt's last ones is sent again as it was
 *   stale      a save of an old version (a second browser tab)
 *   disorder   two neighbouring writes change places: a gap, then stale; or, if the second was
 *              the submit, a submit that overtakes a save, which then is late
 *   late       saves after the submit
 *   poison     records that no decoder may accept, every reason in turn (poison.h)
 *
 * Also, without being asked: one start in thirty comes after saves, or even after the submit, one
 * save in 500 leaves out versions, and one student in fifty never submits.
 *
 * Memory: about 300 bytes for each student, none for each event.
 */
#ifndef WORKER_SIMULATE_EXAM_H
#define WORKER_SIMULATE_EXAM_H

#include "common/uuid.h"
#include "worker/events/event.h"
#include "worker/events/record.h"

struct exam_options {
    unsigned students, questions, exams;
    int64_t duration_ms; /* of the exam, by its own clock */
    int64_t begin_us;    /* its first moment, since 1970 UTC */
    uint64_t seed;
    double duplicates; /* of writes and of activity records */
    double stale;      /* of saves */
    double disorder;   /* of saves */
    double late;       /* of submitted attempts */
    double poison;     /* of records */
    int64_t version_jump_max;
};

struct exam_options exam_options_default(void);

enum exam_kind {
    EXAM_STARTED,
    EXAM_SAVED,
    EXAM_SUBMITTED,
    EXAM_ACTIVITY,
    EXAM_POISON,
};
#define EXAM_KINDS 5

const char *exam_kind_name(enum exam_kind kind);

struct exam_record {
    struct record record; /* valid until the next call; tp.partition is -1: the key decides */
    enum exam_kind kind;
    enum outcome outcome; /* what must become of it */
    enum reason reason;   /* poison: why */
    bool gap;             /* applied with e > v */
    unsigned activity_events;
    int64_t at_ms; /* when, since the exam began */
};

/* What must be in the database once all records that exam_next() gave are settled. */
struct exam_expectation {
    uint64_t records[EXAM_KINDS];
    uint64_t outcomes[OUTCOME_COUNT];
    uint64_t gaps;
    uint64_t activity_events; /* sent, those in duplicates included */
    uint64_t activity_rows;   /* distinct ones */
    uint64_t attempts;        /* rows */
    uint64_t submitted;       /* rows */
};

struct exam;

/* NULL when memory is short. Counts of 0 in the options are taken as 1. */
struct exam *exam_new(const struct exam_options *options);
void exam_free(struct exam *exam);

/* False at the end, or (exam_failed) when memory is short. */
bool exam_next(struct exam *exam, struct exam_record *ret);
bool exam_failed(const struct exam *exam);

const struct exam_expectation *exam_expectation(const struct exam *exam);

/* About how many records there will be, for progress. */
uint64_t exam_estimate(const struct exam_options *options);

struct uuid exam_id_of(const struct exam_options *options, unsigned exam);

#endif
