#include "worker/simulate/flood.h"

#include "common/murmur2.h"
#include "common/rng.h"
#include "worker/simulate/content.h"
#include "worker/simulate/flood_text.h"

#include <stdlib.h>
#include <string.h>

#define WARM_SAVES       8  /* at most, of one attempt */
#define EXAM_RECORDS     16 /* of one student */
#define EXAM_ACTIVITY_IN 6  /* every so manieth record between start and rush */

struct flood_options flood_options_default(void)
{
    return (struct flood_options){ .seed = 1,
                                   .attempts = 100000,
                                   .window = 1200,
                                   .partitions = 12,
                                   .begin_us = 1767225600000000,
                                   .form = WRAP_BARE };
}

struct flood {
    struct flood_options options;
    struct flood_text text;

    struct flood_attempt {
        uint32_t version;
        int32_t partition;
    } * attempts; /* those of the table, then those of the exams */
    uint32_t attempt_count;
    uint64_t serial;

    struct flood_segment segment;
    struct rng rng; /* of the segment */
    uint64_t segments, made;
    uint32_t first;            /* exam: its first attempt; submits: the next one to look at */
    uint32_t students;         /* exam: how many it has */
    uint32_t *order, order_at; /* the attempts of the table, shuffled for this pass */
    uint32_t *slots;           /* the attempts of this window, each as often as it saves */
    uint64_t slot_count, slot_at, slot_capacity;
    uint8_t *rushed; /* exam: made its last save */
};

struct flood *flood_new(const struct flood_options *options)
{
    struct flood *flood = calloc(1, sizeof *flood);
    if (flood == NULL)
        return NULL;
    flood->options = *options;
    flood_text_init(&flood->text, &flood->options);
    return flood;
}

void flood_free(struct flood *flood)
{
    if (flood == NULL)
        return;
    flood_text_release(&flood->text);
    free(flood->attempts);
    free(flood->order);
    free(flood->slots);
    free(flood->rushed);
    free(flood);
}

/* ---------------------------------------------------------------------------------- segments */

bool flood_parse(const char **at, struct flood_segment *ret)
{
    static const struct {
        const char *name;
        enum flood_kind kind;
        bool numbered;
    } kinds[] = { { "warm", FLOOD_WARM, false },    { "f", FLOOD_SAVES, true },
                  { "mix", FLOOD_MIX, false },      { "exam", FLOOD_EXAM, false },
                  { "act", FLOOD_ACTIVITY, false }, { "part", FLOOD_PARTITION, true },
                  { "sub", FLOOD_SUBMITS, true } };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t len = strlen(kinds[i].name);
        if (strncmp(*at, kinds[i].name, len) != 0)
            continue;
        char *end = NULL;
        const char *number = *at + len;
        unsigned long long n = kinds[i].numbered ? strtoull(number, &end, 10) : 0;
        if (kinds[i].numbered ? end == number || n > UINT16_MAX : false)
            continue;
        const char *colon = kinds[i].numbered ? end : number;
        if (*colon != ':')
            continue;
        unsigned long long events = strtoull(colon + 1, &end, 10);
        if (end == colon + 1 || (*end != ',' && *end != '\0'))
            return false;
        *ret = (struct flood_segment){ kinds[i].kind, (uint32_t)n, events };
        *at = *end == ',' ? end + 1 : end;
        return true;
    }
    return false;
}

/* Makes room for attempts up to `count`; the new ones have just been started. */
static bool grow_attempts(struct flood *flood, uint32_t count)
{
    struct flood_attempt *grown = realloc(flood->attempts, count * sizeof *grown);
    if (grown == NULL)
        return false;
    flood->attempts = grown;
    for (; flood->attempt_count < count; flood->attempt_count++) {
        char key[UUID_TEXT_LEN + 1];
        struct uuid id = flood_attempt_id(&flood->options, flood->attempt_count);
        grown[flood->attempt_count] = (struct flood_attempt){
            .version = 1,
            .partition =
                murmur2_partition(bytes_of(uuid_format(&id, key)), flood->options.partitions),
        };
    }
    return true;
}

static bool make_order(struct flood *flood)
{
    if (flood->order != NULL)
        return true;
    flood->order = malloc((flood->options.attempts + 1) * sizeof *flood->order);
    if (flood->order == NULL)
        return false;
    for (uint32_t i = 0; i < flood->options.attempts; i++)
        flood->order[i] = i;
    return true;
}

bool flood_begin(struct flood *flood, const struct flood_segment *segment)
{
    if (!make_order(flood))
        return false;
    if (flood->attempt_count == 0 && !grow_attempts(flood, flood->options.attempts))
        return false;
    flood->segment = *segment;
    flood->rng = content_rng(flood->options.seed, UINT64_MAX, flood->segments++);
    flood->made = 0;
    flood->slot_count = flood->slot_at = 0;
    flood->order_at = flood->options.attempts;
    flood->first = 0;
    if (segment->kind != FLOOD_EXAM)
        return true;
    flood->first = flood->attempt_count;
    flood->students = (uint32_t)((segment->events + EXAM_RECORDS - 1) / EXAM_RECORDS);
    free(flood->rushed);
    flood->rushed = calloc(flood->students + 1, 1);
    return flood->rushed != NULL && grow_attempts(flood, flood->first + flood->students);
}

