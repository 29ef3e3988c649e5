#include "worker/commands/outcome_settings.h"

#include <stdio.h>

void outcome_settings_init(struct outcome_settings *ret, const struct settings *settings)
{
    const struct {
        const char *name;
        int64_t value;
    } items[OUTCOME_SETTINGS] = {
        { "max_activity_events", settings->max_activity_events },
        { "max_answer_keys", settings->max_answer_keys },
        { "max_depth", settings->max_depth },
        { "max_name_bytes", settings->max_name_bytes },
        { "max_number_digits", settings->max_number_digits },
        { "max_number_exponent", settings->max_number_exponent },
        { "max_value_bytes", settings->max_value_bytes },
        { "max_version_jump", settings->max_version_jump },
    };
    for (size_t i = 0; i < OUTCOME_SETTINGS; i++) {
        (void)snprintf(ret->values[i], sizeof ret->values[i], "%lld", (long long)items[i].value);
        ret->items[i] = (struct pg_setting){ items[i].name, ret->values[i] };
    }
}
