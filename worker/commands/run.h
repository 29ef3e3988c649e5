/*
 * attemptd run: one worker process, or a supervisor of several.
 */
#ifndef WORKER_COMMANDS_RUN_H
#define WORKER_COMMANDS_RUN_H

#include "worker/settings.h"

int run_command(const struct settings *settings, int argc, char **argv);
extern const char run_help[];

#endif
