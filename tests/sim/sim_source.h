/*
 * The source port of one worker, and the group that its members form.
 *
 * The group hands partitions to the members that it believes to be alive. Members learn of it when
 * they are told: news can be held back, and until then a member goes on reading what it had, which
 * makes it a zombie.
 */
#ifndef TESTS_SIM_SIM_SOURCE_H
#define TESTS_SIM_SIM_SOURCE_H

#include "tests/sim/sim_db.h"

#define SOURCE_NEWS 16

struct sim_news {
    enum source_event_kind kind;
    int64_t at_ms;
    unsigned tps; /* bits: ASSIGNED */
    int tp;       /* STOPPED, SUSPECT; -1 for none */
    int64_t offset;
    bool corrupt; /* STOPPED: otherwise out of range */
};

struct sim_source {
    struct sim *sim;
    struct sim_log *log;
    struct sim_db *db; /* for the rules about group offsets */
    const bool *crashed;
    void (*on_call)(void *worker);
    void *worker;
    int owner;

    struct sim_news news[SOURCE_NEWS];
    int news_count;
    unsigned assigned;        /* as this worker believes */
    unsigned *group_assigned; /* as the group believes */
    unsigned reading;
    int64_t position[SIM_TPS];
    bool ended[SIM_TPS]; /* READ_END was given at this end */
    int64_t end[SIM_TPS];
    int64_t down_until; /* nothing can be read before */

    bool surveying;
    int64_t survey_ms;
    bool survey_fails;
    unsigned surveyed;
    struct tp tps[SIM_TPS];
    struct log_facts facts[SIM_TPS];
};

void sim_source_init(struct sim_source *source, struct sim *sim, struct sim_log *log,
                     struct sim_db *db);
struct source sim_source_port(struct sim_source *source);

/* The group tells the member, after a while, that these are its partitions now. */
void sim_source_assign_news(struct sim_source *source, unsigned tps, int64_t delay_ms);
void sim_source_add_news(struct sim_source *source, struct sim_news news);

/* Something can be had from next() or read() now. */
bool sim_source_has_news(const struct sim_source *source);
int64_t sim_source_due_ms(const struct sim_source *source);

#endif
