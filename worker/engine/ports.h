/*
 * The three doors of the engine: source (the log), store (the database), publisher (the world).
 *
 * The engine does no I/O. It speaks to these tables of functions, which Kafka, PostgreSQL and the
 * simulator implement. Nothing here blocks: every call returns at once, and what takes time is
 * asked about again. All calls come from one thread. Adapters wake the loop when there may be
 * something new; how they do that is between them and the loop.
 *
 * Errors carry what may be done about them (common/err.h); adapters translate, the engine decides.
 */
#ifndef WORKER_ENGINE_PORTS_H
#define WORKER_ENGINE_PORTS_H

#include "common/arena.h"
#include "common/err.h"
#include "worker/engine/plan.h"
#include "worker/events/record.h"

/* ------------------------------------------------------------------------------------- source */

/* Where reading of one partition begins. */
struct position {
    struct tp tp;
    int64_t offset;
};

/*
 * What a worker has seen the ledger hold, kept outside of the database: in the group's offset. A
 * ledger that shows less was put back to an older state.
 */
struct witness {
    bool present; /* no tool that moves group offsets, and no older worker, leaves one */
    int64_t generation, next_offset;
};

/* True when a ledger that shows this was put back since. */
static inline bool witness_is_ahead(const struct witness *witness, int64_t generation,
                                    int64_t next_offset)
{
    return witness->present &&
           (witness->generation > generation ||
            (witness->generation == generation && witness->next_offset > next_offset));
}

/* What the group is told of one partition. */
struct group_offset {
    struct tp tp;
    int64_t offset;
    struct witness witness;
};

/* What a survey found out about a log. */
struct log_facts {
    struct tp tp;
    int64_t low;            /* first offset that is still there */
    int64_t high;           /* end of the log: the offset that the next record will get */
    bool has_committed;     /* the group has a committed offset for it ... */
    int64_t committed;      /* ... and this is it ... */
    struct witness witness; /* ... with what was known when it was committed */
};

enum source_event_kind {
    SOURCE_NOTHING,  /* no news */
    SOURCE_ASSIGNED, /* these partitions are ours now (all of them, not only the new ones) */
    SOURCE_REVOKED,  /* none is ours any more; reading has stopped */
    SOURCE_SURVEYED, /* the facts asked for by survey() */
    SOURCE_SURVEY_FAILED,
    SOURCE_SUSPECT, /* the log may have been replaced (broker lost, topic gone): compare again */
    SOURCE_STOPPED, /* tp cannot be read on from `offset`: err says why (corrupt, out of range) */
    SOURCE_TROUBLE  /* something to tell people; it heals by itself */
};

struct source_event {
    enum source_event_kind kind;
    const struct tp *tps; /* ASSIGNED; valid until the next call of next() */
    size_t tp_count;
    const struct log_facts *facts; /* SURVEYED; the same */
    size_t fact_count;
    struct tp tp; /* STOPPED, and SUSPECT if `has_tp` */
    bool has_tp;
    int64_t offset; /* STOPPED */
    struct err err; /* SURVEY_FAILED, STOPPED, TROUBLE */
};

enum read_result {
    READ_NOTHING, /* no record is waiting */
    READ_RECORD,  /* *ret_record, valid until the next call */
    READ_END      /* the end of the log: *ret_end is the offset the next record will get */
};

struct source {
    void *self;

    /* The next piece of news; SOURCE_NOTHING when there is none. */
    void (*next)(void *self, struct source_event *ret);

    /* One record of one assigned partition. Not calling it is back-pressure. */
    enum read_result (*read)(void *self, struct tp tp, struct record *ret_record, int64_t *ret_end);

    /*
     * From now on read exactly these partitions from these offsets, whatever was read before.
     * The list must be part of the last ASSIGNED; it may be empty.
     */
    bool (*assign)(void *self, const struct position *positions, size_t count, struct err *err);

    /* Ask for log_facts; answered once by SURVEYED or SURVEY_FAILED. One survey at a time. */
    bool (*survey)(void *self, const struct tp *tps, size_t count, struct err *err);

    /* Tell the group how far we are: for lag tools, and for view.refresh. Best effort. */
    void (*commit)(void *self, const struct group_offset *offsets, size_t count);
};

/* -------------------------------------------------------------------------------------- store */

/*
 * One call at a time. `start` takes a call and returns; `poll` says when it has ended. The call and
 * everything it points to belong to the engine and stay untouched until then; results are written
 * into it, arrays that come back into `call->arena`.
 *
 * A transaction is OPEN, then any of LOCK and WRITE, then CLOSE or UNDO. After a failure the
 * transaction is gone or must be undone by UNDO (which succeeds at once on a lost connection).
 */
enum store_step {
    STORE_CONNECT, /* (re)connect, prepare, check schema version and settings */
    STORE_CLAIM,   /* raise the epoch of each partition and read where it stands */
    STORE_OPEN,    /* BEGIN, compare-and-set of the moves, then the fast writes of the plan */
    STORE_LOCK,    /* lock and read attempt rows, in id order */
    STORE_WRITE,   /* the careful writes */
    STORE_CLOSE,   /* submissions, rejected writes, letters, counters; then COMMIT */
    STORE_UNDO,    /* ROLLBACK */
    STORE_RESOLVE, /* after an unknown outcome: lock and read the progress rows */
    STORE_RECALL,  /* what became of the records of a range: to publish them again */
    STORE_MARK     /* move published_offset of idle partitions */
};

