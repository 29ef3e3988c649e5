#include "common/log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void log_sink_init(struct log_sink *sink, int fd)
{
    struct stat about;
    bool known = fstat(fd, &about) == 0;
    *sink = (struct log_sink){ .fd = fd, .socket = known && S_ISSOCK(about.st_mode) };
    if (!known || !S_ISFIFO(about.st_mode))
        return;
    char path[40];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int own = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (own < 0)
        return; /* somebody else's pipe: then poll() alone has to do */
    sink->fd = own;
    sink->own = true;
}

void log_sink_release(struct log_sink *sink)
{
    if (sink->own)
        (void)close(sink->fd);
    *sink = (struct log_sink){ .fd = -1 };
}

bool log_sink_ready(struct log_sink *sink)
{
    struct pollfd room = { .fd = sink->fd, .events = POLLOUT };
    /* Whoever waited once in vain does not wait again. */
    if (poll(&room, 1, sink->lost == 0 ? LOG_SINK_WAIT_MS : 0) != 0)
        return true;
    sink->lost++;
    return false;
}

static ssize_t write_now(const struct log_sink *sink, const char *line, size_t len)
{
    return sink->socket ? send(sink->fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL)
                        : write(sink->fd, line, len);
}

void log_sink_write(struct log_sink *sink, const char *line, size_t len)
{
    ssize_t written;
    while ((written = write_now(sink, line, len)) < 0 && errno == EINTR)
        continue;
    if (written < 0 && errno == EAGAIN) /* somebody else took the room */
        sink->lost++;
}
