/*
 * A survey: where logs begin and end, and what the group has committed, asked without blocking.
 *
 * librdkafka 2.0.2 can ask a broker for this only with calls that block, for seconds when the
 * broker is away. So each survey runs in a short-lived thread of its own, the only one in the
 * program; it touches nothing but its own struct and the (thread-safe) client, and writes to the
 * loop's eventfd when it has finished.
 *
 * Nor do those calls keep their own timeouts: a question to a broker that went away is asked again
 * by the client until that broker is back, for ever if it never is. So a question that is not
 * answered in time is given up here: its thread is left behind, a new survey may begin, and the
 * threads left behind are collected when their call returns at last.
 */
#ifndef WORKER_KAFKA_KAFKA_SURVEY_H
#define WORKER_KAFKA_KAFKA_SURVEY_H

#include "worker/engine/ports.h"
#include "worker/kafka/kafka_conf.h"

/* How long the client is told that one question may take; also what release() waits ... */
#define KAFKA_SURVEY_TIMEOUT_MS 3000
/* ... and when it is left to itself. */
#define KAFKA_SURVEY_GIVE_UP_MS 5000
/* Threads left behind at a time; with so many a survey is waited for, however long it takes. */
#define KAFKA_SURVEY_LEFT_MAX 4

struct kafka_survey_run;

/* All zero is "none under way". */
struct kafka_survey {
    struct kafka_survey_run *run;
    struct kafka_survey_run *left[KAFKA_SURVEY_LEFT_MAX]; /* given up, their threads not yet back */
    struct log_facts *facts;                              /* of the last survey */
    size_t fact_count;
};

enum kafka_survey_state {
    KAFKA_SURVEY_IDLE,
    KAFKA_SURVEY_BUSY,
    KAFKA_SURVEY_DONE,
    KAFKA_SURVEY_FAILED
};

/* `rk`, `names` and `wake_fd` must outlive the survey. False when one is under way already. */
bool kafka_survey_start(struct kafka_survey *survey, struct rd_kafka_s *rk,
                        const struct kafka_names *names, const struct tp *tps, size_t count,
                        int wake_fd, struct err *err);

/*
 * DONE or FAILED once, when it has ended: then `facts` are set, valid until the next start, or
 * *ret_err is. IDLE otherwise. That one is given up wakes nobody: poll now and then.
 */
enum kafka_survey_state kafka_survey_poll(struct kafka_survey *survey, struct err *ret_err);

/*
 * Gives up on what is under way and waits a little for its threads. False when one did not come
 * back: it is in a call of the client, which must then not be destroyed before the process ends,
 * nor may `survey`, which keeps hold of what that thread works on.
 */
bool kafka_survey_release(struct kafka_survey *survey);

#endif
