#include "worker/commands/watch.h"

#include <event2/event.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

/* To wake is all: the turn that follows looks at everything. */
static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

bool watch_set(struct watch *watch, struct event_base *base, int fd, short events)
{
    if (watch->event == NULL)
        watch->event = event_new(base, -1, 0, on_wake, NULL);
    if (watch->event == NULL)
        return false;
    /* The kernel forgets a closed descriptor and libevent does not notice; so never keep it. What
     * could not be taken out stays: to assign it anew would tear the lists it is in. */
    if (event_del(watch->event) != 0)
        return false;
    short what = (short)((events & POLLIN ? EV_READ : 0) | (events & POLLOUT ? EV_WRITE : 0));
    if (fd < 0 || what == 0)
        return true;
    return event_assign(watch->event, base, fd, what, on_wake, NULL) == 0 &&
           event_add(watch->event, NULL) == 0;
}

void watch_release(struct watch *watch)
{
    if (watch->event != NULL)
        event_free(watch->event);
    watch->event = NULL;
}
