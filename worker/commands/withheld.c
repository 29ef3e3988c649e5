#include "worker/commands/withheld.h"

#include <stdio.h>

#define LOOK_MS 1000

void withheld_init(struct withheld *withheld, const struct log *log,
                   const struct settings *settings)
{
    *withheld = (struct withheld){ .log = log, .settings = settings };
}

void withheld_next_step(char step[static WITHHELD_STEP_MAX], const char *topic, long long partition,
                        long long offset)
{
    (void)snprintf(step, WITHHELD_STEP_MAX,
                   "find the producer that has not ended its transaction, with a tool of Kafka's: "
                   "'kafka-transactions.sh --bootstrap-server BROKER describe-producers --topic %s "
                   "--partition %lld'; stop it, or end the transaction: '... abort --topic %s "
                   "--partition %lld --start-offset %lld'. Its own records are lost then, those of "
                   "others come through. Producers need no transactions here: see README.md",
                   topic, partition, topic, partition, offset);
}

static void tell(const struct withheld *withheld, const struct withheld_log *log, int64_t high)
{
    const char *topic = withheld->settings->topics[log->tp.topic];
    char step[WITHHELD_STEP_MAX];
    withheld_next_step(step, topic, log->tp.partition, log->position);
    log_line(withheld->log, LEVEL_WARN,
             "records wait in Kafka behind a producer's open transaction, and no reader gets them",
             FIELDS(FIELD_TEXT("topic", topic), FIELD_INT("partition", log->tp.partition),
                    FIELD_INT("offset", log->position), FIELD_INT("records", high - log->position),
                    FIELD_TEXT("next_step", step)));
}

static void tell_end(const struct withheld *withheld, const struct withheld_log *log)
{
    log_line(withheld->log, LEVEL_INFO, "the transaction that held records back has ended",
             FIELDS(FIELD_TEXT("topic", withheld->settings->topics[log->tp.topic]),
                    FIELD_INT("partition", log->tp.partition), FIELD_INT("offset", log->position)));
}

static struct withheld_log *find(struct withheld *withheld, struct tp tp)
{
    for (size_t i = 0; i < withheld->count; i++)
        if (tp_equal(withheld->logs[i].tp, tp))
            return &withheld->logs[i];
    return NULL;
}

static void forget(struct withheld *withheld, struct withheld_log *log)
{
    *log = withheld->logs[--withheld->count];
}

/*
 * After a start-over it is read again from before, and the high watermark is still the one that was
 * heard last: until it gets on, or to an end with nothing behind it, nothing is known.
 */
static bool is_over(const struct withheld_log *log, const struct kafka_log_view *view)
{
    return view->position > log->position || (view->at_end && view->high == view->position);
}

void withheld_note(struct withheld *withheld, struct tp tp, const struct kafka_log_view *view)
{
    int64_t now_ms = clock_monotonic_ms(&withheld->log->clock);
    struct withheld_log *log = find(withheld, tp);
    if (view->high < 0)
        return; /* not being read: nothing is known either way */
    if (log != NULL && is_over(log, view)) {
        if (log->told)
            tell_end(withheld, log);
        forget(withheld, log);
        log = NULL;
    }
    if (!view->withheld)
        return;
    bool begins = log == NULL && withheld->count < WITHHELD_MAX;
    if (begins)
        log = &withheld->logs[withheld->count++];
    if (begins || (log != NULL && view->position < log->position)) /* a log that was cut */
        *log = (struct withheld_log){ .tp = tp, .position = view->position, .since_ms = now_ms };
    if (log == NULL || log->told || now_ms - log->since_ms < WITHHELD_TOLD_AFTER_MS)
        return;
    log->told = true;
    tell(withheld, log, view->high);
}

void withheld_keep(struct withheld *withheld, const struct partition_status *partitions,
                   size_t count)
{
    for (size_t i = withheld->count; i-- > 0;) {
        bool ours = false;
        for (size_t p = 0; p < count && !ours; p++)
            ours = tp_equal(partitions[p].tp, withheld->logs[i].tp);
        if (!ours)
            forget(withheld, &withheld->logs[i]);
    }
}

void withheld_look(struct withheld *withheld, const struct engine *engine,
                   const struct kafka_source *source)
{
    int64_t now_ms = clock_monotonic_ms(&withheld->log->clock);
    if (now_ms < withheld->look_next_ms)
        return;
    withheld->look_next_ms = now_ms + LOOK_MS;
    struct engine_status status;
    engine_status(engine, &status);
    withheld_keep(withheld, status.partitions, status.partition_count);
    for (size_t i = 0; i < status.partition_count; i++) {
        struct kafka_log_view view = kafka_source_log(source, status.partitions[i].tp);
        withheld_note(withheld, status.partitions[i].tp, &view);
    }
}
