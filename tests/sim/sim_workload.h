/*
 * The producers: a small exam with everything that goes wrong in a large one.
 *
 * Each call of workload_produce() appends one record. Producers are honest by default (versions
 * ascend, ids are fresh) and by chance re-send, overtake, skip, contradict, or send rubbish.
 */
#ifndef TESTS_SIM_SIM_WORKLOAD_H
#define TESTS_SIM_SIM_WORKLOAD_H

#include "tests/sim/sim_log.h"

#define WORKLOAD_EVENTS 4000

struct sim_workload {
    struct sim *sim;
    struct sim_log *log;
    int attempts, exams;
    int disorder;     /* one in so many events is out of the ordinary */
    int refusals;     /* one in so many events is refused by the database; 0 for none */
    bool bad_submits; /* and half of the submits */
    int64_t version[SIM_ATTEMPTS]; /* that the producer believes in */
    int64_t seen[SIM_ATTEMPTS];    /* committed, which it may read; 0 before */
    bool started[SIM_ATTEMPTS], submitted[SIM_ATTEMPTS];
    uint32_t events;             /* event ids given so far */
    enum refusal_place *refused; /* WORKLOAD_EVENTS, by event */
    struct meaning *history;     /* the same */
    int activity_fresh;
    int value; /* last answer value given */
    bool over; /* no more records */
};

void workload_init(struct sim_workload *workload, struct sim *sim, struct sim_log *log);

/* Appends one record, or a hole, somewhere. False when the logs are full. */
bool workload_produce(struct sim_workload *workload);

/* A backlog of saves of one attempt, wherever it is at home. */
void workload_flood(struct sim_workload *workload);

/* Where the database refuses the record with this event id. */
enum refusal_place workload_refusal(const struct sim_workload *workload, const struct uuid *event);

#endif
