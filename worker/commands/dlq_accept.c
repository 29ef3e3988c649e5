/*
 * The operator's word that refused records are bad themselves: the brake, which takes a burst of
 * refusals for a fault of the database, lets them pass into dead_letters.
 *
 * The word is kept in the ledger's row and is read with the next claim, so that it needs no way to
 * a running worker. It ends at an offset and with the generation of the log: what comes later is
 * judged as ever.
 */
#include "worker/commands/command.h"
#include "worker/commands/dlq_work.h"
#include "worker/commands/facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static int check_words(const struct dlq *dlq)
{
    if (dlq->word_count != 3)
        return command_usage("dlq", "accept needs TOPIC PARTITION OFFSET, as the halt line and its "
                                    "error have them");
    for (int i = 1; i < 3; i++)
        if (!command_is_number(dlq->words[i]))
            return command_usage("dlq", "'%s' is no number of %s", dlq->words[i],
                                 i == 1 ? "a partition" : "a record");
    if (strlen(dlq->words[1]) > 9)
        return command_usage("dlq", "'%s' is no number of a partition", dlq->words[1]);
    if (dlq->reason == NULL || *dlq->reason == '\0')
        return command_usage("dlq", "accept needs --reason TEXT: it is kept in audit_log");
    return EX_OK;
}

static int report(const struct dlq *dlq, int64_t from)
{
    const char *topic = dlq->words[0], *partition = dlq->words[1], *offset = dlq->words[2];
    if (dlq->json)
        (void)printf("{\"topic\":\"%s\",\"partition\":%s,\"from_offset\":%" PRId64
                     ",\"to_offset\":%s}\n",
                     topic, partition, from, offset);
    else
        (void)printf("Accepted: what PostgreSQL refuses of %s partition %s, offsets %" PRId64
                     " to %s, becomes a dead letter; kept in audit_log.\n"
                     "A halted partition goes on within a minute; 'attemptd dlq list' then has "
                     "the letters.\n",
                     topic, partition, from, offset);
    return EX_OK;
}

int dlq_accept(struct dlq *dlq)
{
    struct err err;
    struct pg_rows *rows;
    int code = check_words(dlq);
    if (code != EX_OK)
        return code;
    const char *params[] = { dlq->words[0], dlq->words[1], dlq->words[2], dlq->reason };
    if (!dlq_connect(dlq, false, &err) ||
        !facts_run(dlq->db, "dlq_accept.sql", params, 4, &rows, &err))
        return command_fail("dlq", &err);
    bool known = pg_rows_count(rows) == 1;
    int64_t next = known ? pg_rows_int(rows, 0, 1) : 0;
    bool accepted = known && pg_rows_bool(rows, 0, 2);
    pg_rows_free(rows);
    if (!known)
        err_set(&err, ERR_REJECT, "topic",
                "the ledger has no row for topic %s, partition %s: 'attemptd status' names those "
                "that it has",
                dlq->words[0], dlq->words[1]);
    else if (!accepted)
        err_set(&err, ERR_REJECT, "moved",
                "nothing to accept: the partition is past offset %s already, its next record is "
                "%" PRId64,
                dlq->words[2], next);
    return accepted ? report(dlq, next) : command_fail("dlq", &err);
}
