/*
 * The settings by which events are judged: workers that differed would not make the same rows, so
 * they are stored in the database (table outcome_settings) and compared at each connect.
 */
#ifndef WORKER_COMMANDS_OUTCOME_SETTINGS_H
#define WORKER_COMMANDS_OUTCOME_SETTINGS_H

#include "worker/postgres/pg_session.h"
#include "worker/settings.h"

#define OUTCOME_SETTINGS 8

/* By name. Must not be moved or copied: the items point into it. */
struct outcome_settings {
    struct pg_setting items[OUTCOME_SETTINGS];
    char values[OUTCOME_SETTINGS][24];
};

void outcome_settings_init(struct outcome_settings *ret, const struct settings *settings);

#endif
