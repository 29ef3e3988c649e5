#include "worker/commands/supervised.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/util.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

void supervised_init(struct supervised *supervised)
{
    *supervised = (struct supervised){ .fd = -1 };
    const char *text = getenv(SUPERVISED_VARIABLE);
    int index = 0, fd = -1, pid = 0;
    if (text == NULL || sscanf(text, "%d:%d:%d", &index, &fd, &pid) != 3 || index < 0 || fd < 3)
        return;
    (void)unsetenv(SUPERVISED_VARIABLE);
    supervised->on = true;
    supervised->index = index;
    supervised->fd = fd;
    supervised->supervisor = pid;
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)prctl(PR_SET_NAME, "attemptd"); /* not "exe", as which it was executed */
    /* It may have died before the kernel was told: then nobody sends that signal any more. */
    if (getppid() != supervised->supervisor)
        (void)raise(SIGTERM);
}

static void on_read(struct bufferevent *channel, void *arg)
{
    struct supervised *supervised = arg;
    struct evbuffer *input = bufferevent_get_input(channel);
    for (char *line; (line = evbuffer_readln(input, NULL, EVBUFFER_EOL_LF)) != NULL; free(line)) {
        if (strcmp(line, "stop") == 0)
            supervised->on_stop(supervised->self);
    }
}

static void on_event(struct bufferevent *channel, short what, void *arg)
{
    struct supervised *supervised = arg;
    if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) == 0)
        return;
    (void)bufferevent_disable(channel, EV_READ | EV_WRITE);
    supervised->on_stop(supervised->self);
}

bool supervised_listen(struct supervised *supervised, struct event_base *base,
                       void (*on_stop)(void *self), void *self)
{
    if (!supervised->on)
        return true;
    supervised->on_stop = on_stop;
    supervised->self = self;
    (void)evutil_make_socket_nonblocking(supervised->fd);
    supervised->channel = bufferevent_socket_new(base, supervised->fd, BEV_OPT_CLOSE_ON_FREE);
    if (supervised->channel == NULL)
        return false;
    bufferevent_setcb(supervised->channel, on_read, NULL, on_event, supervised);
    return bufferevent_enable(supervised->channel, EV_READ | EV_WRITE) == 0;
}

void supervised_report(struct supervised *supervised, const json_t *report)
{
    if (supervised->channel == NULL || report == NULL ||
        evbuffer_get_length(bufferevent_get_output(supervised->channel)) > 0)
        return;
    char *text = json_dumps(report, JSON_COMPACT);
    if (text == NULL)
        return;
    (void)bufferevent_write(supervised->channel, text, strlen(text));
    (void)bufferevent_write(supervised->channel, "\n", 1);
    free(text);
}

void supervised_release(struct supervised *supervised)
{
    if (supervised->channel != NULL)
        bufferevent_free(supervised->channel);
    else if (supervised->fd >= 0)
        (void)close(supervised->fd);
    supervised->channel = NULL;
    supervised->fd = -1;
}
