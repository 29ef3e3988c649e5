/*
 * What the tests of the store share: a store on a migrated database of its own, and short ways to
 * build plans and to run the steps of a call to their end.
 */
#ifndef TESTS_PG_STORE_RIG_H
#define TESTS_PG_STORE_RIG_H

#include "tests/pg/private_pg.h"
#include "tests/pg/sql.h"
#include "worker/postgres/pg_store.h"

#define RIG_MAX 64

struct rig {
    char url[PRIVATE_PG_URL_BYTES];
    PGconn *db; /* a second connection, to look at what the store did */
    struct pg_store_options options;
    struct pg_store *store;
    struct store port;
    struct arena arena;
    struct err err; /* of the last step that failed */
    int64_t epoch, generation;

    /* one plan at a time, and room for what it points to */
    struct plan plan;
    struct ledger_move moves[4];
    struct start_row starts[RIG_MAX];
    struct fold folds[RIG_MAX], *fold_list[RIG_MAX];
    struct uuid event_ids[RIG_MAX][40];
    struct entry entries[RIG_MAX];
    size_t entry_count;
    struct activity items[RIG_MAX];
    struct activity_row activities[RIG_MAX];
    struct submission_row submissions[RIG_MAX];
    struct entry *rejected[RIG_MAX], *letters[RIG_MAX];
    struct attempt_row rows[RIG_MAX];
};

/* cmocka's test fixtures, in a group of pg_group_start(); *state is the rig. */
int rig_open(void **state);
int rig_close(void **state);

/* A store like the rig's, connected or not. */
struct pg_store *rig_new_store(struct rig *rig);

/* ... of another worker, connected. */
struct pg_store *rig_new_worker(struct rig *rig, const char *owner);

/* Runs one call to its end. */
enum store_state rig_run_on(struct store *port, struct store_call *call, struct err *ret_err);
enum store_state rig_run(struct rig *rig, struct store_call *call);

/* Goes on with a call that was started: until it waits for somebody's lock, and to its end. */
void rig_poll_until_it_waits(struct rig *rig, struct store *port);
enum store_state rig_poll_to_its_end(struct rig *rig, struct store *port);

enum store_state rig_step(struct rig *rig, enum store_step step); /* of the rig's plan */

/* Fail the test unless the step ends so. */
void rig_ok(struct rig *rig, enum store_step step);
void rig_fails(struct rig *rig, enum store_step step, enum err_action action, const char *code);

/* Claims a partition, its row made at `low`; keeps epoch and generation. */
struct claim rig_claim(struct rig *rig, enum topic topic, int32_t partition, int64_t low);

/* ids: kind is one hex digit, so that each sort has its own */
struct uuid rig_uuid(char kind, unsigned n);

/* Building: an empty plan that moves writes/0 from `from` to `to` (none when they are equal). */
void rig_plan(struct rig *rig, int64_t from, int64_t to);
struct start_row *rig_start(struct rig *rig, unsigned attempt, unsigned exam);
struct fold *rig_fold(struct rig *rig, unsigned attempt, int64_t expected_first, int64_t version,
                      const char *patch, unsigned event_count);
struct entry *rig_entry(struct rig *rig, enum topic topic, int64_t offset);
void rig_submit(struct rig *rig, struct fold *fold, int64_t offset);

/* OPEN, then CLOSE with `applied` records counted. */
void rig_flush(struct rig *rig, int64_t applied);

#endif
