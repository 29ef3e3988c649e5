/*
 * The engine's notes as log lines for people, each with what to do next where there is something.
 *
 * The same trouble again and again (a database that stays away) is one line a minute, and when it
 * is over, that is one, too.
 */
#ifndef WORKER_COMMANDS_JOURNAL_H
#define WORKER_COMMANDS_JOURNAL_H

#include "common/log.h"
#include "worker/engine/ports.h"
#include "worker/settings.h"

#define JOURNAL_TROUBLES 8

/* A kind of trouble that was told not long ago. */
struct journal_trouble {
    const char *message; /* by address: they are literals */
    char code[32];
    int64_t told_ms;
    uint64_t unsaid; /* how often it came since */
    bool over;       /* all was well since: what comes now is told sooner */
};

struct journal_log {
    const struct log *log;
    const struct settings *settings; /* names of topics */
    struct journal_trouble troubles[JOURNAL_TROUBLES];
    size_t trouble_count;  /* told so far; the oldest are overwritten */
    bool news;             /* something that others should hear of soon; cleared by them */
    bool client_finished;  /* the Kafka client said that it cannot go on: start the process anew */
    bool settings_refused; /* the database holds other settings than ours: EX_CONFIG */
};

void journal_log_init(struct journal_log *journal, const struct log *log,
                      const struct settings *settings);

struct journal journal_log_port(struct journal_log *journal);

/* For adapters that tell of trouble outside the engine; `what` names them. */
void journal_log_trouble(struct journal_log *journal, const char *what, const struct err *err);

/* Trouble that is tried again; the same trouble is told at most once a minute, or every ten seconds
 * when it was over in between. `message` is a literal. */
void journal_log_retry(struct journal_log *journal, const char *message, const struct err *err,
                       int64_t next_try_ms);

/* That trouble is over: told when it was told itself. `message` as above. */
void journal_log_over(struct journal_log *journal, const char *message, const char *end);

/* What an operator does about a halted partition: one sentence for each reason of DESIGN 1.7. */
const char *halt_next_step(const char *reason);

#endif
