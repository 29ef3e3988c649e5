/*
 * What the world is told after a commit: invalidations and outcomes (DESIGN 1.4, 1.5).
 *
 * An announcement is a list of facts in the arena of its batch; announce_step() turns them into
 * messages one by one and stops where the publisher's queue is full, to go on there later. The same
 * facts give the same messages with the same ids, whether they are told for the first time or
 * again after a crash.
 */
#ifndef WORKER_ENGINE_ANNOUNCE_H
#define WORKER_ENGINE_ANNOUNCE_H

#include "common/buf.h"
#include "worker/engine/planner.h"
#include "worker/engine/ports.h"
#include "worker/engine/tickets.h"

/* Where in the log something was said. */
struct log_place {
    struct tp tp;
    int64_t generation;
    int64_t offset;
};

/* An attempt whose row has changed. */
struct change {
    struct uuid attempt_id;
    int64_t version, revision;
    bool has_exam;
    struct uuid exam_id;
    struct log_place place; /* of the last record that changed it */
    int64_t committed_at_us;
};

/* A record whose outcome its producer wants to know. */
struct verdict {
    struct log_place place;
    enum outcome outcome;
    struct bytes reason; /* absent when there is none */
    struct bytes key;    /* of the record; absent when it had none */
    struct bytes traceparent;
    bool has_attempt_id, has_event_id, has_version;
    struct uuid attempt_id, event_id;
    int64_t version;
    bool is_applied_submit; /* missing and receipt mean something */
    int64_t missing;
    struct bytes receipt; /* absent when there is none */
    int64_t committed_at_us;
};

struct announcement {
    struct change *changes;
    size_t change_count;
    struct change *exams; /* one a touched exam: exam_id and place */
    size_t exam_count;
    struct verdict *verdicts;
    size_t verdict_count;
    struct log_place cut;     /* if `everything`: where the log had been cut */
    bool everything;          /* records to publish again are gone: drop all caches ... */
    int64_t everything_at_us; /* ... of what came before this */
    size_t told;              /* how many of the messages are handed over, in the order above */
    uint64_t ticket;
};

/* From a plan that has committed. False when memory is short. */
bool announce_plan(const struct planned *planned, struct arena *arena, uint64_t secret,
                   struct announcement *ret);

/* Derives `exams` from `changes`. False when memory is short. */
bool announce_exams(struct announcement *announcement, struct arena *arena, uint64_t secret);

struct announcer {
    const struct publisher *publisher;
    struct tickets *tickets;
    const char *const *topics; /* full names, by enum topic */
    int64_t ttl_hint_s;
    struct buf value, id, key;        /* of `waiting` */
    uint64_t invalidations, outcomes; /* handed over so far */
    /* The message that met a full queue is kept: it would be offered, and built, at every step. */
    bool has_waiting;
    struct message waiting;
    uint64_t waiting_ticket;
    size_t waiting_number;
};

void announcer_init(struct announcer *announcer, const struct publisher *publisher,
                    struct tickets *tickets, const char *const *topics, int64_t ttl_hint_s);
void announcer_release(struct announcer *announcer);

/* Hands over what it can. True when everything is told. */
bool announce_step(struct announcer *announcer, struct announcement *announcement);

#endif
