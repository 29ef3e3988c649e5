/*
 * Tickets: which publications belong to which commit, and up to where everything is confirmed.
 *
 * Each commit opens a ticket, counts the messages it hands to the publisher on it, and seals it.
 * Delivery reports come back in any order; tickets are completed strictly from the oldest on, so
 * that published_offset never passes a record whose messages are not all confirmed.
 */
#ifndef WORKER_ENGINE_TICKETS_H
#define WORKER_ENGINE_TICKETS_H

#include "worker/engine/plan.h"

#define TICKETS_MAX 256

/* Once the ticket is complete, this partition is published up to here. */
struct ticket_span {
    struct tp tp;
    int64_t epoch;
    int64_t published;
};

struct ticket {
    bool sealed; /* no message will be added */
    size_t outstanding;
    struct ticket_span *spans;
    size_t span_count, span_capacity;
};

struct tickets {
    struct ticket ring[TICKETS_MAX];
    uint64_t oldest, next; /* numbers; [oldest, next) are open */
};

void tickets_release(struct tickets *tickets);

static inline bool tickets_full(const struct tickets *tickets)
{
    return tickets->next - tickets->oldest == TICKETS_MAX;
}

static inline bool tickets_empty(const struct tickets *tickets)
{
    return tickets->next == tickets->oldest;
}

/* The number of a new ticket with room for `span_count` spans. False: full, or memory is short. */
bool tickets_open(struct tickets *tickets, size_t span_count, uint64_t *ret_number);

/* Room for `span_count` spans. False when memory is short. */
bool ticket_reserve(struct ticket *ticket, size_t span_count);

struct ticket *tickets_get(struct tickets *tickets, uint64_t number);

/* A delivery report. Numbers that are not open are ignored. */
void tickets_confirm(struct tickets *tickets, uint64_t number);

/* The oldest ticket if it is complete, else NULL. Its spans are valid until tickets_pop(). */
const struct ticket *tickets_complete(const struct tickets *tickets);
void tickets_pop(struct tickets *tickets);

#endif
