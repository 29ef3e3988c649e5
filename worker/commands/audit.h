/* See audit.c. */
#ifndef WORKER_COMMANDS_AUDIT_H
#define WORKER_COMMANDS_AUDIT_H

#include "worker/settings.h"

int audit_command(const struct settings *settings, int argc, char **argv);
extern const char audit_help[];

#endif
