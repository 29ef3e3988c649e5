#include "worker/commands/interrupt.h"

#include <stddef.h>
#include <time.h>
#include <unistd.h>

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

static const int exit_signals[3] = { SIGINT, SIGTERM, SIGHUP };

static void on_exit_signal(int signal_number)
{
    (void)signal_number;
    _exit(EXIT_INTERRUPTED);
}

void interrupt_exit_begin(struct interrupt_exit *exits)
{
    struct sigaction action = { .sa_handler = on_exit_signal };
    for (size_t i = 0; i < 3; i++) {
        bool counts = exit_signals[i] != SIGHUP || interrupt_hangup_counts();
        exits->taken[i] = counts && sigaction(exit_signals[i], &action, &exits->before[i]) == 0;
    }
}

void interrupt_exit_end(const struct interrupt_exit *exits)
{
    for (size_t i = 0; i < 3; i++)
        if (exits->taken[i])
            (void)sigaction(exit_signals[i], &exits->before[i], NULL);
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
