#include "worker/kafka/kafka_survey.h"

#include "common/clock.h"
#include "common/thread.h"
#include "worker/kafka/kafka_error.h"
#include "worker/kafka/kafka_witness.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct kafka_survey_run {
    pthread_t thread;
    rd_kafka_t *rk;
    const struct kafka_names *names;
    int wake_fd;
    _Atomic int64_t asked_ms; /* when the question that is out was asked */
    atomic_bool give_up;
    atomic_bool ended; /* after it, everything below may be read by the loop's thread */
    bool ok;
    struct err err;
    size_t count;
    struct log_facts facts[];
};

/* ------------------------------------------------------------------------------- the thread */

/* Who was given up touches nothing any more: what is not its own may be gone. */
static bool given_up(struct kafka_survey_run *run)
{
    return atomic_load(&run->give_up);
}

static bool may_ask(struct kafka_survey_run *run)
{
    atomic_store(&run->asked_ms, clock_now_ms());
    return !given_up(run);
}

static bool ask_watermarks(struct kafka_survey_run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        struct log_facts *facts = &run->facts[i];
        if (!may_ask(run))
            return false;
        const char *topic = run->names->topics[facts->tp.topic];
        rd_kafka_resp_err_t code =
            rd_kafka_query_watermark_offsets(run->rk, topic, facts->tp.partition, &facts->low,
                                             &facts->high, KAFKA_SURVEY_TIMEOUT_MS);
        if (given_up(run))
            return false;
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            continue;
        (void)kafka_error_set(&run->err, code,
                              "Kafka does not say where the log of %s[%d] begins and ends: %s; "
                              "asking again%s",
                              topic, (int)facts->tp.partition, rd_kafka_err2str(code),
                              kafka_error_advice(code));
        if (run->err.action == ERR_HALT && kafka_error_passes(code))
            run->err.action = ERR_RETRY; /* nobody has to mend anything */
        return false;
    }
    return true;
}

static bool ask_committed(struct kafka_survey_run *run)
{
    if (!may_ask(run))
        return false;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)run->count);
    for (size_t i = 0; i < run->count; i++)
        (void)rd_kafka_topic_partition_list_add(list, run->names->topics[run->facts[i].tp.topic],
                                                run->facts[i].tp.partition);
    rd_kafka_resp_err_t code = rd_kafka_committed(run->rk, list, KAFKA_SURVEY_TIMEOUT_MS);
    for (size_t i = 0; i < run->count && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        const rd_kafka_topic_partition_t *answer = &list->elems[i];
        run->facts[i].has_committed = answer->offset >= 0;
        run->facts[i].committed = answer->offset >= 0 ? answer->offset : 0;
        run->facts[i].witness = kafka_witness_get(answer);
        code = answer->err;
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_error_set(&run->err, code,
                               "Kafka does not say which offsets the group has committed: %s; "
                               "asking again%s",
                               rd_kafka_err2str(code), kafka_error_advice(code));
    return true;
}

static void *survey_main(void *argument)
{
    struct kafka_survey_run *run = argument;
    int wake_fd = run->wake_fd;
    run->ok = ask_watermarks(run) && (run->count == 0 || ask_committed(run));
    bool awaited = !given_up(run);
    atomic_store(&run->ended, true); /* `run` may be freed from here on */
    /* the eventfd only ever counts up to a wake-up: a full one has woken the loop already */
    ssize_t written = awaited ? write(wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t)) : 0;
    (void)written;
    return NULL;
}

/* --------------------------------------------------------------------------- the loop's side */

