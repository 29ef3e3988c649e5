/*
 * The rows of rejected_writes and dead_letters of one partition, in the order of the log, a page at
 * a time: read beside the log, so that memory does not grow with either.
 */
#ifndef WORKER_COMMANDS_AUDIT_OUTCOMES_H
#define WORKER_COMMANDS_AUDIT_OUTCOMES_H

#include "worker/commands/audit_work.h"

struct audit_outcomes {
    struct pg_client *db;
    const struct audit_partition *partition;
    struct pg_rows *page;
    size_t row;
    int64_t next_from; /* the page after this one begins here */
    bool last_page;
};

/* A row, borrowed until the next call. */
struct audit_outcome {
    int64_t offset;
    enum outcome outcome;
    const char *reason, *event_id; /* "" for null */
    int64_t row_version;
    struct bytes key_hash, value_hash; /* SHA-256 in hex; absent for null, and if not dead */
    bool erased;
};

void audit_outcomes_init(struct audit_outcomes *outcomes, struct pg_client *db,
                         const struct audit_partition *partition);
void audit_outcomes_release(struct audit_outcomes *outcomes);

/* The next row; *ret_found is false at the end. */
bool audit_outcomes_peek(struct audit_outcomes *outcomes, bool *ret_found,
                         struct audit_outcome *ret, struct err *err);
void audit_outcomes_pass(struct audit_outcomes *outcomes);

#endif
