/*
 * What somebody reads at night when records are in the log and no reader gets them.
 *
 * A transaction that a producer opened and never ended holds back everything behind it: the broker
 * calls the place where it began the end of the log, to every reader of committed records. Nothing
 * fails and nothing is slow. What shows it is a high watermark beyond an end that we have reached;
 * between two fetches that is nothing, so it is told when it has stood for a minute: one line when
 * it begins, one when it is over. That it is over is seen only by getting past the place: a log
 * that is read anew, after a start-over, says nothing until then. A partition that goes to another
 * worker is that one's to tell of, and is forgotten here.
 */
#ifndef WORKER_COMMANDS_WITHHELD_H
#define WORKER_COMMANDS_WITHHELD_H

#include "common/log.h"
#include "worker/engine/engine.h"
#include "worker/kafka/kafka_source.h"
#include "worker/settings.h"

#define WITHHELD_TOLD_AFTER_MS 60000
#define WITHHELD_MAX           32 /* partitions at a time: of more, those are told */

struct withheld_log {
    struct tp tp;
    int64_t position, since_ms;
    bool told;
};

struct withheld {
    const struct log *log;
    const struct settings *settings; /* names of topics */
    struct withheld_log logs[WITHHELD_MAX];
    size_t count;
    int64_t look_next_ms;
};

void withheld_init(struct withheld *withheld, const struct log *log,
                   const struct settings *settings);

/* Looks at all partitions of the engine, once a second however often it is called. */
void withheld_look(struct withheld *withheld, const struct engine *engine,
                   const struct kafka_source *source);

/* What is known of one of them now. */
void withheld_note(struct withheld *withheld, struct tp tp, const struct kafka_log_view *view);

/* Forgets without a word all others: whoever has them now tells of them. */
void withheld_keep(struct withheld *withheld, const struct partition_status *partitions,
                   size_t count);

/* The sentence that says what to do about it; `offset` is where the transaction begins. */
#define WITHHELD_STEP_MAX (3 * TOPIC_NAME_MAX + 512)
void withheld_next_step(char step[static WITHHELD_STEP_MAX], const char *topic, long long partition,
                        long long offset);

#endif
