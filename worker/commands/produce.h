/* See produce.c. */
#ifndef WORKER_COMMANDS_PRODUCE_H
#define WORKER_COMMANDS_PRODUCE_H

#include "worker/settings.h"

int produce_command(const struct settings *settings, int argc, char **argv);
extern const char produce_help[];

#endif
