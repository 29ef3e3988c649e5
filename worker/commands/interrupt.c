#include "worker/commands/interrupt.h"

#include <signal.h>
#include <stddef.h>
#include <time.h>

static sigset_t both(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    return set;
}

void interrupt_hold(void)
{
    sigset_t set = both();
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
}

bool interrupt_seen(void)
{
    sigset_t set = both();
    if (sigtimedwait(&set, NULL, &(struct timespec){ 0 }) < 0)
        return false;
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
    return true;
}

bool interrupt_hangup_counts(void)
{
    struct sigaction action;
    return sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler != SIG_IGN;
}

const char *interrupt_name(int signal_number)
{
    return signal_number == SIGINT ? "SIGINT" : signal_number == SIGHUP ? "SIGHUP" : "SIGTERM";
}
