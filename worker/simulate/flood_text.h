/*
 * The other half of flood.h: from what an event is to its bytes. Every byte is a function of the
 * options, the attempt and the event's serial number.
 */
#ifndef WORKER_SIMULATE_FLOOD_TEXT_H
#define WORKER_SIMULATE_FLOOD_TEXT_H

#include "common/buf.h"
#include "worker/simulate/flood.h"

struct flood_text {
    const struct flood_options *options;
    struct buf data;
    struct wrap wrap;
    char key[UUID_TEXT_LEN + 1], id[UUID_TEXT_LEN + 1];
};

/* `options` must outlive it. */
void flood_text_init(struct flood_text *text, const struct flood_options *options);
void flood_text_release(struct flood_text *text);

/* False when memory is short. `*ret` lives until the next call. */
bool flood_text_render(struct flood_text *text, const struct flood_event *event,
                       struct record *ret);

#endif
