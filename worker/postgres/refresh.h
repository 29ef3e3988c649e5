/*
 * Refreshes a view while the caller waits, with the housekeeper's own statements.
 *
 * The invalidation is not published here: `published` of the schedule stays behind `refreshes`, so
 * the next running worker publishes it (within seconds).
 */
#ifndef WORKER_POSTGRES_REFRESH_H
#define WORKER_POSTGRES_REFRESH_H

#include "worker/postgres/pg_client.h"

struct refresh {
    int64_t refreshes; /* the number of this refresh */
    int64_t duration_ms;
    int64_t position; /* of the ledger, as the view shows it now */
};

/*
 * Waits for whoever is refreshing the same view. A failure is recorded in the schedule as well.
 * A view that is not scheduled is ERR_REJECT.
 */
bool refresh_view(struct pg_client *client, const char *view, struct refresh *ret, struct err *err);

#endif
