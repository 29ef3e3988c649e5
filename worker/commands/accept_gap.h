/* See accept_gap.c. */
#ifndef WORKER_COMMANDS_ACCEPT_GAP_H
#define WORKER_COMMANDS_ACCEPT_GAP_H

#include "worker/settings.h"

int accept_gap_command(const struct settings *settings, int argc, char **argv);
extern const char accept_gap_help[];

#endif
