#include "worker/commands/confirm.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool confirm(const char *command, const char *question)
{
    char answer[16];
    (void)fflush(stdout);
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        (void)fprintf(stderr,
                      "%s: nothing was changed: there is no terminal to ask; --yes says it\n",
                      command);
        return false;
    }
    (void)fprintf(stderr, "%s Type yes: ", question);
    if (fgets(answer, sizeof answer, stdin) != NULL && strcmp(answer, "yes\n") == 0)
        return true;
    (void)fprintf(stderr, "%s: nothing was changed\n", command);
    return false;
}
