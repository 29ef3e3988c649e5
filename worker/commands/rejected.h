/* See rejected.c. */
#ifndef WORKER_COMMANDS_REJECTED_H
#define WORKER_COMMANDS_REJECTED_H

#include "worker/settings.h"

int rejected_command(const struct settings *settings, int argc, char **argv);
extern const char rejected_help[];

#endif
