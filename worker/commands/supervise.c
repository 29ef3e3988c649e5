#include "worker/commands/supervise.h"
#include "common/backoff.h"
#include "worker/commands/drain.h"
#include "worker/commands/interrupt.h"
#include "worker/commands/supervised.h"
#include "worker/http/pages.h"
#include "worker/http/server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define TICK_MS          200
#define STEADY_MS        30000 /* a worker that lived so long starts its backoff anew */
#define REPORT_BYTES_MAX (4u << 20)

struct supervisor;

struct child {
    struct supervisor *supervisor;
    size_t index;
    pid_t pid; /* 0 while there is none */
    struct bufferevent *channel;
    json_t *report; /* the last one; NULL before */
    int64_t reported_ms, started_ms, restart_ms;
    struct backoff backoff;
};

struct supervisor {
    const struct supervise_options *options;
    struct event_base *base;
    struct event *signals[4], *tick;
    struct http_server *http;
    struct child *children;
    struct clock clock;
    struct rng rng;
    int64_t begun_ms, stop_at_ms; /* stop_at_ms: 0 until somebody wants an end */
    uint64_t restarts;
    int code;    /* the worst so far */
    bool killed; /* those who did not end */
    bool done;
};

struct supervise_options supervise_options_default(void)
{
    return (struct supervise_options){
        .workers = 2,
        .restart_base_ms = 200,
        .restart_cap_ms = 30000,
        .stop_ms = 9500,
        .silence_ms = 10000,
    };
}

static int64_t now_ms(const struct supervisor *s)
{
    return clock_monotonic_ms(&s->clock);
}

static void worsen(struct supervisor *s, int code)
{
    if (code > s->code)
        s->code = code;
}

/* ------------------------------------------------------------------------------------ status */

static json_t *child_status(const struct child *child, int64_t now)
{
    int64_t silence_ms = child->supervisor->options->silence_ms;
    const char *state = child->pid == 0                         ? "dead"
                        : child->report == NULL                 ? "starting"
                        : now - child->reported_ms > silence_ms ? "silent"
                                                                : NULL;
    json_t *status =
        child->report == NULL || child->pid == 0 ? json_object() : json_copy(child->report);
    if (status == NULL)
        return NULL;
    (void)json_object_set_new(status, "worker", json_integer((json_int_t)child->index));
    if (child->pid != 0)
        (void)json_object_set_new(status, "pid", json_integer(child->pid));
    if (state != NULL)
        (void)json_object_set_new(status, "state", json_string(state));
    return status;
}

static json_t *status(void *self)
{
    const struct supervisor *s = self;
    int64_t now = now_ms(s);
    json_t *workers = json_array();
    for (size_t i = 0; i < s->options->workers; i++)
        (void)json_array_append_new(workers, child_status(&s->children[i], now));
    return json_pack("{s:s, s:I, s:I, s:o}", "version", ATTEMPTD_VERSION, "uptime_s",
                     (json_int_t)((now - s->begun_ms) / 1000), "restarts", (json_int_t)s->restarts,
                     "workers", workers);
}

/* ---------------------------------------------------------------------------------- channels */

static void take_report(struct child *child, const char *line)
{
    json_t *report = json_loads(line, 0, NULL);
    if (!json_is_object(report)) {
        json_decref(report);
        return;
    }
    json_decref(child->report);
    child->report = report;
    child->reported_ms = now_ms(child->supervisor);
}

static void on_read(struct bufferevent *channel, void *arg)
{
    struct child *child = arg;
    struct evbuffer *input = bufferevent_get_input(channel);
    for (char *line; (line = evbuffer_readln(input, NULL, EVBUFFER_EOL_LF)) != NULL; free(line))
        take_report(child, line);
    if (evbuffer_get_length(input) > REPORT_BYTES_MAX)
        (void)evbuffer_drain(input, evbuffer_get_length(input));
}

static void on_channel_event(struct bufferevent *channel, short what, void *arg)
{
    (void)arg;
    /* That the worker is gone is SIGCHLD's news; here nothing more is to be read. */
    if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0)
        (void)bufferevent_disable(channel, EV_READ | EV_WRITE);
}

