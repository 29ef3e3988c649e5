/*
 * What the world was told, against what was committed.
 *
 * Nothing may be offered for publication before its commit; nothing may be marked as published
 * before its delivery was confirmed. A confirmation counts when an engine has seen it.
 */
#ifndef TESTS_SIM_SIM_ORACLE_H
#define TESTS_SIM_SIM_ORACLE_H

#include "tests/sim/sim_db.h"

enum telling_kind { TELL_ATTEMPT, TELL_EXAM, TELL_ALL, TELL_OUTCOME, TELL_OTHER };

/* A message, understood. */
struct telling {
    enum telling_kind kind;
    int attempt, exam;
    int64_t revision;
    int tp;
    int64_t offset;
    uint64_t commit; /* serial of the last commit when it was offered */
};

struct sim_oracle {
    struct sim *sim;
    struct sim_log *log;
    struct sim_db *db;
    int64_t revision_told[SIM_ATTEMPTS];
    int64_t revision_offered[SIM_ATTEMPTS];
    uint64_t exam_told[SIM_EXAMS];
    uint64_t all_told;
    bool may_drop_all; /* something expired unpublished */
};

/* A message is offered: every rule about what may be said, and when. */
struct telling oracle_offered(struct sim_oracle *oracle, const struct message *message);

/* Its delivery was confirmed to the engine. */
void oracle_confirmed(struct sim_oracle *oracle, const struct telling *telling);

/* published_offset is about to move: all of [from, to) must have been told. */
void oracle_check_published(struct sim_oracle *oracle, int tp, int64_t from, int64_t to,
                            int64_t next);

#endif
