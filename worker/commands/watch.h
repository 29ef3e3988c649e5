/*
 * A descriptor that the loop watches for somebody else, who may exchange it between two turns (a
 * database connection that was made anew may even get the number of the old one).
 */
#ifndef WORKER_COMMANDS_WATCH_H
#define WORKER_COMMANDS_WATCH_H

struct event;
struct event_base;

struct watch {
    struct event *event; /* NULL before the first watch_set() */
};

/*
 * From now on the loop wakes for `events` (POLLIN, POLLOUT) of `fd`; -1 for none. Call it every
 * turn: it always registers afresh. False when memory is short, or when the watch before could not
 * be ended and goes on.
 */
_Bool watch_set(struct watch *watch, struct event_base *base, int fd, short events);

void watch_release(struct watch *watch);

#endif
