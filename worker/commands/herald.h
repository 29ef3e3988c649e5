/*
 * One publisher for two: the engine and the housekeeper.
 *
 * The engine gets the publisher's port with its tickets untouched; the housekeeper's news (a view
 * was refreshed, rows were changed by somebody else) becomes invalidations whose tickets carry a
 * mark. Delivery reports come through one door, are told apart by the mark, and when all messages
 * of a piece of news have arrived, herald_confirmed() says so once.
 */
#ifndef WORKER_COMMANDS_HERALD_H
#define WORKER_COMMANDS_HERALD_H

#include "common/buf.h"
#include "worker/engine/ports.h"
#include "worker/postgres/housekeeper.h"

struct herald {
    struct publisher publisher;
    int64_t ttl_hint_s;
    uint32_t news;        /* the number of the piece of news under way; others are forgotten */
    uint32_t outstanding; /* messages of it that were not confirmed yet */
    uint64_t number;      /* the housekeeper's, for its confirmation */
    bool under_way;
    struct buf key, id, value;
};

void herald_init(struct herald *herald, struct publisher publisher, int64_t ttl_hint_s);
void herald_release(struct herald *herald);

/* For the engine. */
struct publisher herald_port(struct herald *herald);

/* For housekeeper_options.publish; `self` is the herald. */
bool herald_publish(void *self, const struct housekeeper_news *news);

/* All of the last news has arrived: true once, with its number. */
bool herald_confirmed(struct herald *herald, uint64_t *ret_number);

#endif