static void close_channel(struct child *child)
{
    if (child->channel != NULL)
        bufferevent_free(child->channel);
    child->channel = NULL;
    json_decref(child->report);
    child->report = NULL;
}

static void ask_to_stop(struct child *child)
{
    if (child->channel != NULL)
        (void)bufferevent_write(child->channel, "stop\n", 5);
}

/* ---------------------------------------------------------------------------------- children */

/* In the child. Only async-signal-safe calls, for librdkafka may have threads in the parent. */
static void become_worker(const struct supervise_options *options, char **environment,
                          const sigset_t *mask)
{
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGCHLD, SIG_DFL);
    if (interrupt_hangup_counts())
        (void)signal(SIGHUP, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
    (void)execve(options->program, options->argv, environment);
    _exit(EX_OSERR);
}

/* The environment with our variable in front; NULL when memory is short. */
static char **child_environment(char *variable)
{
    size_t count = 0;
    while (environ[count] != NULL)
        count++;
    char **environment = calloc(count + 2, sizeof *environment);
    if (environment == NULL)
        return NULL;
    environment[0] = variable;
    memcpy(environment + 1, environ, count * sizeof *environment);
    return environment;
}

/*
 * Signals are blocked around fork(): one that arrived in the child before exec would be written
 * into the parent's loop by the handler that both still share.
 */
static pid_t fork_worker(struct supervisor *s, const struct child *child, int fd)
{
    char variable[96];
    (void)snprintf(variable, sizeof variable, SUPERVISED_VARIABLE "=%zu:%d:%d", child->index, fd,
                   (int)getpid());
    char **environment = child_environment(variable);
    if (environment == NULL)
        return -1;
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        become_worker(s->options, environment, &before);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    free(environment);
    return pid;
}

static bool start_child(struct supervisor *s, struct child *child)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    /* dup() does not copy close-on-exec: of all descriptors only this one reaches the worker. */
    int theirs = dup(pair[1]);
    (void)close(pair[1]);
    (void)evutil_make_socket_nonblocking(pair[0]);
    child->channel = bufferevent_socket_new(s->base, pair[0], BEV_OPT_CLOSE_ON_FREE);
    pid_t pid = theirs < 0 || child->channel == NULL ? -1 : fork_worker(s, child, theirs);
    if (theirs >= 0)
        (void)close(theirs);
    if (pid < 0) {
        if (child->channel == NULL)
            (void)close(pair[0]);
        close_channel(child);
        return false;
    }
    bufferevent_setcb(child->channel, on_read, NULL, on_channel_event, child);
    (void)bufferevent_enable(child->channel, EV_READ | EV_WRITE);
    child->pid = pid;
    child->started_ms = now_ms(s);
    log_line(s->options->log, LEVEL_INFO, "worker started",
             FIELDS(FIELD_INT("worker", child->index), FIELD_INT("pid", pid)));
    return true;
}

static void start_or_retry(struct supervisor *s, struct child *child)
{
    child->restart_ms = 0;
    if (start_child(s, child))
        return;
    int64_t wait_ms = backoff_next_ms(&child->backoff, &s->rng);
    child->restart_ms = now_ms(s) + wait_ms;
    log_line(s->options->log, LEVEL_ERROR, "a worker cannot be started",
             FIELDS(FIELD_INT("worker", child->index), FIELD_TEXT("error", strerror(errno)),
                    FIELD_INT("next_try_ms", wait_ms),
                    FIELD_TEXT("next_step", "the others go on; if it stays so, this machine or a "
                                            "limit (ulimit -u, ulimit -n, a container's memory) "
                                            "leaves no room for another process")));
}

static void stop(struct supervisor *s, const char *why)
{
    if (s->stop_at_ms != 0)
        return;
    s->stop_at_ms = now_ms(s) + s->options->stop_ms;
    log_line(s->options->log, LEVEL_INFO, "stopping all workers", FIELDS(FIELD_TEXT("why", why)));
    for (size_t i = 0; i < s->options->workers; i++) {
        s->children[i].restart_ms = 0;
        ask_to_stop(&s->children[i]);
    }
}

