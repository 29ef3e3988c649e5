/*
 * The contents of what the replay of one partition stores: activity events and rejected writes,
 * collected as they come and compared in batches.
 */
#ifndef WORKER_COMMANDS_AUDIT_CONTENTS_H
#define WORKER_COMMANDS_AUDIT_CONTENTS_H

#include "worker/commands/audit_batch.h"
#include "worker/commands/audit_work.h"

struct audit_contents {
    struct audit *audit;
    const struct audit_partition *partition;
    struct audit_batch activity, rejected;
};

void audit_contents_init(struct audit_contents *contents, struct audit *audit,
                         const struct audit_partition *partition);
void audit_contents_release(struct audit_contents *contents);

/* For the model: takes the activity that must be stored. */
struct model_sink audit_contents_sink(struct audit_contents *contents);

/* A write that must be in rejected_writes. */
void audit_contents_rejected(struct audit_contents *contents, const struct event *event,
                             int64_t offset);

/* Compares when enough has come, or in any case. */
bool audit_contents_compare(struct audit_contents *contents, bool all, struct err *err);

#endif
