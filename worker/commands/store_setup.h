/*
 * From the operator's settings to the options of the PostgreSQL store.
 */
#ifndef WORKER_COMMANDS_STORE_SETUP_H
#define WORKER_COMMANDS_STORE_SETUP_H

#include "worker/commands/kafka_setup.h"
#include "worker/postgres/pg_store.h"
#include "worker/settings.h"

#define OUTCOME_SETTINGS 8

/* Must not move while `options` is in use. */
struct store_setup {
    struct pg_store_options options;
    struct pg_setting outcome_settings[OUTCOME_SETTINGS];
    char values[OUTCOME_SETTINGS][24];
    char owner[128];
};

/* `index` is the worker's; `settings` must outlive the setup. */
void store_setup_init(struct store_setup *setup, const struct settings *settings, int index);

#endif