static void kill_all(struct supervisor *s)
{
    for (size_t i = 0; i < s->options->workers; i++) {
        if (s->children[i].pid != 0)
            (void)kill(s->children[i].pid, SIGKILL);
    }
}

static bool others_live(const struct supervisor *s, const struct child *child)
{
    for (size_t i = 0; i < s->options->workers; i++)
        if (&s->children[i] != child && s->children[i].pid != 0)
            return true;
    return false;
}

/* Nothing is lost by an end like these; what to look into if nobody meant it. */
static const char *restart_advice(int signal_number)
{
    switch (signal_number) {
    case SIGKILL:
        return "if nobody killed it, the system did for its memory (see the kernel's log): lower "
               "ATTEMPTD_MEMORY_MB, or give it more";
    case SIGSEGV:
    case SIGBUS:
    case SIGABRT:
    case SIGFPE:
    case SIGILL:
        return "this is a bug: keep the core file and the lines before this one, and report it; if "
               "it comes again at once, a record may cause it";
    default:
        return NULL;
    }
}

/* A worker has ended by itself or by somebody's hand, while nobody wanted an end. */
static void plan_restart(struct supervisor *s, struct child *child, int how)
{
    int64_t now = now_ms(s);
    if (now - child->started_ms > STEADY_MS)
        backoff_reset(&child->backoff);
    int64_t wait_ms = backoff_next_ms(&child->backoff, &s->rng);
    bool killed = WIFSIGNALED(how);
    if (killed && wait_ms < s->options->session_ms && others_live(s, child))
        wait_ms = s->options->session_ms;
    child->restart_ms = now + wait_ms;
    s->restarts++;
    log_line(s->options->log, LEVEL_WARN, "worker ended; it will be started again",
             FIELDS(FIELD_TEXT("next_step", restart_advice(killed ? WTERMSIG(how) : 0)),
                    FIELD_INT("worker", child->index),
                    FIELD_TEXT("signal", killed ? strsignal(WTERMSIG(how)) : NULL),
                    FIELD_INT("exit_code", killed ? 128 + WTERMSIG(how) : WEXITSTATUS(how)),
                    FIELD_INT("next_try_ms", wait_ms)));
}

static void child_ended(struct supervisor *s, struct child *child, int how)
{
    int code = WIFEXITED(how) ? WEXITSTATUS(how) : EX_SOFTWARE;
    child->pid = 0;
    close_channel(child);
    if (s->stop_at_ms != 0) {
        worsen(s, code);
        log_line(s->options->log, code == 0 ? LEVEL_INFO : LEVEL_WARN, "worker ended",
                 FIELDS(FIELD_INT("worker", child->index), FIELD_INT("exit_code", code)));
    } else if (code == EX_USAGE || code == EX_CONFIG) {
        worsen(s, code);
        stop(s, "a worker refuses its settings");
    } else {
        plan_restart(s, child, how);
    }
}

/* -------------------------------------------------------------------------------------- loop */

static void on_child(evutil_socket_t signal_number, short what, void *arg)
{
    (void)signal_number;
    (void)what;
    struct supervisor *s = arg;
    /* By pid, never "any child": others in this process may have children of their own. */
    for (size_t i = 0; i < s->options->workers; i++) {
        int how = 0;
        struct child *child = &s->children[i];
        if (child->pid != 0 && waitpid(child->pid, &how, WNOHANG) == child->pid)
            child_ended(s, child, how);
    }
}

static void on_signal(evutil_socket_t signal_number, short what, void *arg)
{
    (void)what;
    struct supervisor *s = arg;
    if (s->stop_at_ms == 0) {
        if (s->options->settled != NULL)
            drain_cut_short(s->options->log);
        stop(s, interrupt_name((int)signal_number));
        return;
    }
    log_line(s->options->log, LEVEL_WARN, "second signal: ending at once", NULL);
    kill_all(s);
    worsen(s, 128 + (int)signal_number);
    s->done = true;
}

static bool any_child(const struct supervisor *s)
{
    for (size_t i = 0; i < s->options->workers; i++) {
        if (s->children[i].pid != 0)
            return true;
    }
    return false;
}

