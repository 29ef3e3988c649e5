#include "common/thread.h"

#include <signal.h>

int thread_start(pthread_t *ret, void *(*body)(void *self), void *self)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(ret, NULL, body, self);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}
