/*
 * One simulated world: its time, its chance, its story, and the verdict on it.
 *
 * Everything that happens in a schedule is drawn from one seeded random source in one thread, so a
 * seed is a bug report. The first broken rule ends the schedule and stays in `rule`.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "common/arena.h"
#include "common/buf.h"
#include "common/rng.h"
#include "common/uuid.h"
#include "worker/events/record.h"

#include <stdbool.h>
#include <stdint.h>

#define SIM_WORKERS      3
#define SIM_ATTEMPTS     12
#define SIM_EXAMS        3
#define SIM_PARTITIONS   3 /* of each topic */
#define SIM_TPS          ((int)TOPIC_COUNT * SIM_PARTITIONS)
#define SIM_OFFSETS      400 /* of each partition */
#define SIM_KEYS         6   /* different answer keys */
#define SIM_ACTIVITIES   256 /* different activity events */
#define SIM_VIEWS        2
#define SIM_VERSION_JUMP 40

/* What happened how often: a fault that never strikes proves nothing. */
#define SIM_COVER_TABLE(X)                                                                         \
    X(LOST_BEFORE, "connection lost before the effect")                                            \
    X(LOST_AFTER, "connection lost after the effect")                                              \
    X(CLOSE_COMMITTED, "commit: done, reply lost")                                                 \
    X(CLOSE_ROLLED_BACK, "commit: not done, reply lost")                                           \
    X(CLOSE_LATER, "commit: done by the old backend later")                                        \
    X(CLOSE_WARNING, "commit: answered with a warning")                                            \
    X(CLAIM_LOST, "claim: epoch raised, reply lost")                                               \
    X(RETRYABLE, "deadlock or serialization failure")                                              \
    X(LOCK_TIMEOUT, "lock timeout behind another session")                                         \
    X(RESOURCE, "database out of a resource")                                                      \
    X(HALT, "schema or privilege error")                                                           \
    X(REFUSE_OPEN, "record refused at open")                                                       \
    X(REFUSE_WRITE, "record refused at write")                                                     \
    X(REFUSE_CLOSE, "record refused at close")                                                     \
    X(SLOW, "database answers slowly")                                                             \
    X(DB_DOWN, "database down")                                                                    \
    X(IDLE_KILLED, "idle transaction killed by the server")                                        \
    X(MOVE_MISSED, "compare-and-set missed")                                                       \
    X(TRIAL, "trial transaction")                                                                  \
    X(CAREFUL, "careful fold written")                                                             \
    X(FAST_MISSED, "fast fold missed its guard")                                                   \
    X(CRASH, "worker crashed")                                                                     \
    X(CRASH_IN_TX, "worker crashed inside a transaction")                                          \
    X(CRASH_COMMITTED, "worker crashed, its commit went through")                                  \
    X(STOPPED, "worker stopped in good order")                                                     \
    X(FREEZE, "worker frozen")                                                                     \
    X(REBALANCE, "rebalance")                                                                      \
    X(ZOMBIE_READ, "zombie read a partition it had lost")                                          \
    X(SURVEY_FAILED, "survey failed")                                                              \
    X(ASSIGN_FAILED, "assign failed")                                                              \
    X(SUSPECT, "broker lost, log suspect")                                                         \
    X(TROUBLE, "broker trouble")                                                                   \
    X(GROUP_LIE, "group offset set to a lie")                                                      \
    X(EXPIRED, "published gap expired from the log")                                               \
    X(REPLACED, "log replaced under the ledger")                                                   \
    X(HOLE, "control record")                                                                      \
    X(QUEUE_FULL, "publisher queue full")                                                          \
    X(UNSENT_LOST, "unsent messages lost in a crash")                                              \
    X(REPUBLISHED, "message published again")                                                      \
    X(ALL_DROPPED, "invalidation of all")                                                          \
    X(RECALL, "recall of a range")                                                                 \
    X(RESOLVE, "unknown commit resolved")                                                          \
    X(APPLIED, "outcome applied")                                                                  \
    X(DUPLICATE, "outcome duplicate")                                                              \
    X(STALE, "outcome stale")                                                                      \
    X(LATE, "outcome late")                                                                        \
    X(DEAD, "outcome dead")                                                                        \
    X(GAP, "applied over a gap")                                                                   \
    X(LATE_START, "start filled in late")                                                          \
    X(START_CONFLICT, "start that contradicts")                                                    \
    X(VERSION_JUMP, "version jump")                                                                \
    X(CONSTRAINT, "record dead-lettered for a constraint")                                         \
    X(SPLIT, "attempt in two partitions explained by an interleaving")                             \
    X(VIEW_REQUEST, "view refresh asked for")                                                      \
    X(LEDGER_MISSING, "ledger row gone")                                                           \
    X(CORRUPT, "unreadable record")                                                                \
    X(BUG, "database says that we have a bug")                                                     \
    X(FOREIGN, "row written by another session")                                                   \
    X(NO_MEMORY, "allocation failed")                                                              \
    X(RESTORED, "database restored to an older state")                                             \
    X(FAILOVER, "... under a running worker")                                                      \
    X(LEDGER_BEHIND, "ledger behind what was seen of it, and accepted")                            \
    X(BRAKE, "halted for what the database refuses")                                               \
    X(REFUSALS_ACCEPTED, "... and accepted by an operator")                                        \
    X(FLOOD, "a backlog of one attempt at once")

