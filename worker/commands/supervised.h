/*
 * The worker's side of the pair that joins it to its supervisor (supervise.h).
 *
 * A worker learns from its environment that it has a supervisor; the variable is ours alone and is
 * removed at once, so that nothing it starts inherits it.
 */
#ifndef WORKER_COMMANDS_SUPERVISED_H
#define WORKER_COMMANDS_SUPERVISED_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#define SUPERVISED_VARIABLE "ATTEMPTD_SUPERVISED" /* INDEX:FD:PID of the supervisor */

struct event_base;
struct bufferevent;

struct supervised {
    bool on;
    int index; /* 0 without a supervisor */
    int fd;
    pid_t supervisor;
    struct bufferevent *channel;
    void (*on_stop)(void *self);
    void *self;
};

/*
 * Reads the environment, and asks the kernel to end this process with its supervisor. `on` stays
 * false without one.
 */
void supervised_init(struct supervised *supervised);

/*
 * From now on `on_stop` is called when the supervisor wants an end or is gone. False when memory
 * is short. Nothing happens without a supervisor.
 */
bool supervised_listen(struct supervised *supervised, struct event_base *base,
                       void (*on_stop)(void *self), void *self);

/* Sends a report; left out while the one before has not gone. */
void supervised_report(struct supervised *supervised, const json_t *report);

void supervised_release(struct supervised *supervised);

#endif
