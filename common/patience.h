/*
 * A call that may block for longer than anybody should wait: somebody else makes it.
 *
 * Libraries measure their time-outs with the wall clock, which jumps, and some wait without any.
 * Here the time is taken from the monotonic clock, and who is not back in time is left behind: to
 * the end of the process, or to come back when nobody waits any more.
 */
#ifndef COMMON_PATIENCE_H
#define COMMON_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Calls work(self) in a thread that takes no signals, and waits for it. True: it has returned, and
 * `self` is the caller's again. False: it is still at it after `wait_ms`; `self`, and all that it
 * points to, belongs to the thread from then on, which calls abandon(self) should work() ever
 * return. Without a thread the caller's own does the work, and waits as long as it takes.
 */
bool patience_run(void (*work)(void *self), void (*abandon)(void *self), void *self,
                  int64_t wait_ms);

#endif
