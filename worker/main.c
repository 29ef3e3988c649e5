#include "worker/commands/command.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

/*
 * Whoever starts us with one of the first three closed must not find the log in a socket of the
 * database that got its number. What is opened here refuses, as a closed one would.
 */
static bool fill_standard_files(void)
{
    static const int modes[] = { O_WRONLY, O_RDONLY, O_RDWR };
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd)
            return false;
    return true;
}

int main(int argc, char **argv)
{
    /* A reader that went away is an error of the write, not a signal. */
    (void)signal(SIGPIPE, SIG_IGN);
    if (!fill_standard_files()) {
        (void)fputs("attemptd: standard input, output and error are not all open, and /dev/null "
                    "cannot stand in for them\n",
                    stderr);
        return EX_OSERR;
    }
    int code = command_main(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout))
        return code == EX_OK ? EX_IOERR : code;
    return code;
}
