/*
 * How large a batch may be, so that its flush does not take too long.
 *
 * A submit waits for the flush in flight and for its own. While submits come in where no backlog
 * is, a flush is to take PACE_LIVE_MS; otherwise PACE_BULK_MS, because larger batches fold more of
 * a backlog. What a flush takes is estimated from the last ones as so much at all and so much for
 * each record: where it is the statements that are slow, and not the records, batches are not made
 * smaller for it but larger. Pure: sizes and times come in.
 */
#ifndef WORKER_ENGINE_PACE_H
#define WORKER_ENGINE_PACE_H

#include <stddef.h>
#include <stdint.h>

#define PACE_LIVE_MS    300
#define PACE_BULK_MS    2000
#define PACE_START      4096 /* records of a batch before anything is known */
#define PACE_EVENTS_MIN 256

struct pace {
    double weight, n, t, nn, nt; /* decayed sums over flushes: 1, records, ms, and products */
    double fixed_ms;             /* of a flush, whatever it holds */
    size_t events_max;
};

void pace_init(struct pace *pace);

/* A flush of so many records has taken so long; the next is to take `aim_ms`. */
void pace_add(struct pace *pace, size_t events, int64_t took_ms, int64_t aim_ms);

#endif
