/*
 * A catalogue of records that must become dead letters: every reason of the contract that a
 * producer can cause, in several ways.
 *
 * Entries are templates, filled in for one student. Two of them need something to contradict: the
 * row's version, and a start that has been sent.
 */
#ifndef WORKER_SIMULATE_POISON_H
#define WORKER_SIMULATE_POISON_H

#include "common/buf.h"
#include "common/uuid.h"
#include "worker/events/event.h"
#include "worker/events/record.h"

struct poison_facts {
    struct uuid attempt_id, exam_id, student_id;
    struct uuid event_id;      /* of the poisonous event; never used before */
    struct uuid stranger;      /* an id that is nobody's */
    int64_t version_far_ahead; /* more than the largest jump ahead of the row */
    int64_t at_us;
};

struct poison {
    struct buf key, value;
    struct header headers[6];
};

size_t poison_count(void);
enum reason poison_reason(size_t number);
const char *poison_note(size_t number); /* what is wrong, in a few words */
bool poison_needs_start(size_t number);

void poison_init(struct poison *poison);
void poison_release(struct poison *poison);

/* Makes number `number` of the catalogue; `*ret` lives until the next call. */
bool poison_make(struct poison *poison, size_t number, const struct poison_facts *facts,
                 struct record *ret);

#endif
