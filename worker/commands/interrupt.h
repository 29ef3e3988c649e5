/*
 * Ctrl-C (and SIGTERM) for commands that would rather stop than be stopped: the signals are held
 * back and asked for between two pieces of work, so that no handler and no global is needed. Once
 * one was seen, the next one ends the process at once.
 */
#ifndef WORKER_COMMANDS_INTERRUPT_H
#define WORKER_COMMANDS_INTERRUPT_H

#include <stdbool.h>

#define EXIT_INTERRUPTED 130 /* what a shell expects */

/* Before any thread is started, so that none takes the signals. */
void interrupt_hold(void);

/* True once after a signal has come; from then on signals do what they always did. */
bool interrupt_seen(void);

/*
 * For processes with a loop of their own: a terminal or ssh session that ends sends SIGHUP, which
 * means an end in order like SIGTERM, unless it was ignored from the start (nohup).
 */
bool interrupt_hangup_counts(void);
const char *interrupt_name(int signal_number);

#endif
