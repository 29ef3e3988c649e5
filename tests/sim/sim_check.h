/*
 * The rules of a commit, checked at the moment of each one.
 *
 * Every record of the moved ranges gets exactly one outcome, the outcomes are those of the model,
 * the counters are their sums, the rows are those of the model, and the one who commits is the one
 * who claimed last. For an attempt with events in two partitions some interleaving of the two must
 * explain what was written.
 */
#ifndef TESTS_SIM_SIM_CHECK_H
#define TESTS_SIM_SIM_CHECK_H

#include "tests/sim/sim_db.h"

void check_commit(struct sim_db *db, struct db_tx *tx);

/* At the end: ledger, tables and log agree, and all of it is published. */
void check_end(struct sim_db *db);

#endif
