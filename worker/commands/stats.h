/* attemptd stats EXAM: the statistics of an exam, from the view or counted now. */
#ifndef WORKER_COMMANDS_STATS_H
#define WORKER_COMMANDS_STATS_H

#include "worker/settings.h"

extern const char stats_help[];
int stats_command(const struct settings *settings, int argc, char **argv);

#endif