static void check_settled(struct supervisor *s)
{
    if (s->options->settled == NULL || s->stop_at_ms != 0)
        return;
    json_t *document = status(s);
    int code = EX_OK;
    if (document != NULL && s->options->settled(s->options->self, document, &code)) {
        worsen(s, code);
        stop(s, "drained");
    }
    json_decref(document);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct supervisor *s = arg;
    int64_t now = now_ms(s);
    on_child(SIGCHLD, 0, s); /* signals of several children may have become one */
    check_settled(s);
    for (size_t i = 0; i < s->options->workers && s->stop_at_ms == 0; i++) {
        if (s->children[i].restart_ms != 0 && now >= s->children[i].restart_ms)
            start_or_retry(s, &s->children[i]);
    }
    if (s->stop_at_ms != 0 && now >= s->stop_at_ms && any_child(s)) {
        if (!s->killed)
            log_line(s->options->log, LEVEL_ERROR, "workers that do not end are killed", NULL);
        s->killed = true;
        kill_all(s);
    }
}

static bool set_up_loop(struct supervisor *s)
{
    static const int numbers[] = { SIGTERM, SIGINT, SIGCHLD, SIGHUP };
    struct timeval tick = { .tv_usec = TICK_MS * 1000 };
    s->base = event_base_new();
    if (s->base == NULL)
        return false;
    for (size_t i = 0; i < 4; i++) {
        if (numbers[i] == SIGHUP && !interrupt_hangup_counts())
            continue;
        s->signals[i] =
            evsignal_new(s->base, numbers[i], numbers[i] == SIGCHLD ? on_child : on_signal, s);
        if (s->signals[i] == NULL || event_add(s->signals[i], NULL) != 0)
            return false;
    }
    s->tick = event_new(s->base, -1, EV_PERSIST, on_tick, s);
    return s->tick != NULL && event_add(s->tick, &tick) == 0;
}

static bool set_up(struct supervisor *s, struct err *err)
{
    const struct supervise_options *o = s->options;
    s->clock = clock_system();
    s->begun_ms = now_ms(s);
    s->rng.state = (uint64_t)clock_wall_us(&s->clock) ^ (uint64_t)getpid();
    s->children = calloc(o->workers, sizeof *s->children);
    if (s->children == NULL || !set_up_loop(s))
        return err_set(err, ERR_RESOURCE, "memory", "no memory for the supervisor");
    for (size_t i = 0; i < o->workers; i++)
        s->children[i] = (struct child){
            .supervisor = s,
            .index = i,
            .backoff = { .base_ms = o->restart_base_ms, .cap_ms = o->restart_cap_ms },
        };
    if (!o->http_on)
        return true;
    struct http_content content = { .self = s, .status = status };
    s->http = http_server_new(s->base, o->http_host, o->http_port, &content, err);
    if (s->http == NULL)
        return false;
    log_line(
        o->log, LEVEL_INFO, "http listens",
        FIELDS(FIELD_TEXT("address", o->http_host), FIELD_INT("port", http_server_port(s->http))));
    return true;
}

static void release(struct supervisor *s)
{
    for (size_t i = 0; s->children != NULL && i < s->options->workers; i++)
        close_channel(&s->children[i]);
    free(s->children);
    http_server_free(s->http);
    for (size_t i = 0; i < 4; i++) {
        if (s->signals[i] != NULL)
            event_free(s->signals[i]);
    }
    if (s->tick != NULL)
        event_free(s->tick);
    if (s->base != NULL)
        event_base_free(s->base);
}

int supervise(const struct supervise_options *options)
{
    struct supervisor s = { .options = options };
    struct err err;
    if (!set_up(&s, &err)) {
        log_line(options->log, LEVEL_ERROR, err.text, NULL);
        release(&s);
        return err.action == ERR_HALT ? EX_CONFIG : EX_UNAVAILABLE;
    }
    for (size_t i = 0; i < options->workers; i++)
        start_or_retry(&s, &s.children[i]);
    while (!s.done && (s.stop_at_ms == 0 || any_child(&s)))
        (void)event_base_loop(s.base, EVLOOP_ONCE);
    release(&s);
    return s.code;
}
