#include "worker/commands/command.h"

#include <signal.h>
#include <sysexits.h>

int main(int argc, char **argv)
{
    /* A reader that went away is an error of the write, not a signal. */
    (void)signal(SIGPIPE, SIG_IGN);
    int code = command_main(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout))
        return code == EX_OK ? EX_IOERR : code;
    return code;
}
