/*
 * What a database does beside the worker: other sessions write rows, and an administrator restores
 * an older backup.
 */
#ifndef TESTS_SIM_SIM_PAST_H
#define TESTS_SIM_SIM_PAST_H

#include "tests/sim/sim_db.h"

/* Another session makes or changes a row, in a transaction of its own. */
void db_foreign_write(struct sim_db *db);

/* A backup is taken. */
void db_remember(struct sim_db *db);

/* Could the backup be put back without losing records that the logs no longer hold? */
bool db_may_return(const struct sim_db *db);

/* It is: what was committed since is undone. No transaction may be open. */
void db_return(struct sim_db *db);

#endif
