/*
 * Do the two sessions of a worker see one ledger?
 *
 * When the housekeeper's session sees a partition of the ledger behind what was committed here, the
 * partition starts over, and its claim, which is the engine's session, finds out what is true.
 * Where that one finds nothing wrong, and the next look shows the same, the two are at different
 * servers, of which each takes writes: an old primary that nobody stopped. A worker cannot know
 * which of them is the right one, so it goes on where it is; an operator has to be told, and told
 * again when it is over. And since there is nothing to be found out any more, the looks are
 * believed more and more seldom, for as long as neither session is at another server: to start over
 * costs all that was read ahead.
 */
#ifndef WORKER_COMMANDS_SECOND_LOOK_H
#define WORKER_COMMANDS_SECOND_LOOK_H

#include "common/log.h"
#include "worker/postgres/pg_session.h"

/* Where the two sessions are: the server that is written to, and the one that is looked at. */
struct two_servers {
    char written_at[PG_SERVER_MAX], seen_at[PG_SERVER_MAX];
};

struct second_look {
    const struct log *log;
    bool doubted;               /* a look has started partitions over: */
    int64_t doubted_ms;         /* the last one then */
    int64_t deaf_ms;            /* and so long after it no other one may, */
    struct two_servers servers; /* while the sessions are where they were then */
    bool told;                  /* an operator has heard of it, and not of its end */
};

void second_look_init(struct second_look *look, const struct log *log);

/* May this look at the ledger start partitions over? */
bool second_look_counts(const struct second_look *look, const struct two_servers *servers);

/* It did, with so many; 0 is a look that shows nothing wrong. */
void second_look_done(struct second_look *look, size_t partitions,
                      const struct two_servers *servers);

#endif
