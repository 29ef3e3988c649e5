/*
 * Ctrl-C (and SIGTERM) for commands that would rather stop than be stopped: the signals are held
 * back and asked for between two pieces of work, so that no handler and no global is needed. Once
 * one was seen, the next one ends the process at once.
 */
#ifndef WORKER_COMMANDS_INTERRUPT_H
#define WORKER_COMMANDS_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>

#define EXIT_INTERRUPTED 130 /* what a shell expects */

/* Before any thread is started, so that none takes the signals. */
void interrupt_hold(void);

/* True once after a signal has come; from then on signals do what they always did. */
bool interrupt_seen(void);

/*
 * For a process that has begun nothing yet, and that waits for an answer inside of a library:
 * between the two, a signal ends it at once with EXIT_INTERRUPTED. The first process of a container
 * needs that, too, for which the kernel drops what no handler takes.
 */
struct interrupt_exit {
    struct sigaction before[3];
    bool taken[3];
};

void interrupt_exit_begin(struct interrupt_exit *exits);
void interrupt_exit_end(const struct interrupt_exit *exits);

/*
 * For processes with a loop of their own: a terminal or ssh session that ends sends SIGHUP, which
 * means an end in order like SIGTERM, unless it was ignored from the start (nohup).
 */
bool interrupt_hangup_counts(void);
const char *interrupt_name(int signal_number);

#endif
