/*
 * A failing schedule, made short: what it does not need in order to break the same rule is left
 * out, in large pieces first, then in smaller ones, until nothing can go.
 */
#ifndef TESTS_SIM_SIM_SHRINK_H
#define TESTS_SIM_SIM_SHRINK_H

#include "tests/sim/sim_run.h"

/*
 * `ret_edits` may come with an allocation to fail. Returns how many actions and faults are left;
 * -1 when the schedule with those edits breaks no rule.
 */
int shrink(struct sim_run *run, uint64_t seed, struct sim_edits *ret_edits);

#endif
