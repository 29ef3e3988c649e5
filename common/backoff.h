/*
 * How long to wait before the next try: decorrelated jitter.
 *
 * Each delay is drawn from [base, 3 x previous], capped, so that many workers that failed at the
 * same moment do not come back at the same moment.
 */
#ifndef COMMON_BACKOFF_H
#define COMMON_BACKOFF_H

#include "common/rng.h"

#include <stdint.h>

struct backoff {
    int64_t base_ms;
    int64_t cap_ms;
    int64_t last_ms; /* 0 before the first try */
};

/* The delay before the next try, base_ms <= delay <= cap_ms. */
int64_t backoff_next_ms(struct backoff *backoff, struct rng *rng);

/* After a success. */
static inline void backoff_reset(struct backoff *backoff)
{
    backoff->last_ms = 0;
}

#endif
