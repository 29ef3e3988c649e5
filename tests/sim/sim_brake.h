/*
 * The brake of DESIGN 2.5, from the log and its fates alone: what a claim finds in the letters, and
 * the rule that no two refused submits of different attempts become letters one after the other,
 * whichever processes made them, unless the operator has said that they are bad (dlq accept).
 */
#ifndef TESTS_SIM_SIM_BRAKE_H
#define TESTS_SIM_SIM_BRAKE_H

#include "tests/sim/sim_db.h"

void sim_brake_fill(struct sim_db *db, int tp, struct claim *claim);

/* The move's records are settled. */
void sim_brake_check(struct sim_db *db, const struct db_move *move);

#endif
