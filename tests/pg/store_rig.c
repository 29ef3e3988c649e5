#include "tests/pg/store_rig.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* -------------------------------------------------------------------------------- one test */

/* The migrations were applied by the test's own means: enter what `migrate up` would have. */
static void enter_version(PGconn *db)
{
    char sql[256];
    sql_ok(db, "CREATE TABLE IF NOT EXISTS schema_migrations (version varchar(128) PRIMARY KEY)");
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO schema_migrations (version) VALUES ('%04lld') ON CONFLICT DO "
                   "NOTHING",
                   (long long)pg_schema_version());
    sql_ok(db, sql);
}

struct pg_store *rig_new_store(struct rig *rig)
{
    struct pg_store *store = pg_store_new(&rig->options);
    assert_non_null(store);
    return store;
}

struct pg_store *rig_new_worker(struct rig *rig, const char *owner)
{
    const char *own = rig->options.owner;
    rig->options.owner = owner;
    struct pg_store *worker = rig_new_store(rig);
    rig->options.owner = own;
    struct store port = pg_store_port(worker);
    struct store_call connect = { .step = STORE_CONNECT };
    assert_int_equal(rig_run_on(&port, &connect, &rig->err), STORE_OK);
    return worker;
}

int rig_open(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct err err = { 0 };
    if (rig == NULL || !private_pg_database(pg_group_server(), true, false, rig->url, &err)) {
        print_error("%s\n", err.text);
        return -1;
    }
    rig->db = sql_connect(rig->url);
    enter_version(rig->db);
    rig->options.session = pg_session_options_default();
    rig->options.session.conninfo = rig->url;
    rig->options.session.connect_timeout_ms *= private_pg_patience();
    rig->options.session.lock_timeout_ms = 1000 * private_pg_patience();
    rig->options.topics[TOPIC_WRITES] = "t.attempt.writes";
    rig->options.topics[TOPIC_ACTIVITY] = "t.attempt.activity";
    rig->options.topics[TOPIC_REFRESH] = "t.view.refresh";
    rig->options.owner = "rig/1";
    rig->store = rig_new_store(rig);
    rig->port = pg_store_port(rig->store);
    arena_init(&rig->arena, 65536, 0);
    *state = rig;
    rig_ok(rig, STORE_CONNECT);
    return 0;
}

int rig_close(void **state)
{
    struct rig *rig = *state;
    pg_store_free(rig->store);
    arena_release(&rig->arena);
    PQfinish(rig->db);
    free(rig);
    return 0;
}

/* --------------------------------------------------------------------------------- running */

enum store_state rig_run_on(struct store *port, struct store_call *call, struct err *ret_err)
{
    const struct pg_session *session = pg_store_session(port->self);
    port->start(port->self, call);
    for (;;) {
        enum store_state state = port->poll(port->self, ret_err);
        if (state != STORE_BUSY)
            return state;
        struct pollfd fd = { pg_session_fd(session), pg_session_events(session), 0 };
        int64_t wait_ms = pg_session_wait_ms(session);
        int most_ms = 10000 * private_pg_patience();
        if (poll(&fd, 1, wait_ms < 0 || wait_ms > most_ms ? most_ms : (int)wait_ms) == 0)
            fail_msg("the store hangs");
    }
}

void rig_poll_until_it_waits(struct rig *rig, struct store *port)
{
    while (sql_number(rig->db, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = "
                               "'Lock' AND datname = current_database()") == 0)
        assert_int_equal(port->poll(port->self, &rig->err), STORE_BUSY);
}

enum store_state rig_poll_to_its_end(struct rig *rig, struct store *port)
{
    enum store_state state;
    while ((state = port->poll(port->self, &rig->err)) == STORE_BUSY)
        ;
    return state;
}

enum store_state rig_run(struct rig *rig, struct store_call *call)
{
    call->arena = &rig->arena;
    return rig_run_on(&rig->port, call, &rig->err);
}

enum store_state rig_step(struct rig *rig, enum store_step step)
{
    struct store_call call = { .step = step, .plan = &rig->plan };
    return rig_run(rig, &call);
}

void rig_ok(struct rig *rig, enum store_step step)
{
    if (rig_step(rig, step) != STORE_OK)
        fail_msg("step %d: %s %s", step, rig->err.code, rig->err.text);
}

void rig_fails(struct rig *rig, enum store_step step, enum err_action action, const char *code)
{
    assert_int_equal(rig_step(rig, step), STORE_FAILED);
    if (rig->err.action != action || strcmp(rig->err.code, code) != 0)
        fail_msg("expected %s %s, got %s %s: %s", err_action_name(action), code,
                 err_action_name(rig->err.action), rig->err.code, rig->err.text);
}

