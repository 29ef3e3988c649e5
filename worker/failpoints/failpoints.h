/*
 * Failpoints: named places where a worker can be made to die, freeze, wait or fail on purpose.
 *
 * They exist only in a build of their own (`make FAILPOINTS=1`, into build/chaos), for tests/chaos;
 * in the product each is nothing. The engine has none: all but a few stand at its doors, in ports
 * that are wrapped around the real ones, so that a failure strikes where the outside world begins.
 *
 *   ATTEMPTD_FAILPOINT=NAME:ACTION[:NTH]   armed from the start
 *   ATTEMPTD_FAILPOINT_FILE=PATH           armed at any time: once PATH is there, its text is taken
 *                                          in the same form, and PATH removed
 *
 * ACTION is kill (SIGKILL), term (SIGTERM, and the place is left as it was), stop (SIGSTOP;
 * somebody has to send SIGCONT), error (what is being done fails, where the place can fail; else
 * nothing) or a number of milliseconds to sleep. It strikes once, at the NTH time that the place is
 * passed (1 unless given), and says so by making PATH.struck before it strikes.
 *
 *   after_poll                a record was read
 *   after_decode              ... and is in the batch
 *   before_begin              a transaction is about to begin; error: the connection is lost
 *   after_cas                 the ledger has moved, the rest of the statement's answers are to come
 *   after_write               the rows are written; error: the connection is lost
 *   before_commit_sent        error: the connection is lost, and nobody knows what became of it
 *   after_commit_sent         the answer is not there yet; error: as above
 *   after_commit_ok           COMMIT was answered; error: the answer is lost
 *   before_publish            error: the queue is full
 *   after_publish_before_ack  a message is on its way
 *   after_ack_before_mark     a message has arrived, and the ledger does not know it yet
 *   in_assign, in_revoke      news of the group is about to be told to the engine
 *   in_claim                  the epochs are about to be raised; error: the connection is lost
 *   in_recall                 what is to be told again is about to be read; the same
 *   in_dead_letter            a transaction with dead letters is about to close; the same
 *   in_shutdown               an end was asked for
 */
#ifndef WORKER_FAILPOINTS_FAILPOINTS_H
#define WORKER_FAILPOINTS_FAILPOINTS_H

#include "worker/engine/ports.h"

#ifdef FAILPOINTS

/* The place `name` is passed. True when what is being done there has to fail. */
bool failpoint(const char *name);

/* Puts the places at the engine's doors in front of the real ports. One engine a process. */
void failpoints_wrap(struct source *source, struct store *store, struct publisher *publisher);

#else

static inline bool failpoint(const char *name)
{
    (void)name;
    return false;
}

static inline void failpoints_wrap(struct source *source, struct store *store,
                                   struct publisher *publisher)
{
    (void)source;
    (void)store;
    (void)publisher;
}

#endif

#endif
