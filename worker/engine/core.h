/*
 * The engine's inside, shared by engine.c, intake.c (from the log into the batch), flush.c (from
 * the batch into the database), setback.c (when that fails) and errands.c (everything else the
 * store is asked).
 */
#ifndef WORKER_ENGINE_CORE_H
#define WORKER_ENGINE_CORE_H

#include "common/backoff.h"
#include "worker/engine/announce.h"
#include "worker/engine/batch.h"
#include "worker/engine/brake.h"
#include "worker/engine/breaker.h"
#include "worker/engine/engine.h"
#include "worker/engine/pace.h"
#include "worker/engine/partition.h"
#include "worker/engine/planner.h"
#include "worker/engine/recall.h"
#include "worker/engine/tickets.h"

/*
 * The life of the batch in flight. Only flush_enter() moves it.
 *
 *   IDLE -> READY -> OPENING -> [LOCKING -> [WRITING ->]] CLOSING -> TELLING -> IDLE
 *
 * A failure goes through UNDOING (or, when the connection is gone, directly) back to READY; a
 * commit with unknown outcome through UNKNOWN and RESOLVING to TELLING or READY.
 */
enum flush_state {
    FLUSH_IDLE,
    FLUSH_READY, /* to be planned and opened, not before `not_before_ms` */
    FLUSH_OPENING,
    FLUSH_LOCKING,
    FLUSH_WRITING,
    FLUSH_CLOSING,
    FLUSH_UNDOING,
    FLUSH_UNKNOWN,
    FLUSH_RESOLVING,
    FLUSH_TELLING
};

/*
 * The search for the record that the database refuses. Every probe is a trial (rolled back) of the
 * first `limit` records; the first `good` of them passed (0: nobody has asked yet), the first `bad`
 * failed. When bad = good + 1, record number `good` is the culprit, if so many trials in a row say
 * it: with it the batch fails, without it passes, with it fails. One that passed long ago says
 * nothing, because other sessions have written since.
 */
#define ISOLATION_PROOF 3

struct isolation {
    bool active;
    unsigned shown; /* how many of these trials have been seen in a row */
    size_t good, bad, limit;
    struct err err; /* the refusal */
};

struct flush {
    enum flush_state state;
    struct batch *batch;
    struct arena arena; /* of the plan: reset by each build */
    struct planned planned;
    struct err err; /* why it is being undone */
    int64_t not_before_ms;
    int64_t started_at_ms;
    unsigned tries;
    bool lock_first;
    struct isolation isolation;
    struct announcement announcement;
    bool ticket_open;
};

/* What the store is busy with. */
enum errand {
    ERRAND_NONE,
    ERRAND_CONNECT,
    ERRAND_CLAIM,
    ERRAND_FLUSH,
    ERRAND_RESOLVE,
    ERRAND_RECALL,
    ERRAND_MARK
};

struct engine {
    struct engine_options options;
    struct engine_ports ports;
    struct rng rng;
    uint64_t secret; /* of hash tables */
    int64_t now_ms;  /* read once a step */

    struct partition_table partitions;
    struct source_event unplaced; /* an assignment that there was no memory for; or NOTHING */
    struct batch batches[2];
    struct batch *filling; /* the other one belongs to the flush */
    struct flush flush;
    size_t batch_events_max; /* the option's; less after a flush was too much for the database */
    struct pace pace;        /* less again, so that no flush takes too long */
    int64_t live_until_ms;   /* submits come in where no backlog is: they are not to wait long */
    struct recall_list recall;
    struct tickets tickets;
    struct announcer announcer; /* of flushes */
    struct announcer repeater;  /* of recalls */
    struct breaker breaker;
    bool retrying;          /* people may have been told so, and not yet that it went well */
    struct backoff backoff; /* of flushes and connections */
    struct brake brake;

    enum errand errand;
    struct store_call call;
    struct arena call_arena;   /* of the store's call */
    struct arena source_arena; /* of lists for the source */
    struct buf digest_room;    /* scratch: canonical text of one document */
    bool connected;
    bool halt_closed; /* by the failure of a statement that halts, so the next one proves nothing */
    int64_t connect_not_before_ms;
    int64_t claim_not_before_ms;
    int64_t recall_not_before_ms;
    int64_t mark_not_before_ms;
    int64_t commit_not_before_ms; /* of group offsets */
    bool group_is_behind;

