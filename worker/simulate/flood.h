/*
 * The log that the benchmark plays: plain saves of many attempts, in an order that decides how many
 * of one attempt come close together.
 *
 * A pure generator. The same options and the same segments give the same records, byte for byte, so
 * that nobody has to keep them: one program sends a segment to Kafka, others make it again in
 * memory. Segments follow one another; an attempt's versions run on through all of them, and no
 * event is stale, late, dead or a duplicate. A segment is written as text, KIND[NUMBER]:EVENTS:
 *
 *     warm:400000    0 to 8 saves of every attempt, in windows: brings a table into its usual state
 *     f5:300000      5 saves of each attempt of a window, mixed, then the next window; the attempts
 *                    are shuffled anew in every pass. f1 saves each attempt once in a pass
 *     mix:100000     saves of attempts chosen at random: Poisson arrivals, all alike
 *     exam:100000    new attempts: their starts; saves at Poisson times with a record of ten
 *                    activity events now and then; a last save and the submit of each, in a rush
 *     act:20000      activity records of ten events, of attempts chosen at random
 *     part3:100000   as mix, but only attempts of partition 3
 *     sub3:1000      submits of attempts of partition 3, each once: nothing may follow for them
 *
 * A save of the bare form has FLOOD_VALUE_BYTES bytes: three of the 40 answers and auto_save_data.
 */
#ifndef WORKER_SIMULATE_FLOOD_H
#define WORKER_SIMULATE_FLOOD_H

#include "common/uuid.h"
#include "worker/events/event.h"
#include "worker/events/record.h"
#include "worker/events/wrap.h"

#define FLOOD_VALUE_BYTES     446
#define FLOOD_QUESTIONS       40
#define FLOOD_ACTIVITY_EVENTS 10

struct flood_options {
    uint64_t seed;
    uint32_t attempts;   /* that are in the table before the first segment */
    uint32_t window;     /* attempts in a window */
    int32_t partitions;  /* of each topic */
    int64_t begin_us;    /* the times in events are this and a little later */
    enum wrap_form form; /* binary or bare */
};

struct flood_options flood_options_default(void);

enum flood_kind {
    FLOOD_WARM,
    FLOOD_SAVES,
    FLOOD_MIX,
    FLOOD_EXAM,
    FLOOD_ACTIVITY,
    FLOOD_PARTITION,
    FLOOD_SUBMITS
};

struct flood_segment {
    enum flood_kind kind;
    uint32_t number; /* saves: of one attempt in its window; partition, submits: which */
    uint64_t events; /* records */
};

/* Reads one segment from the text up to `,` or the end; *at moves behind it. False: not one. */
bool flood_parse(const char **at, struct flood_segment *ret);

/* What one record is, before it is written out. */
struct flood_event {
    struct tp tp;
    enum event_type type;
    uint32_t attempt;
    int64_t expected; /* saves and submits */
    uint64_t serial;  /* of all events, from 0 */
};

struct flood;

/* NULL when memory is short. */
struct flood *flood_new(const struct flood_options *options);
void flood_free(struct flood *flood);

/* The next segment. False when memory is short. */
bool flood_begin(struct flood *flood, const struct flood_segment *segment);

/* The next record of the segment; false at its end. */
bool flood_next(struct flood *flood, struct flood_event *ret);

/* Writes it out: tp, key, value and headers. `*ret` lives until the next call. */
bool flood_render(struct flood *flood, const struct flood_event *event, struct record *ret);

/* An attempt of the table: its ids and its 40 answers, as JSON text, appended to `answers`. */
struct uuid flood_attempt_id(const struct flood_options *options, uint32_t attempt);
struct uuid flood_exam_id(const struct flood_options *options, uint32_t attempt);
struct uuid flood_student_id(const struct flood_options *options, uint32_t attempt);
void flood_put_document(const struct flood_options *options, uint32_t attempt, struct buf *answers);

#endif
