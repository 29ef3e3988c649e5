/*
 * What accept-gap has to know of one partition: its row in the ledger, its log, and whether the
 * record where the ledger stands is the one that it remembers. Each call blocks, seconds at most
 * (thirty when the broker gives nothing).
 */
#ifndef WORKER_COMMANDS_GAP_FACTS_H
#define WORKER_COMMANDS_GAP_FACTS_H

#include "worker/commands/gap.h"
#include "worker/commands/kafka_setup.h"
#include "worker/engine/plan.h"
#include "worker/postgres/pg_client.h"

/* A partition with all that was found out about it. */
struct gap_place {
    const char *topic; /* full name */
    int32_t partition;
    struct gap_facts facts;
    int64_t committed;   /* of the group, if facts.has_committed */
    int64_t records;     /* settled by the ledger's row */
    char updated_at[32]; /* when the row moved last */
    bool has_anchor;
    struct anchor anchor;
};

/* Fills everything but `topic` and `partition`, which are given. */
bool gap_facts_gather(struct gap_place *place, struct pg_client *db,
                      const struct kafka_setup *kafka, struct kafka_admin *admin, struct err *err);

#endif
