#include "worker/commands/store_setup.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

void store_setup_init(struct store_setup *setup, const struct settings *settings, int index)
{
    *setup = (struct store_setup){ 0 };
    outcome_settings_init(&setup->outcome_settings, settings);
    char host[65] = "unknown";
    (void)gethostname(host, sizeof host - 1);
    uint64_t life;
    randombytes_buf(&life, sizeof life);
    (void)snprintf(setup->owner, sizeof setup->owner, "%s:%d:%d:%016" PRIx64, host, (int)getpid(),
                   index, life);
    setup->options.session = pg_session_options_default();
    setup->options.session.conninfo = settings->database_url;
    setup->options.session.schema = settings->schema;
    for (int i = 0; i < TOPIC_COUNT; i++)
        setup->options.topics[i] = settings->topics[i];
    setup->options.owner = setup->owner;
    setup->options.outcome_settings = setup->outcome_settings.items;
    setup->options.outcome_setting_count = OUTCOME_SETTINGS;
    setup->options.accept_settings = settings->accept_settings;
}
