/*
 * refresh: refreshes materialized views now, for cron and Kubernetes jobs.
 */
#ifndef WORKER_COMMANDS_REFRESH_H
#define WORKER_COMMANDS_REFRESH_H

#include "worker/settings.h"

extern const char refresh_help[];
int refresh_command(const struct settings *settings, int argc, char **argv);

#endif
