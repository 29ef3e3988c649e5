/*
 * From the operator's settings to the options of the PostgreSQL store.
 */
#ifndef WORKER_COMMANDS_STORE_SETUP_H
#define WORKER_COMMANDS_STORE_SETUP_H

#include "worker/commands/outcome_settings.h"
#include "worker/postgres/pg_store.h"
#include "worker/settings.h"

/* Must not move while `options` is in use. */
struct store_setup {
    struct pg_store_options options;
    struct outcome_settings outcome_settings;
    char owner[128];
};

/*
 * `index` is the worker's; `settings` must outlive the setup. The owner is host:pid:index for
 * people and a random number, because in two containers all three may be the same.
 */
void store_setup_init(struct store_setup *setup, const struct settings *settings, int index);

#endif
