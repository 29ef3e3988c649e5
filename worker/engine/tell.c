/* The second half of announce.h: from facts to messages, as many as the publisher will take. */
#include "worker/engine/announce.h"
#include "worker/events/message.h"

#define MESSAGE_BYTES_MAX ((size_t)64 * 1024)

/*
 * The longest key that an outcome takes over from its record. No key of ours is longer than a
 * view's name; one that fills a message by itself would make the outcome too large for Kafka for
 * ever, and everything behind it wait.
 */
#define KEY_BYTES_MAX ((size_t)512 * 1024)

void announcer_init(struct announcer *announcer, const struct publisher *publisher,
                    struct tickets *tickets, const char *const *topics, int64_t ttl_hint_s)
{
    *announcer = (struct announcer){
        .publisher = publisher, .tickets = tickets, .topics = topics, .ttl_hint_s = ttl_hint_s
    };
    buf_init(&announcer->value, MESSAGE_BYTES_MAX);
    buf_init(&announcer->id, MESSAGE_BYTES_MAX);
    buf_init(&announcer->key, MESSAGE_BYTES_MAX);
}

void announcer_release(struct announcer *announcer)
{
    buf_release(&announcer->value);
    buf_release(&announcer->id);
    buf_release(&announcer->key);
}

static struct place full_place(const struct announcer *announcer, const struct log_place *place)
{
    return (struct place){ .topic = announcer->topics[place->tp.topic],
                           .partition = place->tp.partition,
                           .generation = place->generation,
                           .offset = place->offset };
}

/* What all invalidations share; key and id are in the announcer's buffers. */
static struct message build_invalidation(struct announcer *announcer,
                                         struct invalidation invalidation)
{
    invalidation.key = buf_bytes(&announcer->key);
    invalidation.ttl_hint_s = announcer->ttl_hint_s;
    message_invalidation(&announcer->value, &invalidation);
    return (struct message){ .outlet = OUTLET_INVALIDATIONS,
                             .type = BYTES(INVALIDATION_TYPE),
                             .id = buf_bytes(&announcer->id),
                             .key = invalidation.key,
                             .value = buf_bytes(&announcer->value) };
}

static struct message tell_everything(struct announcer *announcer,
                                      const struct announcement *announcement)
{
    struct place place = full_place(announcer, &announcement->cut);
    buf_put(&announcer->key, BYTES(CACHE_KEY_ALL));
    message_id_of_key(&announcer->id, buf_bytes(&announcer->key), &place);
    return build_invalidation(
        announcer, (struct invalidation){ .scope = SCOPE_ALL,
                                          .committed_at_us = announcement->everything_at_us });
}

static struct message tell_change(struct announcer *announcer, const struct change *change)
{
    cache_key_attempt(&announcer->key, &change->attempt_id);
    message_id_of_revision(&announcer->id, buf_bytes(&announcer->key), change->revision);
    const struct uuid *exam_id = change->has_exam ? &change->exam_id : NULL;
    return build_invalidation(announcer, invalidation_of_attempt(change->version, change->revision,
                                                                 exam_id, change->committed_at_us));
}

static struct message tell_exam(struct announcer *announcer, const struct change *exam)
{
    struct place place = full_place(announcer, &exam->place);
    cache_key_exam_stats(&announcer->key, &exam->exam_id);
    message_id_of_key(&announcer->id, buf_bytes(&announcer->key), &place);
    return build_invalidation(announcer,
                              invalidation_of_exam(&exam->exam_id, exam->committed_at_us));
}

static struct message tell_verdict(struct announcer *announcer, const struct verdict *verdict)
{
    struct outcome_facts facts = { .has_attempt_id = verdict->has_attempt_id,
                                   .has_event_id = verdict->has_event_id,
                                   .attempt_id = verdict->attempt_id,
                                   .event_id = verdict->event_id,
                                   .outcome = verdict->outcome,
                                   .has_version = verdict->has_version,
                                   .version = verdict->version,
                                   .reason = verdict->reason,
                                   .has_missing = verdict->is_applied_submit,
                                   .missing = verdict->missing,
                                   .receipt = verdict->receipt,
                                   .place = full_place(announcer, &verdict->place),
                                   .committed_at_us = verdict->committed_at_us };
    message_outcome(&announcer->value, &facts);
    message_id_of_record(&announcer->id, &facts.place);
    return (struct message){ .outlet = OUTLET_OUTCOMES,
                             .type = BYTES(OUTCOME_TYPE),
                             .id = buf_bytes(&announcer->id),
                             .key = verdict->key.len <= KEY_BYTES_MAX ? verdict->key : BYTES_NONE,
                             .value = buf_bytes(&announcer->value),
                             .traceparent = verdict->traceparent };
}

/* Message number `n`, in the order: everything, changes, exams, verdicts. False: there is none. */
static bool build(struct announcer *announcer, const struct announcement *announcement, size_t n,
                  struct message *ret)
{
    buf_clear(&announcer->value);
    buf_clear(&announcer->id);
    buf_clear(&announcer->key);
    if (announcement->everything) {
        if (n == 0) {
            *ret = tell_everything(announcer, announcement);
            return true;
        }
        n--;
    }
    if (n < announcement->change_count) {
        *ret = tell_change(announcer, &announcement->changes[n]);
        return true;
    }
    n -= announcement->change_count;
    if (n < announcement->exam_count) {
        *ret = tell_exam(announcer, &announcement->exams[n]);
        return true;
    }
    n -= announcement->exam_count;
    if (n >= announcement->verdict_count)
        return false;
    *ret = tell_verdict(announcer, &announcement->verdicts[n]);
    return true;
}

/* The message to go on with. False: all are told. */
static bool next_message(struct announcer *announcer, const struct announcement *announcement)
{
    if (announcer->has_waiting && announcer->waiting_ticket == announcement->ticket &&
        announcer->waiting_number == announcement->told)
        return true;
    announcer->has_waiting = false;
    if (!build(announcer, announcement, announcement->told, &announcer->waiting))
        return false;
    announcer->waiting_ticket = announcement->ticket;
    announcer->waiting_number = announcement->told;
    return true;
}

bool announce_step(struct announcer *announcer, struct announcement *announcement)
{
    const struct publisher *publisher = announcer->publisher;
    struct ticket *ticket = tickets_get(announcer->tickets, announcement->ticket);
    while (next_message(announcer, announcement)) {
        const struct message *message = &announcer->waiting;
        announcer->has_waiting =
            !announcer->value.failed && !announcer->id.failed && !announcer->key.failed;
        if (!announcer->has_waiting ||
            !publisher->publish(publisher->self, announcement->ticket, message))
            return false; /* no memory, or the queue is full: go on here later */
        announcer->has_waiting = false;
        ticket->outstanding++;
        announcement->told++;
        if (message->outlet == OUTLET_INVALIDATIONS)
            announcer->invalidations++;
        else
            announcer->outcomes++;
    }
    return true;
}
