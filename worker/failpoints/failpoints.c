#ifndef FAILPOINTS
#define FAILPOINTS
#endif
#include "worker/failpoints/failpoints.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum action { ACTION_NONE, ACTION_KILL, ACTION_TERM, ACTION_STOP, ACTION_ERROR, ACTION_SLEEP };

#define SPEC_MAX 96
#define PATH_LEN 512

/* The one exception to "no globals": a place has no object to keep this in, and the product has
 * none of it. */
static struct {
    bool begun;
    const char *file; /* NULL without one */
    char name[SPEC_MAX];
    enum action action;
    long sleep_ms;
    unsigned long left; /* passes until it strikes */
} armed;

/* ---------------------------------------------------------------------------------- one place */

static enum action action_of(const char *word, long *ret_sleep_ms)
{
    char *end;
    *ret_sleep_ms = strtol(word, &end, 10);
    if (end != word && *end == '\0')
        return ACTION_SLEEP;
    return strcmp(word, "kill") == 0    ? ACTION_KILL
           : strcmp(word, "term") == 0  ? ACTION_TERM
           : strcmp(word, "stop") == 0  ? ACTION_STOP
           : strcmp(word, "error") == 0 ? ACTION_ERROR
                                        : ACTION_NONE;
}

static void arm(char *spec)
{
    char *rest = spec;
    const char *name = strsep(&rest, ":\n");
    const char *word = strsep(&rest, ":\n");
    const char *nth = strsep(&rest, ":\n");
    armed.action = word == NULL ? ACTION_NONE : action_of(word, &armed.sleep_ms);
    armed.left = nth == NULL || nth[0] == '\0' ? 1 : strtoul(nth, NULL, 10);
    (void)snprintf(armed.name, sizeof armed.name, "%s", name);
    if (armed.action == ACTION_NONE)
        (void)fprintf(stderr, "failpoint %s: no action\n", name);
}

static void begin(void)
{
    armed.begun = true;
    armed.file = getenv("ATTEMPTD_FAILPOINT_FILE");
    const char *wanted = getenv("ATTEMPTD_FAILPOINT");
    char spec[SPEC_MAX];
    if (wanted != NULL && snprintf(spec, sizeof spec, "%s", wanted) < SPEC_MAX)
        arm(spec);
}

/* Whoever arms a place makes the file under another name and renames it, so it is whole. */
static void look_for_file(void)
{
    int fd = armed.file == NULL ? -1 : open(armed.file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    char spec[SPEC_MAX];
    ssize_t got = read(fd, spec, sizeof spec - 1);
    (void)close(fd);
    (void)unlink(armed.file);
    if (got <= 0)
        return;
    spec[got] = '\0';
    arm(spec);
}

static void tell(void)
{
    char path[PATH_LEN];
    if (armed.file == NULL || snprintf(path, sizeof path, "%s.struck", armed.file) >= PATH_LEN)
        return;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd >= 0)
        (void)close(fd);
}

static void nap(long ms)
{
    struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

bool failpoint(const char *name)
{
    if (!armed.begun)
        begin();
    look_for_file();
    if (armed.action == ACTION_NONE || strcmp(armed.name, name) != 0 || --armed.left > 0)
        return false;
    enum action action = armed.action;
    armed.action = ACTION_NONE;
    tell();
    switch (action) {
    case ACTION_KILL:
        (void)raise(SIGKILL);
        break;
    case ACTION_TERM:
        (void)raise(SIGTERM);
        break;
    case ACTION_STOP:
        (void)raise(SIGSTOP);
        break;
    case ACTION_SLEEP:
        nap(armed.sleep_ms);
        break;
    case ACTION_ERROR:
        return true;
    case ACTION_NONE:
        break;
    }
    return false;
}

/* ---------------------------------------------------------------------------------- the doors */

/* The real ports. Their other functions stay where they are. */
static struct {
    struct source source;
    struct store store;
    struct publisher publisher;
    enum store_step step; /* of the call in progress */
    bool busy;
    bool lost;    /* poll has to fail: the connection was given up by a place */
    bool waiting; /* COMMIT is on its way */
    bool record_read;
} door;

static void next(void *self, struct source_event *ret)
{
    door.source.next(self, ret);
    if (ret->kind == SOURCE_ASSIGNED)
        (void)failpoint("in_assign");
    else if (ret->kind == SOURCE_REVOKED)
        (void)failpoint("in_revoke");
}

static enum read_result read_record(void *self, struct tp tp, struct record *ret_record,
                                    int64_t *ret_end)
{
    if (door.record_read)
        (void)failpoint("after_decode");
    enum read_result result = door.source.read(self, tp, ret_record, ret_end);
    door.record_read = result == READ_RECORD;
    if (door.record_read)
        (void)failpoint("after_poll");
    return result;
}

static bool fails_at_start(const struct store_call *call)
{
    switch (call->step) {
    case STORE_CLAIM:
        return failpoint("in_claim");
    case STORE_OPEN:
        return failpoint("before_begin");
    case STORE_CLOSE:
        if (call->plan->letter_count > 0 && failpoint("in_dead_letter"))
            return true;
        return failpoint("before_commit_sent");
    case STORE_RECALL:
        return failpoint("in_recall");
    default:
        return false;
    }
}

static void start(void *self, struct store_call *call)
{
    door.step = call->step;
    door.busy = true;
    door.lost = fails_at_start(call);
    if (door.lost)
        door.store.abandon(self);
    else
        door.store.start(self, call);
    door.waiting = call->step == STORE_CLOSE && !door.lost;
}

static bool fails_at_end(enum store_step step)
{
    switch (step) {
    case STORE_OPEN:
    case STORE_WRITE:
        return failpoint("after_write");
    case STORE_CLOSE:
        return failpoint("after_commit_ok");
    default:
        return false;
    }
}

static enum store_state lose(struct err *ret_err)
{
    door.busy = door.lost = door.waiting = false;
    (void)err_set(ret_err, ERR_LOST, "failpoint", "a failpoint broke the connection");
    return STORE_FAILED;
}

static enum store_state poll_store(void *self, struct err *ret_err)
{
    if (door.lost)
        return lose(ret_err);
    if (door.waiting) {
        door.waiting = false;
        if (failpoint("after_commit_sent"))
            door.store.abandon(self);
    }
    enum store_state state = door.store.poll(self, ret_err);
    bool ended = door.busy && state != STORE_BUSY;
    door.busy = door.busy && !ended;
    if (ended && state == STORE_OK && fails_at_end(door.step)) {
        door.store.abandon(self);
        return lose(ret_err);
    }
    return state;
}

static bool publish(void *self, uint64_t ticket, const struct message *message)
{
    if (failpoint("before_publish"))
        return false;
    bool taken = door.publisher.publish(self, ticket, message);
    if (taken)
        (void)failpoint("after_publish_before_ack");
    return taken;
}

static bool confirmed(void *self, uint64_t *ret_ticket)
{
    bool is = door.publisher.confirmed(self, ret_ticket);
    if (is)
        (void)failpoint("after_ack_before_mark");
    return is;
}

void failpoints_wrap(struct source *source, struct store *store, struct publisher *publisher)
{
    door.source = *source;
    door.store = *store;
    door.publisher = *publisher;
    source->next = next;
    source->read = read_record;
    store->start = start;
    store->poll = poll_store;
    publisher->publish = publish;
    publisher->confirmed = confirmed;
}
