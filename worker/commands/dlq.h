/* See dlq.c. */
#ifndef WORKER_COMMANDS_DLQ_H
#define WORKER_COMMANDS_DLQ_H

#include "worker/settings.h"

int dlq_command(const struct settings *settings, int argc, char **argv);
extern const char dlq_help[];

#endif
