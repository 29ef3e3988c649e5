#include "common/patience.h"

#include "common/clock.h"
#include "common/thread.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { AT_WORK, DONE, LEFT };

struct errand {
    void (*work)(void *self);
    void (*abandon)(void *self);
    void *self;
    atomic_int state; /* whoever comes second frees the errand */
};

static void *errand_main(void *argument)
{
    struct errand *errand = argument;
    errand->work(errand->self);
    if (atomic_exchange(&errand->state, DONE) == LEFT) {
        errand->abandon(errand->self);
        free(errand);
    }
    return NULL;
}

bool patience_run(void (*work)(void *self), void (*abandon)(void *self), void *self,
                  int64_t wait_ms)
{
    struct errand *errand = malloc(sizeof *errand);
    pthread_t thread;
    if (errand != NULL)
        *errand = (struct errand){ .work = work, .abandon = abandon, .self = self };
    if (errand == NULL || thread_start(&thread, errand_main, errand) != 0) {
        free(errand);
        work(self);
        return true;
    }
    int64_t deadline_ms = clock_now_ms() + wait_ms;
    while (atomic_load(&errand->state) == AT_WORK && clock_now_ms() < deadline_ms)
        (void)nanosleep(&(struct timespec){ .tv_nsec = 1000 * 1000 }, NULL);
    if (atomic_exchange(&errand->state, LEFT) == DONE) {
        (void)pthread_join(thread, NULL);
        free(errand);
        return true;
    }
    (void)pthread_detach(thread);
    return false;
}
