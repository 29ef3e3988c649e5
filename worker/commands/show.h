/* attemptd show ATTEMPT: all that the database knows of one attempt. */
#ifndef WORKER_COMMANDS_SHOW_H
#define WORKER_COMMANDS_SHOW_H

#include "worker/settings.h"

extern const char show_help[];
int show_command(const struct settings *settings, int argc, char **argv);

#endif