/* ----------------------------------------------------------------------------------- windows */

static void shuffle(struct rng *rng, uint32_t *items, uint64_t count)
{
    for (uint64_t i = count; i > 1; i--) {
        uint64_t k = rng_below(rng, i);
        uint32_t item = items[i - 1];
        items[i - 1] = items[k];
        items[k] = item;
    }
}

static bool put_slot(struct flood *flood, uint32_t attempt, uint64_t times)
{
    uint64_t needed = flood->slot_count + times;
    if (needed > flood->slot_capacity) {
        uint32_t *grown = realloc(flood->slots, 2 * needed * sizeof *grown);
        if (grown == NULL)
            return false;
        flood->slots = grown;
        flood->slot_capacity = 2 * needed;
    }
    for (uint64_t i = 0; i < times; i++)
        flood->slots[flood->slot_count++] = attempt;
    return true;
}

/* The next window, or the exam's rush. */
static bool fill_slots(struct flood *flood)
{
    flood->slot_count = flood->slot_at = 0;
    if (flood->segment.kind == FLOOD_EXAM) {
        for (uint32_t i = 0; i < flood->students; i++)
            if (!put_slot(flood, flood->first + i, 2))
                return false;
    }
    while (flood->slot_count == 0) {
        if (flood->order_at == flood->options.attempts) {
            shuffle(&flood->rng, flood->order, flood->options.attempts);
            flood->order_at = 0;
        }
        uint32_t end = flood->order_at + flood->options.window;
        if (end > flood->options.attempts)
            end = flood->options.attempts;
        for (; flood->order_at < end; flood->order_at++) {
            uint64_t times = flood->segment.kind == FLOOD_WARM
                                 ? rng_below(&flood->rng, WARM_SAVES + 1)
                                 : flood->segment.number;
            if (!put_slot(flood, flood->order[flood->order_at], times))
                return false;
        }
    }
    shuffle(&flood->rng, flood->slots, flood->slot_count);
    return true;
}

static uint32_t take_slot(struct flood *flood)
{
    if (flood->slot_at == flood->slot_count && !fill_slots(flood))
        return UINT32_MAX;
    return flood->slots[flood->slot_at++];
}

/* ------------------------------------------------------------------------------------ events */

static void choose_in_exam(struct flood *flood, struct flood_event *ret)
{
    uint64_t rush_at = flood->segment.events - (uint64_t)flood->students * 2;
    if (flood->made < flood->students) {
        ret->attempt = flood->first + (uint32_t)flood->made;
        ret->type = EVENT_STARTED;
    } else if (flood->made < rush_at || flood->segment.events < (uint64_t)flood->students * 3) {
        ret->attempt = flood->first + (uint32_t)rng_below(&flood->rng, flood->students);
        if (rng_below(&flood->rng, EXAM_ACTIVITY_IN) == 0)
            ret->type = EVENT_ACTIVITY;
    } else {
        ret->attempt = take_slot(flood);
        if (ret->attempt == UINT32_MAX)
            return;
        uint8_t *rushed = &flood->rushed[ret->attempt - flood->first];
        if (*rushed)
            ret->type = EVENT_SUBMITTED;
        *rushed = 1;
    }
}

/* Each attempt of the partition once, in their own order; UINT32_MAX after the last. */
static uint32_t next_of_partition(struct flood *flood)
{
    while (flood->first < flood->options.attempts)
        if (flood->attempts[flood->first++].partition == (int32_t)flood->segment.number)
            return flood->first - 1;
    return UINT32_MAX;
}

static void choose(struct flood *flood, struct flood_event *ret)
{
    ret->type = EVENT_SAVED;
    switch (flood->segment.kind) {
    case FLOOD_WARM:
    case FLOOD_SAVES:
        ret->attempt = take_slot(flood);
        return;
    case FLOOD_EXAM:
        choose_in_exam(flood, ret);
        return;
    case FLOOD_SUBMITS:
        ret->type = EVENT_SUBMITTED;
        ret->attempt = next_of_partition(flood);
        return;
    case FLOOD_ACTIVITY:
        ret->type = EVENT_ACTIVITY;
        break;
    case FLOOD_MIX:
    case FLOOD_PARTITION:
        break;
    }
    do
        ret->attempt = (uint32_t)rng_below(&flood->rng, flood->options.attempts);
    while (flood->segment.kind == FLOOD_PARTITION &&
           flood->attempts[ret->attempt].partition != (int32_t)flood->segment.number);
}

bool flood_next(struct flood *flood, struct flood_event *ret)
{
    if (flood->made == flood->segment.events)
        return false;
    choose(flood, ret);
    if (ret->attempt == UINT32_MAX)
        return false;
    struct flood_attempt *attempt = &flood->attempts[ret->attempt];
    ret->tp.topic = ret->type == EVENT_ACTIVITY ? TOPIC_ACTIVITY : TOPIC_WRITES;
    ret->tp.partition = attempt->partition;
    ret->expected = attempt->version;
    if (ret->type == EVENT_SAVED || ret->type == EVENT_SUBMITTED)
        attempt->version++;
    ret->serial = flood->serial++;
    flood->made++;
    return true;
}

bool flood_render(struct flood *flood, const struct flood_event *event, struct record *ret)
{
    return flood_text_render(&flood->text, event, ret);
}