enum cover {
#define X(name, text) COVER_##name,
    SIM_COVER_TABLE(X)
#undef X
        COVER_COUNT
};

const char *cover_text(enum cover cover);

struct sim {
    uint64_t seed;
    struct rng rng;
    int64_t now_ms;
    uint64_t commit_serial; /* transactions committed so far, in order */
    bool calm;              /* every fault is healed: nothing new goes wrong */
    bool lucky;             /* nothing goes wrong in this action: it was edited out */
    bool verbose;
    bool torture;          /* one allocation fails, and it is named already */
    struct arena arena;    /* of this schedule */
    struct buf text;       /* scratch */
    uint64_t *cover;       /* COVER_COUNT counters, over all schedules */
    char rule[512];        /* the first broken rule; empty while all is well */
    const char *rule_kind; /* the same for the same rule, whatever its numbers */
};

/* Uniform in [0, bound). */
static inline int sim_below(struct sim *sim, int bound)
{
    return (int)rng_below(&sim->rng, (uint64_t)bound);
}

/* True once in `n` times. */
static inline bool sim_one_in(struct sim *sim, int n)
{
    return rng_below(&sim->rng, (uint64_t)n) == 0;
}

/* A fault: once in `n` times, and never once the world is calm. */
static inline bool sim_strikes(struct sim *sim, int n)
{
    return !sim->calm && sim_one_in(sim, n) && !sim->lucky;
}

static inline void sim_cover(struct sim *sim, enum cover cover)
{
    sim->cover[cover]++;
}

static inline bool sim_broken(const struct sim *sim)
{
    return sim->rule[0] != '\0';
}

/* Partitions as one index. */
static inline int sim_tp_index(struct tp tp)
{
    return (int)tp.topic * SIM_PARTITIONS + tp.partition;
}

static inline struct tp sim_tp(int index)
{
    return (struct tp){ (enum topic)(index / SIM_PARTITIONS), index % SIM_PARTITIONS };
}

/* One line of the story, printed with --verbose. */
void sim_tell(const struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Before the first schedule and after the last: the memory that they all use in turn. */
void sim_init(struct sim *sim);
void sim_release(struct sim *sim);

/* A rule is broken. */
void sim_violate(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

const char *sim_topic_name(enum topic topic);

/* Ids carry their kind and number, so that no map is needed to know one again. */
enum sim_id {
    ID_ATTEMPT = 0xa7,
    ID_EXAM = 0xe8,
    ID_STUDENT = 0x57,
    ID_EVENT = 0xee,
    ID_ACTIVITY = 0xac
};

struct uuid sim_uuid(enum sim_id kind, uint32_t number);

/* The number, or -1 when it is no id of that kind. */
int64_t sim_uuid_number(enum sim_id kind, const struct uuid *uuid);

#endif
