/*
 * The Kafka consumer as the engine's source (worker/engine/ports.h).
 *
 * The rebalance callback only takes note: the group's new partitions are reported by
 * SOURCE_ASSIGNED and read only when the engine, having asked the ledger, assigns positions. Every
 * (re)positioning is one assign() of the whole list, which throws away what was read ahead; pause,
 * resume, seek and the batch calls are never used (reliability study H11, H12: they lose records in
 * librdkafka 2.0.2). Partitions are assigned eagerly: ASSIGNED always lists all of ours, after
 * REVOKED none is.
 *
 * Errors of a partition:
 *   - a batch that fails its checksum or cannot be unpacked: SOURCE_STOPPED, code "corrupt".
 *     librdkafka would go on behind it, so read() gives nothing more until assign() is called.
 *   - the position is not in the log: SOURCE_STOPPED, code "out_of_range".
 *   - a fetch refused by a broker that does not know the partition or no longer leads it: the topic
 *     may have been made anew, or a replica elected that lacks records. librdkafka repeats the
 * fetch without a word; a line of `debug=topic` is the only sign, so that is switched on and
 * watched. SOURCE_SUSPECT for all partitions, and read() gives nothing more until assign() is
 * called.
 *   - no rights, topic gone, broker away: SOURCE_TROUBLE for people (each at most twice a minute)
 *     and, where the log may have been replaced meanwhile, SOURCE_SUSPECT. librdkafka goes on by
 *     itself. SOURCE_TROUBLE with ERR_BUG and code "fatal" means that this client is finished: end
 *     the process and start another.
 *
 * Waking: librdkafka writes to one eventfd when a queue that was empty gets something, so it is an
 * edge: on a wake-up call kafka_source_clear() first, then read until READ_NOTHING, or remember
 * that there may be more.
 */
#ifndef WORKER_KAFKA_KAFKA_SOURCE_H
#define WORKER_KAFKA_KAFKA_SOURCE_H

#include "worker/engine/ports.h"
#include "worker/kafka/kafka_conf.h"

struct kafka_source;

/* Joins the group. NULL on failure; `options` and what it points to must outlive the source. */
struct kafka_source *kafka_source_new(const struct kafka_options *options, struct err *err);

/* Leaves the group, for which Kafka gets at most five seconds; NULL is fine. */
void kafka_source_free(struct kafka_source *source);

struct source kafka_source_port(struct kafka_source *source);

/*
 * What the client knows of a log without asking. For people, never for decisions: it is as old as
 * the last answer to a fetch, and while nothing is read (the database is away, the queue is full)
 * none comes.
 */
struct kafka_log_view {
    int64_t high;     /* the high watermark: its end, with what open transactions hold back; -1
                         while it is not read, and before the first fetch */
    bool at_end;      /* read up to what the broker gives; false anew with each assign */
    bool withheld;    /* the broker gives nothing from `position` on, although there is something */
    int64_t position; /* the next record to be read; set when `high` is */
};
struct kafka_log_view kafka_source_log(const struct kafka_source *source, struct tp tp);

/* For the loop: readable when there may be news. */
int kafka_source_fd(const struct kafka_source *source);
void kafka_source_clear(struct kafka_source *source);

#endif
