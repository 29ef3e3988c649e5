/*
 * Many schedules, by several processes side by side.
 *
 * Worker k of n plays the seeds first + k, first + k + n, ...: no schedule depends on another, so
 * their number changes nothing but the time it takes. What they find is in memory that they share;
 * a worker that crashes leaves the seed that did it there.
 */
#ifndef TESTS_SIM_SIM_CREW_H
#define TESTS_SIM_SIM_CREW_H

#include "tests/sim/sim.h"

#define CREW_MAX 64

struct crew_task {
    uint64_t first, schedules;
    double seconds; /* 0 for no limit */
    int jobs;       /* 1 to CREW_MAX */
    bool torture;   /* each schedule once more for every allocation of the engine, which fails */
};

struct crew_result {
    uint64_t played;
    uint64_t cover[COVER_COUNT];
    bool broken;
    uint64_t seed; /* if broken */
    uint64_t fail_at;
    char rule[512];
};

/* False when no process or memory could be had. */
bool crew_play(const struct crew_task *task, struct crew_result *ret);

double crew_now_s(void);

#endif
