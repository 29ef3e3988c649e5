/*
 * One publisher for many: the engine and the housekeepers.
 *
 * The engine gets the publisher's port with its tickets untouched; a housekeeper's news (a view
 * was refreshed, rows were changed or submitted by somebody else) becomes messages whose tickets
 * carry a mark. Heralds stand in a row: the next one's publisher is the port of the one before, and
 * each has a mark of its own. Delivery reports come through one door, are told apart by the mark,
 * and when all messages of a piece of news have arrived, herald_confirmed() says so once.
 */
#ifndef WORKER_COMMANDS_HERALD_H
#define WORKER_COMMANDS_HERALD_H

#include "common/buf.h"
#include "worker/engine/ports.h"
#include "worker/postgres/housekeeper.h"

enum herald_mark { HERALD_NEWS = 63, HERALD_VIEWS = 62 }; /* the bit of its tickets */

struct herald {
    struct publisher publisher;
    uint64_t mark;
    int64_t ttl_hint_s;
    uint32_t news;        /* the number of the piece of news under way; others are forgotten */
    uint32_t outstanding; /* messages of it that were not confirmed yet */
    uint64_t number;      /* the housekeeper's, for its confirmation */
    bool under_way;
    struct buf key, id, value;
};

void herald_init(struct herald *herald, struct publisher publisher, enum herald_mark mark,
                 int64_t ttl_hint_s);
void herald_release(struct herald *herald);

/* For the engine, or for the next herald. */
struct publisher herald_port(struct herald *herald);

/* For housekeeper_options.publish; `self` is the herald. */
bool herald_publish(void *self, const struct housekeeper_news *news);

/* All of the last news has arrived: true once, with its number. */
bool herald_confirmed(struct herald *herald, uint64_t *ret_number);

#endif