struct claim rig_claim(struct rig *rig, enum topic topic, int32_t partition, int64_t low)
{
    struct claim claim = { .tp = { topic, partition }, .low = low, .may_create = true };
    struct store_call call = { .step = STORE_CLAIM, .claim = { &claim, 1 } };
    if (rig_run(rig, &call) != STORE_OK)
        fail_msg("claim: %s", rig->err.text);
    rig->epoch = claim.epoch;
    rig->generation = claim.generation;
    return claim;
}

/* -------------------------------------------------------------------------------- building */

struct uuid rig_uuid(char kind, unsigned n)
{
    char text[UUID_TEXT_LEN + 1];
    struct uuid uuid;
    (void)snprintf(text, sizeof text, "%c0000000-0000-4000-8000-%012u", kind, n);
    assert_true(uuid_parse(bytes_of(text), &uuid));
    return uuid;
}

void rig_plan(struct rig *rig, int64_t from, int64_t to)
{
    rig->plan = (struct plan){ .jump_max = 1000000,
                               .moves = rig->moves,
                               .starts = rig->starts,
                               .folds = rig->fold_list,
                               .activities = rig->activities,
                               .rows = rig->rows,
                               .submissions = rig->submissions,
                               .rejected = rig->rejected,
                               .letters = rig->letters };
    rig->entry_count = 0;
    if (from == to)
        return;
    rig->plan.move_count = 1;
    rig->moves[0] = (struct ledger_move){ .tp = { TOPIC_WRITES, 0 },
                                          .generation = rig->generation,
                                          .epoch = rig->epoch,
                                          .expected_next = from,
                                          .new_next = to,
                                          .has_anchor = true,
                                          .anchor = { to - 1, 1234, "0123456789abcde" } };
}

struct start_row *rig_start(struct rig *rig, unsigned attempt, unsigned exam)
{
    struct start_row *start = &rig->starts[rig->plan.start_count++];
    *start = (struct start_row){ .attempt_id = rig_uuid('a', attempt),
                                 .has_start = true,
                                 .started = { .exam_id = rig_uuid('e', exam),
                                              .student_id = rig_uuid('5', attempt),
                                              .started_at_us = 1800000000000000,
                                              .has_deadline = true,
                                              .deadline_at_us = 1800003600000000 } };
    return start;
}

struct fold *rig_fold(struct rig *rig, unsigned attempt, int64_t expected_first, int64_t version,
                      const char *patch, unsigned event_count)
{
    size_t n = rig->plan.fold_count++;
    struct fold *fold = &rig->folds[n];
    *fold = (struct fold){ .attempt_id = rig_uuid('a', attempt),
                           .expected_first = expected_first,
                           .version = version,
                           .has_write = true,
                           .patch = bytes_of(patch),
                           .event_ids = rig->event_ids[n],
                           .event_id_count = event_count };
    for (unsigned i = 0; i < event_count; i++)
        rig->event_ids[n][i] = rig_uuid('b', attempt * 1000 + (unsigned)version - event_count + i);
    rig->fold_list[n] = fold;
    return fold;
}

struct entry *rig_entry(struct rig *rig, enum topic topic, int64_t offset)
{
    struct entry *entry = &rig->entries[rig->entry_count++];
    *entry = (struct entry){ .record = { .tp = { topic, 0 }, .offset = offset },
                             .move = topic == TOPIC_REFRESH ? NULL : &rig->moves[0],
                             .judged = true };
    entry->event.event_id = rig_uuid('c', (unsigned)offset);
    return entry;
}

void rig_submit(struct rig *rig, struct fold *fold, int64_t offset)
{
    struct entry *entry = rig_entry(rig, TOPIC_WRITES, offset);
    entry->event.type = EVENT_SUBMITTED;
    entry->event.attempt_id = fold->attempt_id;
    entry->event.write.expected_version = fold->version - 1;
    entry->event.write.at_us = 1800001000000000;
    entry->version = fold->version;
    entry->missing = 2;
    fold->has_submit = true;
    fold->submit = entry;
    struct submission_row *row = &rig->submissions[rig->plan.submission_count++];
    *row = (struct submission_row){ .fold = fold, .entry = entry, .digest = { 1, 2, 3 } };
}

void rig_flush(struct rig *rig, int64_t applied)
{
    rig_ok(rig, STORE_OPEN);
    rig->moves[0].counts[OUTCOME_APPLIED] = applied;
    rig_ok(rig, STORE_CLOSE);
}
