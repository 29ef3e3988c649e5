#include "common/backoff.h"

int64_t backoff_next_ms(struct backoff *backoff, struct rng *rng)
{
    int64_t high = backoff->last_ms == 0 ? backoff->base_ms : backoff->last_ms * 3;
    if (high > backoff->cap_ms)
        high = backoff->cap_ms;
    int64_t span = high - backoff->base_ms;
    int64_t delay = backoff->base_ms;
    if (span > 0)
        delay += (int64_t)rng_below(rng, (uint64_t)span + 1);
    backoff->last_ms = delay;
    return delay;
}
