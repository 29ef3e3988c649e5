/*
 * Time as the engine sees it: two readings behind one pointer, so that tests own it.
 *
 * `monotonic_ms` measures intervals and never goes back; every timer, backoff and deadline uses
 * it. `wall_us` (microseconds since 1970, UTC) is written into messages for people and decides
 * nothing.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

struct clock {
    void *self;
    int64_t (*monotonic_ms)(void *self);
    int64_t (*wall_us)(void *self);
};

/* CLOCK_MONOTONIC and CLOCK_REALTIME. */
struct clock clock_system(void);

/* The same monotonic clock, for what nobody simulates. */
int64_t clock_now_ms(void);

static inline int64_t clock_monotonic_ms(const struct clock *clock)
{
    return clock->monotonic_ms(clock->self);
}

static inline int64_t clock_wall_us(const struct clock *clock)
{
    return clock->wall_us(clock->self);
}

#endif
