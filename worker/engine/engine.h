/*
 * The engine: the whole life of a worker between its three doors, without any I/O.
 *
 * One promise, in this order and no other:
 *
 *     commit the rows and the offsets in one transaction, then tell the world, then note that the
 *     world was told.
 *
 * A crash anywhere repeats work and never loses or doubles it: whatever was not committed is read
 * again from the ledger's offset, whatever was committed but not confirmed as published is
 * published again from published_offset on.
 *
 * Use: engine_new(), then engine_step() whenever a port may have news or the returned delay has
 * passed; at the end engine_stop(), go on stepping until engine_stopped(), engine_free(). The
 * engine is single-threaded and is driven by its clock and its random source alone, so that the
 * same ports give the same run.
 */
#ifndef WORKER_ENGINE_ENGINE_H
#define WORKER_ENGINE_ENGINE_H

#include "common/clock.h"
#include "worker/engine/ports.h"
#include "worker/events/decode.h"

struct engine_options {
    struct decode_limits limits;
    int64_t version_jump_max;        /* 1,000,000 */
    int64_t linger_ms;               /* 200: how long a save may wait for company */
    size_t batch_events_max;         /* records in one batch */
    size_t batch_bytes_max;          /* bytes of one batch; its plan may take as much again */
    int64_t retry_base_ms;           /* 50 */
    int64_t retry_cap_ms;            /* 5,000 */
    unsigned retries;                /* 3: tries of a flush before it waits for the breaker */
    unsigned breaker_failures;       /* 5 */
    int64_t breaker_open_ms;         /* 60,000: at most this far apart are the probes */
    int64_t ttl_hint_s;              /* 30, for invalidations */
    const char *topics[TOPIC_COUNT]; /* full names, for messages; outlive the engine */
    uint64_t seed;                   /* of the jitter */
};

struct engine_options engine_options_default(void);

struct engine_ports {
    struct source source;
    struct store store;
    struct publisher publisher;
    struct journal journal;
    struct clock clock;
};

struct engine;

/* NULL when memory is short. The ports' `self` must outlive the engine. */
struct engine *engine_new(const struct engine_options *options, const struct engine_ports *ports);
void engine_free(struct engine *engine);

/*
 * Does all that can be done without waiting, with a bound on the work of one call. Returns after
 * how many milliseconds it wants to be called again if nothing wakes it earlier; 0 for at once.
 */
int64_t engine_step(struct engine *engine);

/*
 * Where another session, asked at `asked_ms` of the engine's clock, saw the ledger of a partition;
 * and that it has named all that there are. What is behind a commit that was known by then, or
 * gone, has been put back: the partition starts over and its claim finds out, even when nothing is
 * to be written there for hours. Returns how many do, that would not have without this look. Where
 * only the note of what was told is gone, it is written again.
 */
struct seen_ledger {
    struct tp tp;
    int64_t generation, next_offset, published_offset;
};

void engine_ledger_seen(struct engine *engine, const struct seen_ledger *seen, int64_t asked_ms);
size_t engine_ledger_looked(struct engine *engine, int64_t asked_ms);

/* Stop reading, flush what was read, publish it, note it. */
void engine_stop(struct engine *engine);

/* After engine_stop(): nothing is left to do. */
bool engine_stopped(const struct engine *engine);

/* ------------------------------------------------------------------------- what can be seen */

enum partition_state {
    PARTITION_SURVEYING, /* assigned; asking the broker where its log begins and ends */
    PARTITION_CLAIMING,  /* asking the ledger where it stands */
    PARTITION_RECALLING, /* reading [published, next) again, only to publish it again */
    PARTITION_RUNNING,
    PARTITION_FENCED, /* another worker has it; ours again only after a new assignment or a wait */
    PARTITION_HALTED  /* `halt` says why */
};

const char *partition_state_name(enum partition_state state);

struct partition_status {
    struct tp tp;
    enum partition_state state;
    const char *halt; /* reason of DESIGN 1.7, NULL unless halted */
    int64_t generation, epoch;
    int64_t next_offset;      /* committed in the ledger */
    int64_t published_offset; /* confirmed by delivery reports */
    int64_t position;         /* next record to be read */
    int64_t log_end;          /* as last seen; -1 when unknown */
};

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_PROBING };

const char *breaker_state_name(enum breaker_state state);

#define FLUSH_BUCKETS 12

struct engine_status {
    const struct partition_status *partitions; /* valid until the next call of the engine */
    size_t partition_count;
    uint64_t outcomes[OUTCOME_COUNT]; /* committed by this process since its start */
    uint64_t gaps;
    uint64_t records_read, records_republished;
    uint64_t flushes, flush_retries, careful_attempts, fast_attempts;
    uint64_t flush_ms_buckets[FLUSH_BUCKETS]; /* <= 1 2 5 10 20 50 100 200 500 1000 5000 inf ms */
    uint64_t flush_ms_sum;
    uint64_t flush_events_sum;
    uint64_t invalidations_published, outcomes_published;
    uint64_t letters, isolated, fenced, resolved;
    size_t batch_events, in_flight_events;
    size_t batch_max;    /* records that one batch may hold at present */
    size_t memory_bytes; /* of both batches, the plan and the recall list */
    enum breaker_state breaker;
    bool connected;            /* to the database */
    int64_t last_flush_ms_ago; /* -1 before the first */
};

void engine_status(const struct engine *engine, struct engine_status *ret);

#endif
