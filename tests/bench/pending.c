#include "tests/bench/pending.h"

#include <stdlib.h>
#include <string.h>

struct pending_attempt {
    struct pending_event *first, *last;
};

void pending_init(struct pending *pending, const struct bench *bench, const struct feed *feed)
{
    *pending =
        (struct pending){ .partitions = bench->flood.partitions, .from = feed->from[TOPIC_WRITES] };
    size_t count = (size_t)pending->partitions;
    pending->events = calloc(feed->events + 1, sizeof *pending->events);
    pending->places = calloc(count, sizeof *pending->places);
    pending->sent_to = calloc(count, sizeof *pending->sent_to);
    pending->seen_to = calloc(count, sizeof *pending->seen_to);
    if (pending->events == NULL || pending->places == NULL || pending->sent_to == NULL ||
        pending->seen_to == NULL)
        bench_fail("no memory for the events on their way");
    for (size_t i = 0; i < count; i++) {
        int64_t room = feed->to[TOPIC_WRITES][i] - pending->from[i];
        pending->places[i] = calloc((size_t)room + 1, sizeof **pending->places);
        if (pending->places[i] == NULL)
            bench_fail("no memory for the events on their way");
    }
    (void)pthread_mutex_init(&pending->mutex, NULL);
    arena_init(&pending->arena, 1 << 20, 0);
    uuid_map_init(&pending->attempts, &pending->arena, 1);
    hist_init(&pending->visible);
    hist_init(&pending->published);
}

void pending_release(struct pending *pending)
{
    for (int32_t i = 0; i < pending->partitions; i++)
        free(pending->places[i]);
    free(pending->places);
    free(pending->events);
    free(pending->sent_to);
    free(pending->seen_to);
    arena_release(&pending->arena);
    hist_release(&pending->visible);
    hist_release(&pending->published);
    (void)pthread_mutex_destroy(&pending->mutex);
}

void pending_sent(struct pending *pending, const struct flood_event *event,
                  const struct uuid *attempt_id, int64_t intended_ns, bool counts)
{
    (void)pthread_mutex_lock(&pending->mutex);
    struct pending_event *p = &pending->events[pending->sent++];
    *p = (struct pending_event){ .intended_ns = intended_ns,
                                 .version = event->expected + 1,
                                 .counts = counts };
    int32_t partition = event->tp.partition;
    pending->places[partition][pending->sent_to[partition]++] = p;
    void **place = uuid_map_place(&pending->attempts, attempt_id);
    if (place == NULL)
        bench_fail("no memory for an attempt");
    if (*place == NULL)
        *place = arena_calloc(&pending->arena, 1, sizeof(struct pending_attempt));
    struct pending_attempt *attempt = *place;
    if (attempt->first == NULL)
        attempt->first = p;
    else
        attempt->last->next_of_attempt = p;
    attempt->last = p;
    (void)pthread_mutex_unlock(&pending->mutex);
}

static void count(struct hist *hist, const struct pending_event *event, int64_t now)
{
    if (event->counts)
        hist_add(hist, (now - event->intended_ns) / 1000);
}

void pending_seen(struct pending *pending, int32_t partition, int64_t next, int64_t now)
{
    (void)pthread_mutex_lock(&pending->mutex);
    int64_t *seen = &pending->seen_to[partition];
    for (; *seen < next - pending->from[partition]; (*seen)++, pending->seen++) {
        if (*seen == pending->sent_to[partition])
            bench_fail("somebody else writes to the log");
        count(&pending->visible, pending->places[partition][*seen], now);
    }
    (void)pthread_mutex_unlock(&pending->mutex);
}

void pending_told(struct pending *pending, const struct uuid *attempt_id, int64_t version,
                  int64_t now)
{
    (void)pthread_mutex_lock(&pending->mutex);
    struct pending_attempt *attempt = uuid_map_get(&pending->attempts, attempt_id);
    for (; attempt != NULL && attempt->first != NULL && attempt->first->version <= version;
         attempt->first = attempt->first->next_of_attempt, pending->told++)
        count(&pending->published, attempt->first, now);
    (void)pthread_mutex_unlock(&pending->mutex);
}

bool pending_empty(struct pending *pending)
{
    (void)pthread_mutex_lock(&pending->mutex);
    bool empty = pending->seen == pending->sent && pending->told == pending->sent;
    (void)pthread_mutex_unlock(&pending->mutex);
    return empty;
}
