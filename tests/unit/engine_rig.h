/*
 * An engine between three toy ports, for stories too particular for the simulator: each topic has
 * one partition, every call of the store ends with the next step, and a test says what fails.
 */
#ifndef TESTS_UNIT_ENGINE_RIG_H
#define TESTS_UNIT_ENGINE_RIG_H

#include "worker/engine/engine.h"

#define RIG_STEPS (STORE_MARK + 1)

/* A header of each record. */
#define RIG_TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

struct rig_partition {
    int64_t end;      /* of the log: records are made up as they are read */
    int64_t position; /* of the source */
    bool assigned, end_told;
    int64_t committed; /* the group's; -1: none */
    struct witness witness;
    /* the ledger's row */
    bool exists;
    int64_t first, next, published, epoch;
    int64_t generation; /* 0 counts as 1 */
    bool has_anchor;
    struct anchor anchor;
    int64_t refusals_until;        /* somebody's word */
    unsigned refusals;             /* letters for a refusal ... */
    struct refused_submit refused; /* ... and the newest submit among them */
};

struct engine_rig {
    int64_t now_ms;
    int64_t wall_us; /* added to the wall clock */
    struct engine_options options;
    struct engine *engine;
    uint64_t steps; /* of the engine */
    uint64_t trace; /* what it did and when, but for the texts of messages: calls, ids, notes */

    /* source */
    struct rig_partition partitions[TOPIC_COUNT];
    bool assigned_told, survey_wanted;
    unsigned assigns;
    bool corrupt;     /* tell once that writes cannot be read on */
    bool submits;     /* records of attempt.writes are submits, not starts */
    size_t key_bytes; /* of records of attempt.writes; 0: the attempt's id */
    char key[1 << 20], value[512];

    /* store */
    struct store_call *call;
    int64_t close_ms, close_ends_ms; /* CLOSE takes so long ... */
    int64_t records_per_ms;          /* ... and so much longer for its records; 0: not at all */
    bool held;                       /* CLOSE does not end */
    int fails[RIG_STEPS];            /* how often a step fails; -1: always */
    struct err err[RIG_STEPS];       /* with what */
    size_t too_many;        /* OPEN fails, with err[STORE_OPEN], for so many starts; 0: never */
    uint64_t refused;       /* bits: OPEN refuses the records at these offsets of attempt.writes */
    unsigned refusals_left; /* so many, then another session moves a row: ... */
    uint64_t refused_then;  /* ... these are refused instead; 0 left: nothing moves */
    bool views_fail;        /* OPEN fails, with err[STORE_OPEN], where views are asked for */
    unsigned calls[RIG_STEPS];
    unsigned views_asked; /* requests that were committed */

    /* publisher */
    bool silent; /* takes everything, confirms nothing */
    uint64_t tickets[4096];
    size_t ticket_count;
    uint64_t outcomes;
    size_t outcome_key_bytes; /* of the last outcome */
    unsigned drops_of_all;    /* invalidations of everything */
    unsigned traced;          /* outcomes that pass RIG_TRACE on */

    int64_t isolated; /* the offset of the last record that was found to be refused */
    unsigned halts;
    unsigned answers;    /* notes that what was tried again has gone well */
    struct err halt_err; /* of the last one */
};

/* Options may be changed between the two. */
void engine_rig_init(struct engine_rig *rig);
void engine_rig_start(struct engine_rig *rig);
void engine_rig_release(struct engine_rig *rig);

/* Another process takes over: nothing but the ledger and the log is left. */
void engine_rig_restart(struct engine_rig *rig);

/* Lets `ms` pass, stepping the engine when it is woken or has asked for it. */
void engine_rig_run(struct engine_rig *rig, int64_t ms);

struct engine_status engine_rig_status(const struct engine_rig *rig);

#endif
