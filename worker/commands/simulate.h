/* See simulate.c. */
#ifndef WORKER_COMMANDS_SIMULATE_H
#define WORKER_COMMANDS_SIMULATE_H

#include "worker/settings.h"

int simulate_command(const struct settings *settings, int argc, char **argv);
extern const char simulate_help[];

#endif
