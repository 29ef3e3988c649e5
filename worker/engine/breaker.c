#include "worker/engine/breaker.h"

#define FIRST_PROBE_MS 500

void breaker_init(struct breaker *breaker, unsigned failures_max, int64_t open_max_ms)
{
    *breaker = (struct breaker){ .state = BREAKER_CLOSED,
                                 .failures_max = failures_max,
                                 .open_max_ms = open_max_ms };
}

static void open_for(struct breaker *breaker, int64_t delay_ms, int64_t now_ms)
{
    breaker->state = BREAKER_OPEN;
    breaker->probe_delay_ms = delay_ms < breaker->open_max_ms ? delay_ms : breaker->open_max_ms;
    breaker->probe_at_ms = now_ms + breaker->probe_delay_ms;
}

bool breaker_trip(struct breaker *breaker, int64_t now_ms)
{
    if (breaker->state == BREAKER_OPEN)
        return false;
    open_for(breaker,
             breaker->state == BREAKER_PROBING ? breaker->probe_delay_ms * 2 : FIRST_PROBE_MS,
             now_ms);
    return true;
}

bool breaker_failed(struct breaker *breaker, int64_t now_ms)
{
    breaker->failures++;
    if (breaker->state == BREAKER_CLOSED && breaker->failures < breaker->failures_max)
        return false;
    return breaker_trip(breaker, now_ms);
}

bool breaker_succeeded(struct breaker *breaker)
{
    breaker->failures = 0;
    if (breaker->state == BREAKER_CLOSED)
        return false;
    breaker->state = BREAKER_CLOSED;
    return true;
}

bool breaker_allows(struct breaker *breaker, int64_t now_ms)
{
    if (breaker->state == BREAKER_OPEN && now_ms >= breaker->probe_at_ms)
        breaker->state = BREAKER_PROBING;
    return breaker->state != BREAKER_OPEN;
}

const char *breaker_state_name(enum breaker_state state)
{
    switch (state) {
    case BREAKER_CLOSED:
        return "closed";
    case BREAKER_OPEN:
        return "open";
    case BREAKER_PROBING:
        return "probing";
    }
    return "unknown";
}
