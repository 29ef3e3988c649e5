/*
 * The operator's yes before something that cannot be taken back.
 */
#ifndef WORKER_COMMANDS_CONFIRM_H
#define WORKER_COMMANDS_CONFIRM_H

#include <stdbool.h>

/*
 * Asks on the terminal and waits for "yes". Without a terminal there is nobody to ask: false, after
 * saying that --yes is needed. `command` begins the sentence, "attemptd accept-gap".
 */
bool confirm(const char *command, const char *question);

#endif
