/*
 * Memory that runs out when the schedule says so.
 *
 * The simulation is linked with --wrap for malloc, calloc and realloc. What the engine allocates
 * between memory_enter() and memory_leave() is counted, and the one allocation that
 * memory_fail_at() names fails. The only state of the simulator that belongs to the process and not
 * to a schedule: an allocator has no `self`.
 */
#ifndef TESTS_SIM_SIM_MEMORY_H
#define TESTS_SIM_SIM_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/* Counts from 0 again; none fails. */
void memory_reset(void);

/* Allocations of the engine so far. */
uint64_t memory_count(void);

/* Allocation number `n`, the first being 1, fails; 0 for none. */
void memory_fail_at(uint64_t n);

/* Whether it has failed since it was named. */
bool memory_failed(void);

/* Around calls of the engine; and around the simulator's own work inside them. */
void memory_enter(void);
void memory_leave(void);

#endif
