#include "worker/commands/herald.h"
#include "worker/events/message.h"

/* The engine counts its tickets from 0 and never gets to the marks, nor does this get there. */
#define NEWS_SHIFT  30
#define NEWS_MAX    UINT32_C(0x7fffffff)
#define BYTES_LIMIT ((size_t)64 * 1024)

void herald_init(struct herald *herald, struct publisher publisher, enum herald_mark mark,
                 int64_t ttl_hint_s)
{
    *herald = (struct herald){ .publisher = publisher,
                               .mark = (uint64_t)1 << mark,
                               .ttl_hint_s = ttl_hint_s };
    buf_init(&herald->key, BYTES_LIMIT);
    buf_init(&herald->id, BYTES_LIMIT);
    buf_init(&herald->value, BYTES_LIMIT);
}

void herald_release(struct herald *herald)
{
    buf_release(&herald->key);
    buf_release(&herald->id);
    buf_release(&herald->value);
}

/* -------------------------------------------------------------------------------- the engine */

static bool publish(void *self, uint64_t ticket, const struct message *message)
{
    struct herald *herald = self;
    return herald->publisher.publish(herald->publisher.self, ticket, message);
}

static bool confirmed(void *self, uint64_t *ret_ticket)
{
    struct herald *herald = self;
    uint64_t ticket = 0;
    while (herald->publisher.confirmed(herald->publisher.self, &ticket)) {
        if ((ticket & herald->mark) == 0) {
            *ret_ticket = ticket;
            return true;
        }
        /* Of news that was given up and came again, the first round's reports do not count. */
        if ((uint32_t)((ticket & ~herald->mark) >> NEWS_SHIFT) == herald->news &&
            herald->outstanding > 0)
            herald->outstanding--;
    }
    return false;
}

struct publisher herald_port(struct herald *herald)
{
    return (struct publisher){ .self = herald, .publish = publish, .confirmed = confirmed };
}

/* --------------------------------------------------------------------------- the housekeeper */

static bool send(struct herald *herald, struct message message)
{
    message.id = buf_bytes(&herald->id);
    message.key = buf_bytes(&herald->key);
    message.value = buf_bytes(&herald->value);
    uint64_t ticket = herald->mark | (uint64_t)herald->news << NEWS_SHIFT | herald->outstanding;
    bool whole = !herald->id.failed && !herald->key.failed && !herald->value.failed;
    if (!whole || !herald->publisher.publish(herald->publisher.self, ticket, &message))
        return false;
    herald->outstanding++;
    return true;
}

/* Key and id are there already. */
static bool send_invalidation(struct herald *herald, struct invalidation invalidation)
{
    invalidation.key = buf_bytes(&herald->key);
    invalidation.ttl_hint_s = herald->ttl_hint_s;
    message_invalidation(&herald->value, &invalidation);
    return send(herald, (struct message){ .outlet = OUTLET_INVALIDATIONS,
                                          .type = BYTES(INVALIDATION_TYPE) });
}

static void clear(struct herald *herald)
{
    buf_clear(&herald->key);
    buf_clear(&herald->id);
    buf_clear(&herald->value);
}

static bool send_view(struct herald *herald, const struct refreshed_view *view)
{
    clear(herald);
    cache_key_view(&herald->key, view->name);
    message_id_of_revision(&herald->id, buf_bytes(&herald->key), view->refreshes);
    return send_invalidation(herald,
                             (struct invalidation){ .scope = SCOPE_VIEW,
                                                    .has_revision = true,
                                                    .revision = view->refreshes,
                                                    .committed_at_us = view->finished_at_us });
}

static bool send_attempt(struct herald *herald, const struct foreign_change *change)
{
    clear(herald);
    cache_key_attempt(&herald->key, &change->attempt_id);
    message_id_of_revision(&herald->id, buf_bytes(&herald->key), change->revision);
    const struct uuid *exam_id = change->has_exam ? &change->exam_id : NULL;
    return send_invalidation(herald, invalidation_of_attempt(change->version, change->revision,
                                                             exam_id, change->changed_at_us));
}

static bool send_exam(struct herald *herald, const struct foreign_change *change)
{
    struct place place = { .topic = "foreign_changes", .offset = change->id };
    clear(herald);
    cache_key_exam_stats(&herald->key, &change->exam_id);
    message_id_of_key(&herald->id, buf_bytes(&herald->key), &place);
    return send_invalidation(herald, invalidation_of_exam(&change->exam_id, change->changed_at_us));
}

/* Is a change of the same exam still to come? Once a round is enough for its statistics. */
static bool exam_comes_again(const struct housekeeper_news *news, size_t at)
{
    const struct foreign_change *change = &news->changes[at];
    for (size_t i = at + 1; i < news->change_count; i++) {
        if (news->changes[i].has_exam && uuid_equal(&news->changes[i].exam_id, &change->exam_id))
            return true;
    }
    return false;
}

static bool send_changes(struct herald *herald, const struct housekeeper_news *news)
{
    for (size_t i = 0; i < news->change_count; i++) {
        const struct foreign_change *change = &news->changes[i];
        if (!send_attempt(herald, change))
            return false;
        if (change->has_exam && !exam_comes_again(news, i) && !send_exam(herald, change))
            return false;
    }
    return true;
}

static bool send_submit(struct herald *herald, const struct sql_submit *submit)
{
    char key[UUID_TEXT_LEN + 1];
    clear(herald);
    buf_put(&herald->key, bytes_of(uuid_format(&submit->attempt_id, key)));
    message_id_of_submission(&herald->id, &submit->attempt_id, submit->version);
    struct bytes receipt = submit->receipt[0] ? bytes_of(submit->receipt) : BYTES_NONE;
    message_outcome(&herald->value,
                    &(struct outcome_facts){ .has_attempt_id = true,
                                             .attempt_id = submit->attempt_id,
                                             .outcome = OUTCOME_APPLIED,
                                             .has_version = true,
                                             .version = submit->version,
                                             .has_missing = true,
                                             .missing = submit->missing,
                                             .receipt = receipt,
                                             .committed_at_us = submit->committed_at_us });
    return send(herald, (struct message){ .outlet = OUTLET_OUTCOMES, .type = BYTES(OUTCOME_TYPE) });
}

static bool send_all(struct herald *herald, const struct housekeeper_news *news)
{
    bool ok = news->view == NULL || send_view(herald, news->view);
    for (size_t i = 0; ok && i < news->submit_count; i++)
        ok = send_submit(herald, &news->submits[i]);
    return ok && send_changes(herald, news);
}

bool herald_publish(void *self, const struct housekeeper_news *news)
{
    struct herald *herald = self;
    herald->news = (herald->news + 1) & NEWS_MAX;
    herald->outstanding = 0;
    herald->number = news->number;
    herald->under_way = send_all(herald, news);
    return herald->under_way;
}

bool herald_confirmed(struct herald *herald, uint64_t *ret_number)
{
    if (!herald->under_way || herald->outstanding > 0)
        return false;
    *ret_number = herald->number;
    herald->under_way = false;
    return true;
}
