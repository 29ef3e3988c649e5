#include "worker/commands/command.h"

#define DATABASE (SETTINGS_ALWAYS | SETTINGS_DATABASE)
#define KAFKA    (SETTINGS_ALWAYS | SETTINGS_KAFKA)

const struct command command_table[] = {
    { "help", "[COMMAND | settings | --man]", "explain a command, or the settings", help_help,
      SETTINGS_ALWAYS, help_command },
    { 0 },
};
