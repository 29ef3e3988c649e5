/*
 * A plan: what one transaction does to the database, and what the database answered.
 *
 * Built from a batch by plan_build() (pure), carried out by a store step by step, judged by the
 * engine between the steps. Everything in it lives in the arena of its batch.
 *
 * Lock order everywhere: moves by topic and partition; exams by id; attempts by id. The arrays
 * below are sorted accordingly, and a store must keep that order.
 */
#ifndef WORKER_ENGINE_PLAN_H
#define WORKER_ENGINE_PLAN_H

#include "worker/events/event.h"
#include "worker/events/record.h"

#define RECENT_EVENTS_MAX 16
#define DIGEST_BYTES      32

/* The identity of a record: what the ledger remembers of the last one it applied. */
struct anchor {
    int64_t offset;
    int64_t timestamp_ms;
    uint8_t hash[16]; /* BLAKE2b-128 over key and value, with their lengths */
};

/*
 * The step of one partition through the ledger:
 *
 *     WHERE generation = .. AND epoch = .. AND owner = us AND next_offset = expected_next
 *
 * and only if every move of the plan hits may the transaction commit. Who we are the store knows;
 * it counts when a database was put back to before a claim, and the next one is given the same
 * epoch.
 */
struct ledger_move {
    struct tp tp;
    int64_t generation, epoch;
    int64_t expected_next, new_next;
    int64_t published; /* published_offset to note along the way; never moves back */
    bool has_anchor;   /* false when only control records were passed */
    struct anchor anchor;
    int64_t counts[OUTCOME_COUNT]; /* final at CLOSE */
    int64_t gaps;                  /* applied with e > v */
    bool hit;                      /* result of OPEN */
};

/*
 * One record of the batch and what becomes of it. What the walks over a whole batch look at comes
 * first, side by side.
 */
struct entry {
    struct entry *next;            /* in the batch, in the order of arrival */
    struct entry *next_of_attempt; /* in the same order */
    struct ledger_move *move;      /* NULL for view.refresh */
    const struct refusal *refusal; /* refused by the decoder; NULL otherwise */
    unsigned span;                 /* which run of its batch it belongs to */

    bool judged; /* what follows is set */
    enum outcome outcome;
    enum reason reason; /* dead */
    int64_t version;    /* the row's version after this record; not for dead */
    int64_t missing;    /* applied: e - v, how many versions it skipped */

    struct event event;   /* set unless `refusal` */
    struct record record; /* bytes in the batch's arena */

    const char *late_reason; /* late: "overtaken" or "after_submit"; stale: NULL */
    const char *detail;      /* dead: a sentence for people, in the arena; may be NULL */
    const struct submission_row *submission; /* of an applied submit */
};

/*
 * All that one flush does to one attempt, as one row write.
 *
 * Fast: inside the batch each e is at least the version that the events before it leave, no step
 * exceeds the jump limit, no id repeats, nothing follows a submit. Then, if the row passes the
 * guard below, its outcome cannot differ from judging event by event:
 *
 *     version <= expected_first AND expected_first - version <= jump
 *     AND status = 'in_progress' AND NOT recent_event_ids && event_ids
 *
 * Exact: judged one by one against the locked row. Then the guard is version = expected_first, and
 * nothing is asked of the ids: the judge may have seen one forgotten and come again.
 */
struct fold {
    struct uuid attempt_id;
    struct entry *entries, *last_entry; /* by next_of_attempt, starts included */
    size_t write_count;                 /* how many of them are saves and submits */
    bool ascends;                       /* each follows from those before it, whatever the row is */

    bool exact;
    int64_t expected_first; /* e of the first applied write; exact: the row's version */
    int64_t version;        /* after the last applied write */
    bool has_write;         /* any save or submit is to be applied */
    bool has_submit;
    struct entry *submit;         /* the applied submit, if has_submit */
    struct bytes patch;           /* JSON object text; absent when no answers change */
    struct bytes auto_save_data;  /* JSON object text; absent when it does not change */
    const struct uuid *event_ids; /* of the applied writes, oldest first */
    size_t event_id_count;

    /* results of OPEN (fast) or WRITE (exact) */
    bool written;
    int64_t prior_version; /* the row's version before */
    int64_t revision;
    bool has_exam;
    struct uuid exam_id;
    struct bytes answers; /* has_submit: the whole document as jsonb text, in the call's arena */
};

/* A row to be made by its `started` (OPEN), or made, or its start filled in (WRITE). */
struct start_row {
    struct uuid attempt_id; /* first, as in exam_entry: they are searched by it */
    bool has_start;         /* false (WRITE only): a row without a start, version 1 */
    struct started started;
    bool done;        /* OPEN: the row was made; false: there was one already. WRITE: always true */
    bool startless;   /* OPEN: its attempt had no start, so its exam was entered, if it was new */
    int64_t revision; /* result, if done */
    struct entry *entry; /* the engine's; NULL without a start */
};

/* A start that is judged one by one, and the exam that it names. */
struct exam_entry {
    struct uuid attempt_id, exam_id;
    bool startless; /* as in start_row */
};

/* An attempt as it stands, read under lock (LOCK). */
struct attempt_row {
    struct uuid attempt_id; /* set by the engine, sorted */
    bool found;
    bool submitted;
    int64_t version, revision;
    bool has_start; /* exam and student are known */
    struct uuid exam_id, student_id;
    struct uuid recent[RECENT_EVENTS_MAX]; /* oldest first */
    size_t recent_count;
    /* if submitted through the log: the submit's version and how many versions it skipped */
    int64_t submit_version, submit_missing;
};

/* One activity event of one record. */
struct activity_row {
    struct uuid attempt_id;
    const struct activity *item;
    struct entry *entry;
    bool stored; /* result of OPEN: it was new */
};

/* An applied submit (CLOSE). */
struct submission_row {
    struct fold *fold;
    struct entry *entry;
    uint8_t digest[DIGEST_BYTES];
    struct bytes receipt; /* absent without a signing key */
};

struct plan {
    int64_t jump_max;

    /* OPEN */
    struct ledger_move *moves;
    size_t move_count;
    struct start_row *starts; /* by attempt id */
    size_t start_count;
    struct exam_entry *exams; /* by attempt id, beside those of `starts`: entered with them, in one
                                 order, if the attempt has no start yet. WRITE enters none. */
    size_t exam_count;
    struct fold **folds; /* the fast ones that write, by attempt id */
    size_t fold_count;
    struct activity_row *activities;
    size_t activity_count;
    struct bytes *views; /* names whose refresh was asked for */
    size_t view_count;
    bool lock_first; /* lock all attempts of the plan in id order before writing any (after a
                        deadlock or a lock that could not be had) */

    /*
     * LOCK; with lock_first already at OPEN, where it names all attempts of the plan. Fails with
     * ERR_RETRY where an attempt got another start since OPEN: a refused start enters no exam.
     */
    struct attempt_row *rows;
    size_t row_count;

    /* WRITE: rows are made first, then starts filled in, then folds written */
    struct start_row *new_rows;
    size_t new_row_count;
    struct start_row *fills;
    size_t fill_count;
    struct fold **exact_folds;
    size_t exact_fold_count;

    /* CLOSE */
    struct submission_row *submissions;
    size_t submission_count;
    struct entry **rejected; /* stale and late */
    size_t rejected_count;
    struct entry **letters; /* dead */
    size_t letter_count;
    bool trial; /* carry out everything, check deferred constraints, then ROLLBACK */

    int64_t committed_at_us; /* result of OPEN: now() of the transaction */
};

#endif
