/*
 * What a worker does for the database besides events, on a second session that never blocks:
 *
 * - refreshes a view that is due: takes its schedule's row (another worker skips it), reads how far
 *   the ledger is, refreshes under a savepoint, records, commits, and then has the invalidation
 *   `view:<name>` published. What was not published before a crash is found again.
 * - takes foreign changes, has them published, and deletes them once that is confirmed: at least
 *   once, never before their commit.
 * - takes submits that were made by SQL, computes their digests (and receipts), has their outcomes
 *   published, and fills in both once that is confirmed. Published again, an outcome is the same.
 * - makes partitions for activity ahead of time, step by step where events have to be sorted out of
 *   the default one, and drops old ones if told to.
 * - weighs the ledger against the tables of outcomes: conservation as a live figure.
 * - says where the ledger stands, every 5 s and as the first thing on a new session, behind which
 *   there may be another server.
 *
 * One job at a time, in turns; a worker has two housekeepers, so that news does not wait for a
 * refresh that takes minutes (`jobs`). Failures are told and tried again with backoff; nothing here
 * can fail the worker. Publishing is the caller's: publish() takes news, housekeeper_confirmed()
 * says that all of it arrived. If that takes longer than `confirm_timeout_ms`, the news is dropped
 * and taken again later, so that no transaction stays open while Kafka is away.
 *
 *     hk = housekeeper_new(&options);
 *     on each turn, when housekeeper_fd() is ready and at the latest after the returned delay:
 *         delay_ms = housekeeper_step(hk, now_ms);
 *         watch housekeeper_fd(hk) for housekeeper_events(hk);      -- both may have changed
 */
#ifndef WORKER_POSTGRES_HOUSEKEEPER_H
#define WORKER_POSTGRES_HOUSEKEEPER_H

#include "common/hash.h"
#include "common/uuid.h"
#include "worker/postgres/pg_session.h"

#define HOUSEKEEPER_RECEIPT_BYTES 512

struct housekeeper;

/* A change of an attempt that did not come from the log. */
struct foreign_change {
    int64_t id;
    struct uuid attempt_id;
    bool has_exam;
    struct uuid exam_id;
    int64_t version, revision;
    int64_t changed_at_us;
};

struct refreshed_view {
    struct bytes name;
    int64_t refreshes;      /* the number of this refresh */
    int64_t finished_at_us; /* its transaction is committed */
};

/* A submit that was made by SQL, with what the worker adds to it. */
struct sql_submit {
    struct uuid attempt_id;
    int64_t version, missing;
    int64_t submitted_at_us, committed_at_us;
    uint8_t digest[HASH_256_BYTES];
    char receipt[HOUSEKEEPER_RECEIPT_BYTES]; /* text; empty without a signing key */
};

/* Some changes, some submits, or one view. Valid until publish() returns. */
struct housekeeper_news {
    uint64_t number; /* for housekeeper_confirmed() */
    const struct foreign_change *changes;
    size_t change_count;
    const struct sql_submit *submits;
    size_t submit_count;
    const struct refreshed_view *view; /* NULL if it is something else */
};

enum housekeeper_note_kind {
    HOUSEKEEPER_REFRESHED,      /* name: the view; number: of the refresh; duration_ms */
    HOUSEKEEPER_REFRESH_FAILED, /* name, err */
    HOUSEKEEPER_CHANGES,        /* number: so many foreign changes were published */
    HOUSEKEEPER_SUBMITS,        /* number: so many submits by SQL were finished */
    HOUSEKEEPER_PARTITION,      /* name: a partition was made */
    HOUSEKEEPER_DROPPED,        /* name: a partition was dropped */
    HOUSEKEEPER_BALANCE,        /* name: a topic; partition; number: the difference, always 0 */
    HOUSEKEEPER_LEDGER,         /* name: a topic; partition; generation; published_offset;
                                   number: next_offset */
    HOUSEKEEPER_LOOKED,         /* these were all of the ledger */
    HOUSEKEEPER_UNCONFIRMED,    /* publishing takes too long; it will be tried again */
    HOUSEKEEPER_TROUBLE, /* name: news, views, partitions, balance; err; again in number ms */
    HOUSEKEEPER_WELL     /* name: news or views; after troubles */
};

struct housekeeper_note {
    enum housekeeper_note_kind kind;
    struct bytes name;
    int32_t partition;
    int64_t number;
    int64_t duration_ms;
    int64_t generation, published_offset;
    int64_t asked_ms; /* LEDGER, LOOKED: what was known before, the answer shows */
    const struct err *err;
};

enum housekeeper_jobs {
    HOUSEKEEPER_ALL,  /* all of it, in turns */
    HOUSEKEEPER_NEWS, /* foreign changes, submits, the ledger: what others wait for */
    HOUSEKEEPER_VIEWS /* views and partitions: what takes its time */
};

struct housekeeper_options {
    enum housekeeper_jobs jobs;
    struct pg_session_options session; /* its strings must outlive the housekeeper */
    int64_t interval_ms;               /* between two looks at the database; 0: 1000 */
    int64_t confirm_timeout_ms;        /* 0: 30000 */
    int64_t balance_interval_ms;       /* 0: 30000 */
    int64_t ledger_interval_ms;        /* 0: 5000 */
    int months_ahead;                  /* of activity partitions; 0: 2 */
    int months_kept;                   /* 0: for ever */
    uint64_t seed;                     /* of the jitter */
    void *self;                        /* of the callbacks */
    /* True: taken, housekeeper_confirmed() will follow. False: not now, it comes again. */
    bool (*publish)(void *self, const struct housekeeper_news *news);
    void (*note)(void *self, const struct housekeeper_note *note); /* may be NULL */
    /* Writes the receipt of a submit whose other members are filled in; it must be the same each
     * time. NULL without a signing key. */
    void (*sign)(void *self, struct sql_submit *submit);
};

/*
 * Session options with the time-outs that the jobs need: refreshes of minutes, transactions that
 * stay open while changes are published.
 */
struct pg_session_options housekeeper_session_options(void);

/* NULL when memory is short. Connects at the first step. */
struct housekeeper *housekeeper_new(const struct housekeeper_options *options);

/* Whatever is open is rolled back by the server. */
void housekeeper_free(struct housekeeper *housekeeper);

/* Does what can be done without waiting. Returns after how many ms to call again at the latest. */
int64_t housekeeper_step(struct housekeeper *housekeeper, int64_t now_ms);

/* All of the news of this number has arrived; too late, it is ignored. Step again soon. */
void housekeeper_confirmed(struct housekeeper *housekeeper, uint64_t number);

/* Look at the database at the next step, not only after the interval (a refresh was asked for). */
void housekeeper_wake(struct housekeeper *housekeeper);

/* Its session, to say where it is connected to. */
const struct pg_session *housekeeper_session(const struct housekeeper *housekeeper);

/* No transaction is open, nothing waits to be confirmed: a good moment to end. */
bool housekeeper_is_idle(const struct housekeeper *housekeeper);

int housekeeper_fd(const struct housekeeper *housekeeper);
short housekeeper_events(const struct housekeeper *housekeeper);

#endif