/* The newest submit that became a letter because the database refused it. */
struct refused_submit {
    bool known;
    int64_t offset;
    struct uuid attempt_id;
};

/* STORE_CLAIM */
struct claim {
    struct tp tp;
    int64_t low;     /* a new row begins here ... */
    bool may_create; /* ... if one may be made */
    bool found;      /* result: there is a row (old or new) */
    bool created;    /* result: it was made by this call */
    int64_t generation, first_offset, next_offset, published_offset, epoch;
    bool has_anchor;
    struct anchor anchor;
    int64_t refusals_until; /* before it, refused records may be dead-lettered; 0: no such word */
    unsigned refusals;      /* letters for a refusal among the last records, as far as they count */
    struct refused_submit refused; /* no submit of this partition was applied since */
};

/* STORE_RESOLVE */
struct resolution {
    struct tp tp;
    bool found; /* result: there is a row, and nobody else has claimed it since */
    int64_t generation, next_offset, published_offset, epoch;
};

/* STORE_RECALL: the records of one partition, from <= offset < to. */
struct recall_range {
    struct tp tp;
    int64_t generation, from, to;
};

/* The present state of an attempt that those records touched. */
struct recalled_attempt {
    struct uuid attempt_id;
    bool found;
    int64_t version, revision;
    bool has_exam;
    struct uuid exam_id;
    int64_t committed_at_us;
};

/* A record of the range that has a row in submissions, rejected_writes or dead_letters. */
struct recalled_outcome {
    struct tp tp;
    int64_t offset;
    enum outcome outcome;
    struct bytes reason; /* absent when there is none */
    bool has_version;
    int64_t version;      /* the row's version then */
    int64_t missing;      /* of an applied submit */
    struct bytes receipt; /* absent when there is none */
    int64_t committed_at_us;
};

struct recall {
    const struct recall_range *ranges;
    size_t range_count;
    struct recalled_attempt *attempts; /* ids set by the caller, sorted; the rest are results */
    size_t attempt_count;
    struct recalled_outcome *outcomes; /* result, in the call's arena */
    size_t outcome_count;
};

/* STORE_MARK */
struct mark {
    struct tp tp;
    int64_t generation, epoch, published_offset;
    bool hit; /* result: still ours, and of this generation and epoch */
};

struct store_call {
    enum store_step step;
    struct arena *arena;
    union {
        struct {
            struct claim *items;
            size_t count;
        } claim;
        struct plan *plan; /* OPEN, LOCK, WRITE, CLOSE */
        struct {
            struct resolution *items;
            size_t count;
        } resolve;
        struct recall *recall;
        struct {
            struct mark *items;
            size_t count;
        } mark;
    };
};

enum store_state {
    STORE_BUSY,  /* not yet */
    STORE_OK,    /* done; for CLOSE: COMMIT was answered by COMMIT and is durable */
    STORE_FAILED /* *ret_err; for CLOSE with ERR_LOST: nobody knows yet, RESOLVE it. After ERR_LOST
                    and ERR_HALT the connection is closed: UNDO, then CONNECT */
};

struct store {
    void *self;
    void (*start)(void *self, struct store_call *call);
    enum store_state (*poll)(void *self, struct err *ret_err);
    /* Give up on what is in progress by closing the connection. poll() then fails with ERR_LOST. */
    void (*abandon)(void *self);
};

/* ---------------------------------------------------------------------------------- publisher */

enum outlet { OUTLET_INVALIDATIONS, OUTLET_OUTCOMES };

struct message {
    enum outlet outlet;
    struct bytes type;        /* ce_type */
    struct bytes id;          /* ce_id: the same when it is published again */
    struct bytes key;         /* absent for a null key */
    struct bytes value;       /* JSON */
    struct bytes traceparent; /* absent when there is none */
};

struct publisher {
    void *self;
    /* Takes a copy. False when the queue is full: offer it again later. */
    bool (*publish)(void *self, uint64_t ticket, const struct message *message);
    /* A delivered message's ticket, one a call; false when there is none. Failed deliveries are
     * sent again by the adapter until they succeed. */
    bool (*confirmed)(void *self, uint64_t *ret_ticket);
};

/* ------------------------------------------------------------------------------------ journal */

/* What the engine has to tell people. The top floor turns notes into log lines. */
enum note_kind {
    NOTE_CLAIMED,  /* partition is ours: epoch, next offset */
    NOTE_RELEASED, /* partition is no longer ours */
    NOTE_FENCED,   /* another worker took it over */
    NOTE_HALTED,   /* `word` is the reason of DESIGN 1.7; repeated every minute */
    NOTE_HEALED,   /* a halted partition goes on */
    NOTE_FLUSHED,  /* debug: one transaction committed */
    NOTE_RETRYING, /* err, and in how many ms; `word` is connect when there is no session */
    NOTE_RESOLVED, /* a commit with unknown outcome: `word` is committed or lost */
    NOTE_BREAKER,  /* `word` is open, probing or closed */
    NOTE_ANSWERS,  /* what was retried has gone well, without a breaker that opened */
    NOTE_ISOLATED, /* a record refused by the database was dead-lettered: err names the constraint
                    */
    NOTE_TROUBLE   /* anything else worth a line */
};

struct note {
    enum note_kind kind;
    bool has_tp;
    struct tp tp;
    const char *word;      /* NULL when there is none */
    const struct err *err; /* NULL when there is none */
    int64_t number;        /* offset, events or milliseconds, as the kind says */
    int64_t duration_ms;
};

struct journal {
    void *self;
    void (*note)(void *self, const struct note *note);
};

#endif