bool kafka_survey_start(struct kafka_survey *survey, struct rd_kafka_s *rk,
                        const struct kafka_names *names, const struct tp *tps, size_t count,
                        int wake_fd, struct err *err)
{
    if (survey->run != NULL)
        return err_set(err, ERR_RETRY, "survey", "a survey is under way already");
    struct kafka_survey_run *run = calloc(1, sizeof *run + count * sizeof run->facts[0]);
    if (run == NULL)
        return err_set(err, ERR_RESOURCE, "ENOMEM", "no memory for a survey of %zu logs", count);
    run->rk = rk;
    run->names = names;
    run->wake_fd = wake_fd;
    run->count = count;
    atomic_store(&run->asked_ms, clock_now_ms());
    for (size_t i = 0; i < count; i++)
        run->facts[i].tp = tps[i];

    int error = thread_start(&run->thread, survey_main, run);
    if (error != 0) {
        free(run);
        return err_set(err, ERR_RESOURCE, "thread", "no thread for a survey: %s", strerror(error));
    }
    survey->run = run;
    return true;
}

static void run_finish(struct kafka_survey_run **run)
{
    (void)pthread_join((*run)->thread, NULL);
    free(*run);
    *run = NULL;
}

static void finish_if_ended(struct kafka_survey_run **run)
{
    if (*run != NULL && atomic_load(&(*run)->ended))
        run_finish(run);
}

/* Collects threads that came back after they were given up. True if there is none out. */
static bool collect_left(struct kafka_survey *survey)
{
    bool none = true;
    for (size_t i = 0; i < KAFKA_SURVEY_LEFT_MAX; i++) {
        finish_if_ended(&survey->left[i]);
        none = none && survey->left[i] == NULL;
    }
    return none;
}

static bool all_back(struct kafka_survey *survey)
{
    finish_if_ended(&survey->run);
    return collect_left(survey) && survey->run == NULL;
}

static bool leave_behind(struct kafka_survey *survey)
{
    (void)collect_left(survey);
    for (size_t i = 0; i < KAFKA_SURVEY_LEFT_MAX; i++) {
        if (survey->left[i] != NULL)
            continue;
        survey->left[i] = survey->run;
        survey->run = NULL;
        atomic_store(&survey->left[i]->give_up, true);
        return true;
    }
    return false;
}

static bool facts_copy(struct kafka_survey *survey)
{
    const struct kafka_survey_run *run = survey->run;
    struct log_facts *facts = calloc(run->count ? run->count : 1, sizeof *facts);
    if (facts == NULL)
        return false;
    memcpy(facts, run->facts, run->count * sizeof *facts);
    free(survey->facts);
    survey->facts = facts;
    survey->fact_count = run->count;
    return true;
}

enum kafka_survey_state kafka_survey_poll(struct kafka_survey *survey, struct err *ret_err)
{
    if (survey->run == NULL)
        return KAFKA_SURVEY_IDLE;
    if (!atomic_load(&survey->run->ended)) {
        int64_t waited_ms = clock_now_ms() - atomic_load(&survey->run->asked_ms);
        if (waited_ms < KAFKA_SURVEY_GIVE_UP_MS || !leave_behind(survey))
            return KAFKA_SURVEY_BUSY;
        (void)err_set(
            ret_err, ERR_LOST, "survey",
            "Kafka has not said for %lld s where the logs begin and end; asking again: do the "
            "brokers run, and can this machine reach them?",
            (long long)waited_ms / 1000);
        return KAFKA_SURVEY_FAILED;
    }
    enum kafka_survey_state state = KAFKA_SURVEY_DONE;
    if (!survey->run->ok) {
        *ret_err = survey->run->err;
        state = KAFKA_SURVEY_FAILED;
    } else if (!facts_copy(survey)) {
        (void)err_set(ret_err, ERR_RESOURCE, "ENOMEM", "no memory for a survey of %zu logs",
                      survey->run->count);
        state = KAFKA_SURVEY_FAILED;
    }
    run_finish(&survey->run);
    return state;
}

bool kafka_survey_release(struct kafka_survey *survey)
{
    if (survey->run != NULL)
        atomic_store(&survey->run->give_up, true);
    int64_t deadline_ms = clock_now_ms() + KAFKA_SURVEY_TIMEOUT_MS;
    bool back;
    while (!(back = all_back(survey)) && clock_now_ms() < deadline_ms)
        (void)nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000 * 1000 }, NULL);
    free(survey->facts);
    survey->facts = NULL;
    survey->fact_count = 0;
    return back;
}
