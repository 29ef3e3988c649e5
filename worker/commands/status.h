/*
 * attemptd status: one-shot facts.
 */
#ifndef WORKER_COMMANDS_STATUS_H
#define WORKER_COMMANDS_STATUS_H

#include "worker/settings.h"

int status_command(const struct settings *settings, int argc, char **argv);
extern const char status_help[];

#endif
