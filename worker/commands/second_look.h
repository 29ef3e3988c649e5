/*
 * Do the two sessions of a worker see one ledger?
 *
 * When the housekeeper's session sees a partition of the ledger behind what was committed here, the
 * partition starts over, and its claim, which is the engine's session, finds out what is true.
 * Where that one finds nothing wrong, and the next look shows the same, the two are at different
 * servers, of which each takes writes: an old primary that nobody stopped. A worker cannot know
 * which of them is the right one, so it goes on where it is; an operator has to be told. And since
 * there is nothing to be found out any more, the looks are believed more and more seldom: to start
 * over costs all that was read ahead.
 */
#ifndef WORKER_COMMANDS_SECOND_LOOK_H
#define WORKER_COMMANDS_SECOND_LOOK_H

#include "common/log.h"

struct second_look {
    const struct log *log;
    bool doubted;       /* a look has started partitions over: */
    int64_t doubted_ms; /* the last one then */
    int64_t deaf_ms;    /* and so long after it no other one may */
};

void second_look_init(struct second_look *look, const struct log *log);

/* May this look at the ledger start partitions over? */
bool second_look_counts(const struct second_look *look);

/*
 * It did, so many. `written_at` is the server of the session that writes, `seen_at` that of the one
 * that looked.
 */
void second_look_doubts(struct second_look *look, size_t partitions, const char *written_at,
                        const char *seen_at);

#endif
