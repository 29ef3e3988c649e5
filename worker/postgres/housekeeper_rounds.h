/*
 * The rounds of statements that the housekeeper sends, one function each, and what they leave in
 * it. Inside of housekeeper.h: housekeeper.c decides which round comes when.
 */
#ifndef WORKER_POSTGRES_HOUSEKEEPER_ROUNDS_H
#define WORKER_POSTGRES_HOUSEKEEPER_ROUNDS_H

#include "common/arena.h"
#include "common/backoff.h"
#include "common/buf.h"
#include "worker/postgres/housekeeper.h"

#define CHANGES_MAX       500
#define SUBMITS_MAX       50
#define NAME_BYTES        64
#define EXPIRE_MAX        1000
#define DIGEST_BYTES_MAX  ((size_t)512 * 1024 * 1024)
#define DIGEST_BLOCK_SIZE ((size_t)256 * 1024)

/* Each is a round on the session, but for the two that wait for the publisher and for resting. */
enum housekeeper_phase {
    RESTING,            /* until rest_until_ms */
    CONNECTING,         /* → LOOKING */
    LOOKING,            /* at the ledger, when it is time → TAKING_CHANGES */
    TAKING_CHANGES,     /* → PUBLISHING_CHANGES, or without any TAKING_SUBMITS */
    PUBLISHING_CHANGES, /* → DELETING_CHANGES, or too late UNDOING */
    DELETING_CHANGES,   /* → TAKING_CHANGES */
    TAKING_SUBMITS,     /* → PUBLISHING_SUBMITS, or without any FINDING_VIEW */
    PUBLISHING_SUBMITS, /* → FINISHING_SUBMITS, or too late UNDOING */
    FINISHING_SUBMITS,  /* → TAKING_CHANGES */
    CLOSING_NEWS,       /* → RESTING: this one has no views to look after */
    FINDING_VIEW,       /* refreshed, not published → PUBLISHING_VIEW, or TAKING_VIEW */
    TAKING_VIEW,        /* due → REFRESHING_VIEW, or without any CLOSING_VIEWS */
    REFRESHING_VIEW,    /* → PUBLISHING_VIEW, or failed RECORDING_FAILURE */
    RECORDING_FAILURE,  /* → TAKING_VIEW */
    PUBLISHING_VIEW,    /* → MARKING_VIEW, or too late RESTING */
    MARKING_VIEW,       /* → TAKING_CHANGES */
    CLOSING_VIEWS,      /* → WEIGHING, MAKING_PARTITION, or RESTING */
    WEIGHING,           /* → MAKING_PARTITION, or RESTING */
    MAKING_PARTITION,   /* → RESTING after each step, or DROPPING_PARTITION */
    DROPPING_PARTITION, /* → RESTING after each, or EXPIRING_ACTIVITY */
    EXPIRING_ACTIVITY,  /* → RESTING */
    UNDOING             /* → RESTING */
};

struct housekeeper {
    struct housekeeper_options options;
    struct pg_session *session;
    struct pg_params params;
    struct backoff backoff;
    bool troubled; /* told of trouble, and not yet of its end */
    struct rng rng;
    enum housekeeper_phase phase;
    int64_t now_ms; /* of this step */
    int64_t rest_until_ms;
    int64_t partitions_at_ms; /* when to look after the partitions next */
    int64_t balance_at_ms;    /* when to weigh next */
    int64_t look_at_ms;       /* when to look at the ledger next */
    int64_t asked_ms;         /* when it was looked at last */

    uint64_t news_number; /* of the last news */
    bool confirmed;       /* that news has arrived */
    int64_t confirm_until_ms;

    struct foreign_change changes[CHANGES_MAX];
    size_t change_count;

    struct sql_submit submits[SUBMITS_MAX];
    size_t submit_count;
    struct arena scratch; /* of digests */
    struct buf room;

    bool found; /* the round found a view, made or dropped a partition: */
    char name[NAME_BYTES];
    int64_t position, taken, requests; /* of the view that is taken */
    int64_t refreshes, finished_at_us, duration_ms;
    int64_t expired; /* events, in the last round */
};

/* Each sends a round and enters its phase. */
void round_look(struct housekeeper *hk);
void round_take_changes(struct housekeeper *hk);
void round_delete_changes(struct housekeeper *hk);
void round_take_submits(struct housekeeper *hk); /* in the transaction of take_changes */
void round_finish_submits(struct housekeeper *hk);
void round_close_news(struct housekeeper *hk);
void round_find_view(struct housekeeper *hk);
void round_take_view(struct housekeeper *hk);
void round_refresh_view(struct housekeeper *hk);
void round_record_failure(struct housekeeper *hk, const struct err *cause);
void round_mark_view(struct housekeeper *hk);
void round_close_views(struct housekeeper *hk);
void round_weigh(struct housekeeper *hk);
void round_make_partition(struct housekeeper *hk);
void round_drop_partition(struct housekeeper *hk);
void round_expire_activity(struct housekeeper *hk);
void round_undo(struct housekeeper *hk);

/* Of the view or partition that the last round was about. */
static inline struct bytes round_name(const struct housekeeper *hk)
{
    return bytes_of(hk->name);
}

#endif
