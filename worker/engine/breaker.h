/*
 * The circuit breaker in front of the database.
 *
 * Closed: work goes on. After `failures_max` failures in a row, or when a caller trips it, it is
 * open: nothing is tried and nothing is read. Then one probe at a time: after 0.5, 1, 2 ... s,
 * never further apart than `open_max_ms`. A success closes it. Pure: time comes in.
 */
#ifndef WORKER_ENGINE_BREAKER_H
#define WORKER_ENGINE_BREAKER_H

#include "worker/engine/engine.h"

struct breaker {
    enum breaker_state state;
    unsigned failures; /* in a row */
    unsigned failures_max;
    int64_t open_max_ms;
    int64_t probe_delay_ms; /* doubled by each failed probe */
    int64_t probe_at_ms;    /* when open */
};

void breaker_init(struct breaker *breaker, unsigned failures_max, int64_t open_max_ms);

/* Both return true when the state changed. */
bool breaker_failed(struct breaker *breaker, int64_t now_ms);
bool breaker_succeeded(struct breaker *breaker);

/* Opens it at once, whatever was counted; no-op when it is open. */
bool breaker_trip(struct breaker *breaker, int64_t now_ms);

/* True when work may be tried: closed, probing, or open and due for a probe (then it probes). */
bool breaker_allows(struct breaker *breaker, int64_t now_ms);

#endif
