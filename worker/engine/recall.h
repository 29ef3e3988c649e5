/*
 * Publish again what was committed but perhaps never told.
 *
 * After a claim, the records in [published_offset, next_offset) are read again; each is noted with
 * what its messages need. The database then says what became of them, and the same messages go out
 * once more. Memory is bounded: when the list is full, what it holds is told before more is read.
 *
 * The list's ticket is opened with its first record, before any commit of those partitions, so
 * that published_offset cannot pass what is still to be told again.
 */
#ifndef WORKER_ENGINE_RECALL_H
#define WORKER_ENGINE_RECALL_H

#include "common/uuid_map.h"
#include "worker/engine/announce.h"
#include "worker/events/decode.h"

enum recall_state {
    RECALL_IDLE,       /* nothing noted */
    RECALL_COLLECTING, /* records are being noted */
    RECALL_ASKING,     /* the store is asked about them */
    RECALL_TELLING     /* messages are handed over */
};

struct recall_item; /* one record */
struct touched;     /* one attempt */

struct recall_list {
    enum recall_state state;
    bool discarded; /* forget it as soon as the store lets go of it */
    int64_t since_ms;
    uint64_t secret;
    struct arena arena;
    struct arena scratch; /* of one decoding */
    struct recall_item *first, *last;
    size_t item_count;
    struct uuid_map seen;
    struct touched *touched;
    size_t touched_count;
    struct recall_range *ranges;
    int64_t *epochs; /* of the ranges */
    size_t range_count, range_capacity;
    struct recall request;
    size_t attempt_room; /* of the request */
    struct announcement announcement;
};

void recall_init(struct recall_list *list, uint64_t secret);
void recall_release(struct recall_list *list);

/* Opens the ticket: from now on records may be noted. False when no ticket can be had. */
bool recall_begin(struct recall_list *list, struct tickets *tickets, int64_t now_ms);

/* Room for another record. */
bool recall_has_room(const struct recall_list *list);

/*
 * Begins a partition's range at `from`, or goes on with it. `cut`: the records before `from` that
 * should have been told are gone, so everything is invalidated. False when memory is short.
 */
bool recall_open(struct recall_list *list, const struct ledger_entry *ledger, int64_t from,
                 bool cut);

/* Notes one record of an open range, which now ends behind it. False when memory is short. */
bool recall_add(struct recall_list *list, const struct record *record,
                const struct decode_limits *limits);

/* The open range of a partition reaches `to` (over control records). */
void recall_extend(struct recall_list *list, const struct ledger_entry *ledger, int64_t to);

/* Fills `request`, for the store. False when memory is short. */
bool recall_prepare(struct recall_list *list);

/* From the store's answer to an announcement. False when memory is short. */
bool recall_answered(struct recall_list *list);

/* Everything is told: seals the ticket and forgets the list. False when memory is short. */
bool recall_finish(struct recall_list *list, struct tickets *tickets);

/* Forgets the list without having told it: its partitions are no longer ours. */
void recall_discard(struct recall_list *list, struct tickets *tickets);

#endif