    bool survey_running;
    int64_t survey_not_before_ms;
    bool reassign; /* the source must be told the positions again */
    int64_t suspect_not_before_ms;
    size_t turn;    /* whose turn it is to be read first */
    bool more;      /* work was left for another step */
    bool throttled; /* a partition may not read on before the batch is on its way */

    bool stopping;
    struct engine_status seen; /* counters */
    int64_t last_flush_at_ms;
    bool flushed_once;
};

/*
 * How long a halted partition waits before it looks again, and how often it is noted. To compare
 * ledger and log is cheap, and an operator's word (accept-gap) should soon be heard; what the
 * database refused is tried again, with all the work that this may mean, once a minute.
 */
#define HALT_LOOK_MS 15000
#define HALT_TRY_MS  60000
#define HALT_NOTE_MS 60000

#define LOG_ENDS_EARLY                                                                             \
    "the ledger has applied everything before offset %lld, but the log ends at %lld"

/* engine.c */
void engine_note(struct engine *engine, const struct note *note);
void engine_note_partition(struct engine *engine, enum note_kind kind,
                           const struct partition *partition, const char *word,
                           const struct err *err);
void engine_trouble(struct engine *engine, const struct err *err);
void engine_failed(struct engine *engine, const struct err *err); /* tells the breaker */
void engine_succeeded(struct engine *engine);
void engine_lost_connection(struct engine *engine);

/* Stops a partition with a reason of DESIGN 1.7; its records are forgotten, its ledger row stays.
 */
void engine_halt(struct engine *engine, struct partition *partition, const char *reason,
                 const struct err *err);
/* The same where ledger and log do not agree, with the figures in a sentence. */
void engine_halt_for(struct engine *engine, struct partition *partition, const char *reason,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Another worker has claimed it: asked for again after a while, if it is still assigned. */
void engine_fence(struct engine *engine, struct partition *partition);
/* It has proved itself again. */
void engine_heal(struct engine *engine, struct partition *partition);
/* The filling batch may take another record. */
bool engine_has_room(const struct engine *engine);
/* How many records it may hold. */
size_t engine_batch_max(const struct engine *engine);
/* Takes the partition through survey and claim again, forgetting what was read of it. */
void engine_start_over(struct engine *engine, struct partition *partition);
/* Forgets what both batches hold of a partition. */
void engine_drop(struct engine *engine, struct tp tp);

/* intake.c */
void intake_news(struct engine *engine);
void intake_survey(struct engine *engine);
void intake_assign(struct engine *engine);
void intake_read(struct engine *engine);
void intake_look_again(struct engine *engine);

/* flush.c */
void flush_start_if_due(struct engine *engine);
void flush_answered(struct engine *engine, bool ok, const struct err *err);
void flush_resolved(struct engine *engine, bool ok, const struct err *err);
void flush_tell(struct engine *engine);
int64_t flush_due_in_ms(const struct engine *engine);
/* Plan it anew and open it, after so long. */
void flush_again(struct engine *engine, int64_t delay_ms);

/* setback.c */
/* The flush's transaction is gone without effect; `err` says what to do about it. */
void setback_react(struct engine *engine, const struct err *err);
/* One step of the search for a refused record: `passed` says what the last trial has shown. */
void setback_isolate(struct engine *engine, bool passed, const struct err *err);
/* A flush went well: the next may hold a little more, if it had been made smaller. */
void setback_over(struct engine *engine);

/* errands.c */
void errand_poll(struct engine *engine);
void errand_choose(struct engine *engine);
void errand_start(struct engine *engine, enum errand errand, enum store_step step);
/* Negative when overdue, INT64_MAX when there is nothing to do before something else happens. */
int64_t recall_due_in_ms(const struct engine *engine);
int64_t mark_due_in_ms(const struct engine *engine);

#endif
