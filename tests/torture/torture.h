/*
 * Fails one call of ours, once.
 *
 * Everything is in a file that TORTURE_FILE names and that all processes of one run map: forked
 * and executed ones count on where the first was. A *position* is the way by which our code came
 * to a call: the call's name and the return addresses above it, as far as they are ours. It is the
 * same in each run of one binary, whatever the threads and timers do meanwhile. The header of the
 * file says which time at which position fails; the rest of it is where the process has been.
 * Without the variable nothing fails and nothing is counted.
 *
 * The layout is known to tests/torture/run as well.
 */
#ifndef TESTS_TORTURE_TORTURE_H
#define TESTS_TORTURE_TORTURE_H

#include <dirent.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <fcntl.h>
#include <jansson.h>
#include <libpq-fe.h>
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TORTURE_DEPTH     6
#define TORTURE_POSITIONS 16384

/* What the values in calls.list are written with. */
#define OUT_OF_MEMORY  (errno = ENOMEM, NULL)
#define FAILED(number) (errno = (number), -1)
#define CALL(name)     __real_##name
#define WHY(text, len) ((void)snprintf(text, len, "torture"))

struct torture_position {
    _Atomic uint64_t hash;          /* 0: free */
    uint32_t frames[TORTURE_DEPTH]; /* return addresses less the program's; 0 after the last */
    _Atomic uint32_t count;
    char call[44];
};

struct torture_file {
    uint64_t hash;  /* which position fails; 0 for none */
    uint32_t times; /* the how manieth time, the first being 1 */
    _Atomic uint32_t failed;
    struct torture_position positions[TORTURE_POSITIONS];
};

/* Counts the call, and says whether it is the one that fails. `frame` is the wrapper's. */
bool torture_fails(const char *call, void *frame);

/* A result that says that the real one was lost. */
PGresult *torture_lost_result(PGconn *conn);

#endif
