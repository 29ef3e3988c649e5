/* Single stories of the engine: what must not grow, spin, starve or be forgotten. */
#include "tests/unit/engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int open_rig(void **state)
{
    struct engine_rig *rig = malloc(sizeof *rig);
    *state = rig;
    if (rig == NULL)
        return -1;
    engine_rig_init(rig);
    return 0;
}

static int close_rig(void **state)
{
    engine_rig_release(*state);
    free(*state);
    return 0;
}

static struct rig_partition *log_of(struct engine_rig *rig, enum topic topic)
{
    return &rig->partitions[topic];
}

static void fail_for_ever(struct engine_rig *rig, enum store_step step, enum err_action action,
                          const char *code)
{
    rig->fails[step] = -1;
    err_set(&rig->err[step], action, code, "a toy fails");
}

/* One new record after the other, each time after `ms`. */
static void drip(struct engine_rig *rig, enum topic topic, int count, int64_t ms)
{
    for (int i = 0; i < count; i++) {
        log_of(rig, topic)->end++;
        log_of(rig, topic)->end_told = false;
        engine_rig_run(rig, ms);
    }
}

static void test_settles_and_publishes(void **state)
{
    struct engine_rig *rig = *state;
    log_of(rig, TOPIC_WRITES)->end = 7;
    engine_rig_start(rig);
    engine_rig_run(rig, 3000);
    assert_int_equal(log_of(rig, TOPIC_WRITES)->next, 7);
    assert_int_equal(log_of(rig, TOPIC_WRITES)->published, 7);
    assert_int_equal(engine_rig_status(rig).outcomes[OUTCOME_APPLIED], 7);
}

/* Kafka takes messages and confirms none: the worker waits, and waiting costs nothing. */
static void test_waiting_for_tickets_takes_no_memory(void **state)
{
    struct engine_rig *rig = *state;
    rig->silent = true;
    rig->options.linger_ms = 0;
    engine_rig_start(rig);
    drip(rig, TOPIC_WRITES, 300, 5);
    size_t before = engine_rig_status(rig).memory_bytes;
    uint64_t steps = rig->steps;
    engine_rig_run(rig, 60000);
    assert_int_equal(engine_rig_status(rig).memory_bytes, before);
    assert_in_range(rig->steps - steps, 1, 7000);
    rig->silent = false;
    engine_rig_run(rig, 3000);
    assert_int_equal(log_of(rig, TOPIC_WRITES)->published, 300);
}

/* What Kafka would never take must not stand in the way of all that comes after it. */
static void test_dead_letter_with_a_monstrous_key(void **state)
{
    struct engine_rig *rig = *state;
    rig->key_bytes = 1000000;
    log_of(rig, TOPIC_WRITES)->end = 1;
    engine_rig_start(rig);
    engine_rig_run(rig, 3000);
    assert_int_equal(rig->outcomes, 1);
    assert_int_equal(rig->outcome_key_bytes, 0);
    rig->key_bytes = 200;
    drip(rig, TOPIC_WRITES, 1, 1000);
    assert_int_equal(rig->outcomes, 2);
    assert_int_equal(rig->outcome_key_bytes, 200);
}

/* Who traces an event wants to see what became of it: applied, or dead before and after decoding.
 */
static void test_outcomes_pass_the_trace_on(void **state)
{
    struct engine_rig *rig = *state;
    rig->submits = true;
    rig->refused = 1 << 2;
    log_of(rig, TOPIC_WRITES)->end = 3;
    engine_rig_start(rig);
    engine_rig_run(rig, 3000);
    rig->key_bytes = 5;
    drip(rig, TOPIC_WRITES, 1, 1000);
    assert_int_equal(rig->outcomes, 4);
    assert_int_equal(rig->traced, 4);
}

/* What lies before the generation was another log's: it is not told again, all is dropped instead.
 */
static void test_nothing_before_the_generation_is_told_again(void **state)
{
    struct engine_rig *rig = *state;
    rig->submits = true;
    *log_of(rig, TOPIC_WRITES) = (struct rig_partition){
        .end = 12, .exists = true, .first = 10, .next = 12, .published = 9, .generation = 2
    };
    engine_rig_start(rig);
    engine_rig_run(rig, 3000);
    assert_int_equal(log_of(rig, TOPIC_WRITES)->published, 12);
    assert_int_equal(rig->drops_of_all, 1);
    assert_int_equal(rig->outcomes, 2);
}

static void test_recall_that_fails_is_not_tried_in_a_circle(void **state)
{
    struct engine_rig *rig = *state;
    *log_of(rig, TOPIC_WRITES) =
        (struct rig_partition){ .end = 2000, .exists = true, .next = 2000, .committed = -1 };
    fail_for_ever(rig, STORE_RECALL, ERR_HALT, "42501");
    engine_rig_start(rig);
    engine_rig_run(rig, 5000);
    size_t before = engine_rig_status(rig).memory_bytes;
    engine_rig_run(rig, 60000);
    assert_in_range(rig->calls[STORE_RECALL], 1, 200);
    assert_int_equal(engine_rig_status(rig).memory_bytes, before);
    rig->fails[STORE_RECALL] = 0;
    engine_rig_run(rig, 70000);
    assert_int_equal(log_of(rig, TOPIC_WRITES)->published, 2000);
}

/* A commit of what came before the fault says nothing about the fault. */
static void test_commit_in_flight_does_not_heal_a_halt(void **state)
{
    struct engine_rig *rig = *state;
    log_of(rig, TOPIC_WRITES)->end = 5;
    rig->held = true;
    engine_rig_start(rig);
    engine_rig_run(rig, 1000);
    rig->corrupt = true;
    engine_rig_run(rig, 100);
    rig->held = false;
    engine_rig_run(rig, 1000);
    assert_int_equal(log_of(rig, TOPIC_WRITES)->next, 5);
    const char *halt = engine_rig_status(rig).partitions[TOPIC_WRITES].halt;
    assert_non_null(halt);
    assert_string_equal(halt, "corrupt");
    engine_rig_run(rig, 30000); /* at the end of the log nothing is left that could be corrupt */
    assert_null(engine_rig_status(rig).partitions[TOPIC_WRITES].halt);
}

/* What was read before the broken record is acknowledged: it is applied, then the halt begins. */
static void test_what_came_before_a_broken_record_is_applied(void **state)
{
    struct engine_rig *rig = *state;
    rig->options.linger_ms = 1000;
    log_of(rig, TOPIC_WRITES)->end = 5;
    engine_rig_start(rig);
    engine_rig_run(rig, 100);
    assert_int_equal(log_of(rig, TOPIC_WRITES)->next, 0);
    rig->corrupt = true;
    engine_rig_run(rig, 100);
    assert_null(engine_rig_status(rig).partitions[TOPIC_WRITES].halt);
    engine_rig_run(rig, 2000);
    assert_int_equal(log_of(rig, TOPIC_WRITES)->next, 5);
    assert_string_equal(engine_rig_status(rig).partitions[TOPIC_WRITES].halt, "corrupt");
}

/* A backlog of one partition is no reason to forget about another. */
static void test_an_idle_partition_is_marked_beside_a_busy_one(void **state)
{
    struct engine_rig *rig = *state;
    rig->options.batch_events_max = 2;
    rig->close_ms = 3;
    log_of(rig, TOPIC_ACTIVITY)->end = 4;
    log_of(rig, TOPIC_WRITES)->end = 100000;
    engine_rig_start(rig);
    engine_rig_run(rig, 5000);
    assert_in_range(log_of(rig, TOPIC_WRITES)->next, 100, 99999);
    assert_int_equal(log_of(rig, TOPIC_ACTIVITY)->published, 4);
    assert_in_range(rig->calls[STORE_MARK], 1, 4);
}

static void test_a_mark_that_must_wait_does_not_spin(void **state)
{
    struct engine_rig *rig = *state;
    rig->options.linger_ms = 5000;
    engine_rig_start(rig);
    drip(rig, TOPIC_WRITES, 1, 6000);
    rig->silent = true;
    drip(rig, TOPIC_WRITES, 1, 6000); /* committed, not confirmed */
    drip(rig, TOPIC_WRITES, 1, 100);  /* lingers */
    rig->silent = false;
    uint64_t steps = rig->steps;
    engine_rig_run(rig, 4000);
    assert_in_range(rig->steps - steps, 1, 50);
}

/* Nobody may ask for a refresh, but everybody may save. */
static void test_refused_view_requests_hold_up_nobody(void **state)
{
    struct engine_rig *rig = *state;
    log_of(rig, TOPIC_REFRESH)->end = 1;
    rig->views_fail = true;
    err_set(&rig->err[STORE_OPEN], ERR_HALT, "42501", "permission denied");
    engine_rig_start(rig);
    engine_rig_run(rig, 1000);
    log_of(rig, TOPIC_WRITES)->end = 5;
    log_of(rig, TOPIC_WRITES)->end_told = false;
    engine_rig_run(rig, 60000);
    assert_int_equal(log_of(rig, TOPIC_WRITES)->published, 5);
    const struct partition_status *refresh = &engine_rig_status(rig).partitions[TOPIC_REFRESH];
    assert_non_null(refresh->halt);
    assert_string_equal(refresh->halt, "schema");
    rig->views_fail = false;
    engine_rig_run(rig, 65000);
    assert_null(engine_rig_status(rig).partitions[TOPIC_REFRESH].halt);
    assert_int_equal(log_of(rig, TOPIC_REFRESH)->committed, 1);
}

/* Five saves are read, and while the answer to their COMMIT is lost somebody else claims them. */
static void commit_is_fenced(struct engine_rig *rig)
{
    log_of(rig, TOPIC_WRITES)->end = 5;
    rig->held = true;
    engine_rig_start(rig);
    engine_rig_run(rig, 1000);
    assert_int_equal(rig->calls[STORE_CLOSE], 1);
    log_of(rig, TOPIC_WRITES)->epoch++;
    err_set(&rig->err[STORE_CLOSE], ERR_LOST, "08006", "the connection is gone");
    rig->fails[STORE_CLOSE] = 1;
    rig->held = false;
    engine_rig_run(rig, 30000);
    assert_int_equal(rig->calls[STORE_RESOLVE], 1);
}

/* Its flush is nobody's any more, but who asked for a view in it asked this worker. */
static void test_a_request_outlives_its_fenced_flush(void **state)
{
    struct engine_rig *rig = *state;
    log_of(rig, TOPIC_REFRESH)->end = 1;
    commit_is_fenced(rig);
    assert_int_equal(log_of(rig, TOPIC_REFRESH)->committed, 1);
    assert_int_equal(rig->views_asked, 1);
}

/*
 * The claim was a zombie's, who never reads. What the flush held is read again by whom the group
 * has given the partition, though nothing else comes.
 */
static void test_a_fenced_flush_is_read_again(void **state)
{
    struct engine_rig *rig = *state;
    commit_is_fenced(rig);
    assert_int_equal(engine_rig_status(rig).fenced, 1);
    assert_int_equal(log_of(rig, TOPIC_WRITES)->published, 5);
}

/* A database that is slower than its statement timeout allows still makes progress. */
static void test_a_batch_that_is_too_much_gets_smaller(void **state)
{
    struct engine_rig *rig = *state;
    log_of(rig, TOPIC_WRITES)->end = 1000;
    log_of(rig, TOPIC_ACTIVITY)->end = 1000;
    rig->too_many = 10;
    err_set(&rig->err[STORE_OPEN], ERR_RETRY, "57014", "statement timeout");
    engine_rig_start(rig);
    engine_rig_run(rig, 300000);
    assert_int_equal(log_of(rig, TOPIC_WRITES)->published, 1000);
    assert_int_equal(log_of(rig, TOPIC_ACTIVITY)->published, 1000);
    struct engine_status status = engine_rig_status(rig);
    assert_int_equal(status.outcomes[OUTCOME_APPLIED] + status.outcomes[OUTCOME_DUPLICATE], 2000);
}

/* Each new list of positions throws away what was read ahead of all partitions. */
static void test_a_lasting_halt_disturbs_nobody(void **state)
{
    struct engine_rig *rig = *state;
    *log_of(rig, TOPIC_ACTIVITY) =
        (struct rig_partition){ .end = 5, .next = 10, .published = 10, .committed = -1 };
    engine_rig_start(rig);
    engine_rig_run(rig, 3000);
    assert_int_equal(rig->halts, 1);
    unsigned assigns = rig->assigns;
    engine_rig_run(rig, 300000);
    assert_int_equal(rig->assigns, assigns);
    assert_in_range(rig->halts, 4, 6); /* repeated every minute */
}

static const char *halt_of(const struct engine_rig *rig, enum topic topic)
{
    const char *halt = engine_rig_status(rig).partitions[topic].halt;
    return halt == NULL ? "" : halt;
}

/* What accept-gap does with a ledger that was put back. */
static void accept_gap(struct rig_partition *row)
{
    int64_t seen = row->witness.present ? row->witness.generation : 0;
    row->generation = (row->generation > seen ? row->generation : seen) + 1;
    row->published = row->next;
    row->epoch++;
}

/* A worker that has applied the ten records of its log. */
static struct rig_partition *ten_applied(struct engine_rig *rig)
{
    struct rig_partition *row = log_of(rig, TOPIC_WRITES);
    row->end = 10;
    engine_rig_start(rig);
    engine_rig_run(rig, 3000);
    assert_int_equal(row->next, 10);
    return row;
}

static void test_a_ledger_that_was_put_back_halts_its_worker(void **state)
{
    struct engine_rig *rig = *state;
    struct rig_partition *row = ten_applied(rig);
    assert_true(row->witness.present);
    assert_int_equal(row->witness.next_offset, 10);

    row->next = row->published = 7; /* a standby takes over; all else is as it was */
    row->witness.next_offset = 5;   /* what the group heard last is older still */
    row->committed = 3;
    drip(rig, TOPIC_WRITES, 1, 10000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "ledger_behind");
    assert_non_null(strstr(rig->halt_err.text, "offset 7"));
    assert_non_null(strstr(rig->halt_err.text, "offset 10"));
    engine_rig_run(rig, 120000);
    assert_int_equal(row->next, 7);
    assert_int_equal(row->committed, 3); /* the group's offset stays ... */
    assert_true(row->witness.present);   /* ... and others get to know */
    assert_int_equal(row->witness.next_offset, 10);

    accept_gap(row);
    engine_rig_run(rig, 20000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "");
    assert_int_equal(row->next, 11);
    assert_int_equal(row->witness.generation, 2);
    assert_int_equal(row->witness.next_offset, 11);
}

/* How many partitions start over because of it? */
static size_t seen_elsewhere(struct engine_rig *rig, int64_t next_offset, int64_t asked_ms)
{
    for (int topic = TOPIC_WRITES; topic <= TOPIC_ACTIVITY; topic++)
        if (next_offset >= 0)
            engine_ledger_seen(
                rig->engine,
                &(struct seen_ledger){
                    { (enum topic)topic, 0 }, 1, next_offset, rig->partitions[topic].published },
                asked_ms);
    size_t count = engine_ledger_looked(rig->engine, asked_ms);
    if (engine_ledger_looked(rig->engine, asked_ms) != 0)
        fail_msg("who starts over anyway does so again");
    engine_rig_run(rig, 3000);
    return count;
}

/* Nothing more comes into the log, so nothing would be written that finds it out. */
static void test_a_ledger_that_was_put_back_is_noticed_in_silence(void **state)
{
    struct engine_rig *rig = *state;
    int64_t before_ms = rig->now_ms;
    struct rig_partition *row = ten_applied(rig);
    int64_t epoch = row->epoch;
    assert_int_equal(seen_elsewhere(rig, 10, rig->now_ms), 0); /* as it should be */
    assert_int_equal(seen_elsewhere(rig, 4, before_ms), 0); /* asked before the commit: no wonder */
    assert_int_equal(row->epoch, epoch);

    row->next = row->published = 7;
    engine_rig_run(rig, 60000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "");
    assert_int_equal(seen_elsewhere(rig, 7, rig->now_ms), 1);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "ledger_behind");
    assert_int_equal(row->next, 7);
}

/* The backup lacks no record, but that they were told of: whoever waits for that would wait. */
static void test_a_mark_that_was_put_back_is_made_again(void **state)
{
    struct engine_rig *rig = *state;
    struct rig_partition *row = ten_applied(rig);
    int64_t epoch = row->epoch;
    row->published = 3;
    engine_rig_run(rig, 60000);
    assert_int_equal(row->published, 3);
    assert_int_equal(seen_elsewhere(rig, 10, rig->now_ms), 0);
    assert_int_equal(row->published, 10);
    assert_int_equal(row->epoch, epoch);
}

/* Put back to before the partition had a row: the claim makes one. */
static void test_a_ledger_that_is_gone_is_noticed_in_silence(void **state)
{
    struct engine_rig *rig = *state;
    struct rig_partition *row = ten_applied(rig);
    row->exists = false;
    row->next = row->published = 0;
    engine_rig_run(rig, 60000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "");
    assert_int_equal(seen_elsewhere(rig, -1, rig->now_ms), 2);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "ledger_behind");
    assert_int_equal(row->next, 0);
}

static void test_a_ledger_that_was_put_back_halts_a_new_worker(void **state)
{
    struct engine_rig *rig = *state;
    struct rig_partition *row = log_of(rig, TOPIC_WRITES);
    *row = (struct rig_partition){ .end = 10,
                                   .exists = true,
                                   .next = 7,
                                   .published = 7,
                                   .committed = 9,
                                   .witness = { true, 1, 9 } };
    engine_rig_start(rig);
    engine_rig_run(rig, 30000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "ledger_behind");
    assert_int_equal(row->next, 7);
    row->witness = (struct witness){ true, 3, 2 }; /* seen two generations later */
    engine_rig_run(rig, 30000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "ledger_behind");
    accept_gap(row);
    assert_int_equal(row->generation, 4);
    engine_rig_run(rig, 20000);
    assert_int_equal(row->next, 10);
}

/* The ledger decides: whatever tools make of the group's offsets, and whatever was seen before. */
/* By hand, or by a program that knew better: the records between would be lost in silence. */
static void test_a_ledger_that_was_put_ahead_halts(void **state)
{
    struct engine_rig *rig = *state;
    struct rig_partition *row = ten_applied(rig);

    row->end = 20;
    row->end_told = false;
    row->next = row->published = 15;
    row->epoch++;
    engine_rig_run(rig, 20000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "anchor");
    assert_non_null(strstr(rig->halt_err.text, "offset 10"));
    assert_int_equal(row->next, 15);

    row->next = row->published = 10;
    row->generation = 2; /* nothing is behind what another generation has shown */
    engine_rig_run(rig, 20000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "");
    assert_int_equal(row->next, 20);
}

static void test_group_offsets_without_a_newer_witness_are_ignored(void **state)
{
    struct engine_rig *rig = *state;
    struct rig_partition *writes = log_of(rig, TOPIC_WRITES);
    struct rig_partition *activity = log_of(rig, TOPIC_ACTIVITY);
    *writes = (struct rig_partition){
        .end = 10, .exists = true, .next = 7, .published = 7, .committed = 10
    };
    *activity = (struct rig_partition){ .end = 10,
                                        .exists = true,
                                        .next = 7,
                                        .published = 7,
                                        .generation = 2,
                                        .committed = 10,
                                        .witness = { true, 1, 9 } };
    engine_rig_start(rig);
    engine_rig_run(rig, 3000);
    assert_int_equal(rig->halts, 0);
    assert_int_equal(writes->published, 10);
    assert_int_equal(activity->published, 10);
}

/* The contract: what the database refuses is tried again every minute, and said every minute. */
static void test_what_the_database_refuses_is_tried_once_a_minute(void **state)
{
    struct engine_rig *rig = *state;
    log_of(rig, TOPIC_WRITES)->end = 5;
    fail_for_ever(rig, STORE_OPEN, ERR_HALT, "42703");
    engine_rig_start(rig);
    engine_rig_run(rig, 2000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "schema");
    assert_int_equal(rig->calls[STORE_OPEN], 1);
    assert_int_equal(rig->halts, 1);
    engine_rig_run(rig, 57000);
    assert_int_equal(rig->calls[STORE_OPEN], 1);
    engine_rig_run(rig, 5 * 60000);
    assert_in_range(rig->calls[STORE_OPEN], 5, 6);
    assert_in_range(rig->halts, 5, 6);
    rig->fails[STORE_OPEN] = 0;
    engine_rig_run(rig, 65000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "");
    assert_int_equal(log_of(rig, TOPIC_WRITES)->published, 5);
}

/* What connecting found wrong need not wait for a minute once a connection is good again. */
static void test_a_halt_by_connecting_ends_with_the_next_connection(void **state)
{
    struct engine_rig *rig = *state;
    log_of(rig, TOPIC_WRITES)->end = 5;
    fail_for_ever(rig, STORE_CONNECT, ERR_HALT, "schema");
    engine_rig_start(rig);
    engine_rig_run(rig, 3000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "schema");
    rig->fails[STORE_CONNECT] = 0;
    engine_rig_run(rig, 12000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "");
    assert_int_equal(log_of(rig, TOPIC_WRITES)->published, 5);
}

/*
 * Two refused submits in a row pull the brake, and no minute lets them go, until somebody says that
 * these records are bad. His word ends at its offset.
 */
static void test_refused_submits_pass_by_word_only(void **state)
{
    struct engine_rig *rig = *state;
    struct rig_partition *writes = log_of(rig, TOPIC_WRITES);
    rig->submits = true;
    rig->refused = 1 << 3 | 1 << 6;
    writes->end = 10;
    engine_rig_start(rig);
    engine_rig_run(rig, 2000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "data_errors");
    assert_non_null(strstr(rig->halt_err.text, "record at offset 6: constraint answers_small"));
    engine_rig_run(rig, 3 * 60000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "data_errors");
    writes->refusals_until = 6;
    engine_rig_run(rig, 3 * 60000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "data_errors");
    assert_int_equal(writes->next, 0);
    writes->refusals_until = 7;
    engine_rig_run(rig, 65000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "");
    assert_int_equal(writes->published, 10);
    assert_int_equal(engine_rig_status(rig).outcomes[OUTCOME_DEAD], 2);
    assert_int_equal(engine_rig_status(rig).outcomes[OUTCOME_APPLIED], 8);
    rig->refused |= (uint64_t)1 << 20 | (uint64_t)1 << 21; /* it was about those, and no others */
    drip(rig, TOPIC_WRITES, 20, 10);
    engine_rig_run(rig, 2000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "data_errors");
}

/*
 * While the search for record 20 goes on, another session moves a row: now that one passes, and
 * record 5 is refused. Nobody is condemned for what has changed since he was looked at.
 */
static void test_the_search_notices_that_a_row_has_moved(void **state)
{
    struct engine_rig *rig = *state;
    struct rig_partition *writes = log_of(rig, TOPIC_WRITES);
    rig->submits = true;
    rig->refused = 1 << 20;
    rig->refusals_left = 3;
    rig->refused_then = 1 << 5;
    writes->end = 32;
    engine_rig_start(rig);
    engine_rig_run(rig, 2000);
    assert_int_equal(rig->refusals_left, 0);
    assert_int_equal(writes->published, 32);
    assert_int_equal(engine_rig_status(rig).outcomes[OUTCOME_DEAD], 1);
    assert_int_equal(rig->isolated, 5);
}

/* Each new process knows from the ledger what was refused: a crash loop lets no exam die. */
static void test_a_restart_lets_no_refused_submit_through(void **state)
{
    struct engine_rig *rig = *state;
    struct rig_partition *writes = log_of(rig, TOPIC_WRITES);
    rig->submits = true;
    rig->refused = 1 << 3 | 1 << 4 | 1 << 8;
    writes->end = 4;
    engine_rig_start(rig);
    engine_rig_run(rig, 2000);
    assert_int_equal(writes->next, 4);
    assert_int_equal(writes->refusals, 1);
    writes->end = 6;
    for (int i = 0; i < 3; i++) {
        engine_rig_restart(rig);
        engine_rig_run(rig, 2000);
        assert_string_equal(halt_of(rig, TOPIC_WRITES), "data_errors");
        assert_int_equal(writes->next, 4);
    }
    writes->refusals_until = 5;
    engine_rig_restart(rig);
    engine_rig_run(rig, 2000);
    assert_int_equal(writes->next, 6);
    assert_int_equal(writes->refusals, 2);
    /* Offset 5 was applied: the next refused submit is the first of its row again. */
    writes->end = 10;
    writes->end_told = false;
    engine_rig_run(rig, 2000);
    assert_int_equal(writes->next, 10);
    assert_int_equal(writes->refusals, 3);
}

/* Applied beside it, and before it in the log, is not applied after it. */
static void test_a_submit_before_a_refused_one_ends_no_row(void **state)
{
    struct engine_rig *rig = *state;
    struct rig_partition *writes = log_of(rig, TOPIC_WRITES);
    rig->submits = true;
    rig->refused = 1 << 3 | 1 << 4;
    writes->end = 4;
    engine_rig_start(rig);
    engine_rig_run(rig, 2000);
    assert_int_equal(writes->next, 4);
    drip(rig, TOPIC_WRITES, 1, 2000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "data_errors");
    assert_int_equal(writes->next, 4);
}

/* A burst, too: where many were refused lately, the next one in what waits halts at once. */
static void test_a_restart_does_not_forget_a_burst(void **state)
{
    struct engine_rig *rig = *state;
    struct rig_partition *writes = log_of(rig, TOPIC_WRITES);
    rig->refused = 1 << 3;
    writes->refusals = 20;
    writes->end = 5;
    engine_rig_start(rig);
    engine_rig_run(rig, 2000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "data_errors");
    assert_int_equal(writes->next, 0);
    rig->refused = 1 << 9; /* behind what waited then: it is over, this is another one */
    engine_rig_restart(rig);
    engine_rig_run(rig, 2000);
    drip(rig, TOPIC_WRITES, 7, 500);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "");
    assert_int_equal(writes->next, 12);
    assert_int_equal(writes->refusals, 21);
}

/* What is committed before the record that halted does not show that the refusals have ended. */
static void test_a_halt_is_over_behind_its_record(void **state)
{
    struct engine_rig *rig = *state;
    struct rig_partition *writes = log_of(rig, TOPIC_WRITES);
    rig->options.batch_events_max = 16;
    rig->refused = ((uint64_t)1 << 20) - 1;
    rig->refused |= (uint64_t)1 << 40;
    writes->end = 50;
    engine_rig_start(rig);
    engine_rig_run(rig, 5000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "data_errors");
    assert_int_equal(writes->next, 28);
    assert_int_equal(writes->refusals, 20);
    /* The next try is too slow, and its first half goes alone. */
    rig->fails[STORE_OPEN] = 1;
    err_set(&rig->err[STORE_OPEN], ERR_RETRY, "57014", "statement timeout");
    writes->refusals = 0; /* as if somebody had settled them: it is not the letters that hold it */
    engine_rig_run(rig, 70000);
    assert_int_equal(writes->next, 35);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "data_errors");
    rig->refused = 0;
    engine_rig_run(rig, 70000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "");
    assert_int_equal(writes->next, 50);
}

/*
 * A backlog without end beside an idle partition: a submit there waits for the flush in flight and
 * for its own, and for nothing else.
 */
static void test_a_submit_does_not_wait_for_a_backlog(void **state)
{
    struct engine_rig *rig = *state;
    rig->submits = true;
    rig->records_per_ms = 40;
    rig->options.batch_events_max = 8000; /* a full batch takes 200 ms */
    log_of(rig, TOPIC_ACTIVITY)->end = 1000000;
    engine_rig_start(rig);
    engine_rig_run(rig, 1000);
    for (int i = 0; i < 25; i++) {
        int64_t begun_ms = rig->now_ms;
        log_of(rig, TOPIC_WRITES)->end++;
        log_of(rig, TOPIC_WRITES)->end_told = false;
        while (log_of(rig, TOPIC_WRITES)->next < log_of(rig, TOPIC_WRITES)->end)
            engine_rig_run(rig, 1);
        assert_in_range(rig->now_ms - begun_ms, 0, 2 * 200 + 10);
        engine_rig_run(rig, 37);
    }
    /* and the backlog moves on all the while */
    int64_t rate = log_of(rig, TOPIC_ACTIVITY)->next / rig->now_ms;
    assert_in_range(rate, 25, 40);
}

/* The batch of a submit is cut: what waits behind it in other partitions is for the next one. */
static void test_the_batch_of_a_submit_is_cut(void **state)
{
    struct engine_rig *rig = *state;
    rig->submits = true;
    engine_rig_start(rig);
    engine_rig_run(rig, 100);
    rig->held = true;
    drip(rig, TOPIC_WRITES, 1, 100); /* in flight, and stays there */
    drip(rig, TOPIC_WRITES, 1, 100);
    drip(rig, TOPIC_ACTIVITY, 1, 0);
    log_of(rig, TOPIC_ACTIVITY)->end += 100000;
    engine_rig_run(rig, 1000);
    assert_in_range(engine_rig_status(rig).batch_events, 1024, 1400);
    drip(rig, TOPIC_WRITES, 100, 1); /* more submits are welcome */
    assert_in_range(engine_rig_status(rig).batch_events, 1124, 1500);
    rig->held = false;
    engine_rig_run(rig, 3000);
    assert_int_equal(log_of(rig, TOPIC_ACTIVITY)->published, 100001);
}

/* A slow database makes batches larger, not queues longer. */
static void test_a_slow_database_gets_larger_batches(void **state)
{
    struct engine_rig *rig = *state;
    rig->options.linger_ms = 20;
    engine_rig_start(rig);
    drip(rig, TOPIC_WRITES, 2000, 1);
    uint64_t flushes = engine_rig_status(rig).flushes;
    assert_in_range(2000 / flushes, 5, 40);
    rig->close_ms = 300;
    drip(rig, TOPIC_WRITES, 6000, 1);
    flushes = engine_rig_status(rig).flushes - flushes;
    assert_in_range(6000 / flushes, 200, 500);
    assert_in_range(log_of(rig, TOPIC_WRITES)->end - log_of(rig, TOPIC_WRITES)->next, 0, 700);
}

/* Whoever is told of a retry is told of its end, once; a race that is no failure is one, too. */
static void test_a_retry_has_an_end(void **state)
{
    static const char *const codes[] = { "40P01", "race" };
    struct engine_rig *rig = *state;
    log_of(rig, TOPIC_WRITES)->end = 10;
    engine_rig_start(rig);
    engine_rig_run(rig, 1000);
    assert_int_equal(rig->answers, 0);
    for (unsigned i = 0; i < 2; i++) {
        rig->fails[STORE_OPEN] = 1;
        err_set(&rig->err[STORE_OPEN], ERR_RETRY, codes[i], "a toy fails");
        drip(rig, TOPIC_WRITES, 10, 300);
        assert_int_equal(rig->answers, i + 1);
    }
    engine_rig_run(rig, 5000);
    assert_int_equal(log_of(rig, TOPIC_WRITES)->published, 30);
}

/* While the breaker is open nothing is read, and nothing more is kept. */
static void test_an_open_breaker_needs_no_more_memory(void **state)
{
    struct engine_rig *rig = *state;
    rig->options.batch_events_max = 1000;
    fail_for_ever(rig, STORE_OPEN, ERR_LOST, "08006");
    fail_for_ever(rig, STORE_CONNECT, ERR_LOST, "08006");
    rig->fails[STORE_CONNECT] = 0;
    log_of(rig, TOPIC_WRITES)->end = 100;
    engine_rig_start(rig);
    engine_rig_run(rig, 5000);
    rig->fails[STORE_CONNECT] = -1;
    drip(rig, TOPIC_WRITES, 200, 100);
    struct engine_status before = engine_rig_status(rig);
    assert_int_equal(before.breaker, BREAKER_OPEN);
    drip(rig, TOPIC_WRITES, 3000, 100); /* five minutes */
    struct engine_status after = engine_rig_status(rig);
    assert_int_equal(after.records_read, before.records_read);
    assert_int_equal(after.memory_bytes, before.memory_bytes);
    rig->fails[STORE_OPEN] = rig->fails[STORE_CONNECT] = 0;
    engine_rig_run(rig, 65000);
    assert_int_equal(engine_rig_status(rig).breaker, BREAKER_CLOSED);
    assert_int_equal(log_of(rig, TOPIC_WRITES)->published, 3300);
}

/* Five failures open it; one probe at a time, never further apart than the setting says. */
static void test_probes_are_never_further_apart_than_set(void **state)
{
    struct engine_rig *rig = *state;
    rig->options.breaker_failures = 5;
    rig->options.breaker_open_ms = 4000;
    fail_for_ever(rig, STORE_CONNECT, ERR_LOST, "08006");
    engine_rig_start(rig);
    engine_rig_run(rig, 30000);
    assert_int_equal(engine_rig_status(rig).breaker, BREAKER_OPEN);
    unsigned tries = rig->calls[STORE_CONNECT];
    engine_rig_run(rig, 40000);
    assert_in_range(rig->calls[STORE_CONNECT] - tries, 9, 11);
}

/* Another writer was quicker, a few times: the database is well. If it never ends, it is not. */
static void test_races_alone_do_not_open_the_breaker(void **state)
{
    struct engine_rig *rig = *state;
    static const struct {
        const char *code;
        int times;
        bool opens;
    } cases[] = {
        { "race", 9, false }, { "23503", 9, false }, { "40001", 9, true }, { "race", 1000, true }
    };
    engine_rig_start(rig);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fail_for_ever(rig, STORE_CLOSE, ERR_RETRY, cases[i].code);
        rig->fails[STORE_CLOSE] = cases[i].times;
        drip(rig, TOPIC_WRITES, 5, 1);
        bool opened = false;
        for (int s = 0; s < 120; s++) {
            engine_rig_run(rig, 1000);
            opened = opened || engine_rig_status(rig).breaker != BREAKER_CLOSED;
        }
        assert_int_equal(opened, cases[i].opens);
        rig->fails[STORE_CLOSE] = 0;
        drip(rig, TOPIC_WRITES, 1, 65000);
        assert_int_equal(log_of(rig, TOPIC_WRITES)->published, log_of(rig, TOPIC_WRITES)->end);
    }
}

/* A right that is taken away when all is told: the mark is tried once a minute, and it is said. */
static void test_a_mark_that_is_refused_halts(void **state)
{
    struct engine_rig *rig = *state;
    log_of(rig, TOPIC_WRITES)->end = 5;
    fail_for_ever(rig, STORE_MARK, ERR_HALT, "42501");
    engine_rig_start(rig);
    engine_rig_run(rig, 50000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "schema");
    assert_in_range(rig->calls[STORE_MARK], 1, 2);
    rig->fails[STORE_MARK] = 0;
    engine_rig_run(rig, 65000);
    assert_string_equal(halt_of(rig, TOPIC_WRITES), "");
    assert_int_equal(log_of(rig, TOPIC_WRITES)->published, 5);
}

static void test_stop_leaves_no_lag_behind(void **state)
{
    struct engine_rig *rig = *state;
    log_of(rig, TOPIC_WRITES)->end = 5;
    rig->options.linger_ms = 0;
    engine_rig_start(rig);
    engine_rig_run(rig, 3000);
    drip(rig, TOPIC_WRITES, 1, 5);
    drip(rig, TOPIC_WRITES, 1, 700);
    engine_stop(rig->engine);
    for (int i = 0; i < 1000 && !engine_stopped(rig->engine); i++)
        engine_rig_run(rig, 1);
    assert_true(engine_stopped(rig->engine));
    assert_int_equal(log_of(rig, TOPIC_WRITES)->published, 7);
    assert_int_equal(log_of(rig, TOPIC_WRITES)->committed, 7);
}

/* A working day in seven minutes: flushes, retries, a breaker, refusals, a halt that heals. */
static uint64_t day_with_jumps(int64_t jump_us)
{
    struct engine_rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    engine_rig_init(rig);
    rig->submits = true;
    rig->refused = 1 << 3 | 1 << 6;
    log_of(rig, TOPIC_WRITES)->end = 10;
    engine_rig_start(rig);
    for (int minute = 0; minute < 7; minute++) {
        rig->wall_us = minute % 2 == 0 ? jump_us : -jump_us;
        drip(rig, TOPIC_ACTIVITY, 20, 500);
        rig->wall_us = minute % 3 == 0 ? -jump_us : 0;
        if (minute == 2)
            log_of(rig, TOPIC_WRITES)->refusals_until = 7;
        rig->fails[STORE_OPEN] = minute == 4 ? 8 : 0;
        err_set(&rig->err[STORE_OPEN], ERR_RETRY, "40001", "a toy fails");
        rig->fails[STORE_CONNECT] = minute == 5 ? 20 : 0;
        err_set(&rig->err[STORE_CONNECT], ERR_LOST, "08006", "a toy fails");
        rig->fails[STORE_CLOSE] = minute == 5;
        err_set(&rig->err[STORE_CLOSE], ERR_RETRY, "40001", "a toy fails");
        engine_rig_run(rig, 20000);
        rig->wall_us = jump_us;
        drip(rig, TOPIC_REFRESH, 3, 100);
        engine_rig_run(rig, 30000);
    }
    assert_int_equal(log_of(rig, TOPIC_ACTIVITY)->published, 140);
    assert_int_equal(log_of(rig, TOPIC_WRITES)->published, 10);
    uint64_t trace = rig->trace;
    engine_rig_release(rig);
    free(rig);
    return trace;
}

/* The wall clock stands in messages for people, and decides nothing. */
static void test_no_jump_of_the_wall_clock_changes_anything(void **state)
{
    (void)state;
    const int64_t ten_years_us = INT64_C(3652) * 86400 * 1000000;
    uint64_t calm = day_with_jumps(0);
    assert_true(day_with_jumps(ten_years_us) == calm);
    assert_true(day_with_jumps(-ten_years_us) == calm);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_rig, close_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_settles_and_publishes),
        TEST(test_waiting_for_tickets_takes_no_memory),
        TEST(test_dead_letter_with_a_monstrous_key),
        TEST(test_outcomes_pass_the_trace_on),
        TEST(test_nothing_before_the_generation_is_told_again),
        TEST(test_recall_that_fails_is_not_tried_in_a_circle),
        TEST(test_commit_in_flight_does_not_heal_a_halt),
        TEST(test_what_came_before_a_broken_record_is_applied),
        TEST(test_an_idle_partition_is_marked_beside_a_busy_one),
        TEST(test_a_mark_that_must_wait_does_not_spin),
        TEST(test_refused_view_requests_hold_up_nobody),
        TEST(test_a_request_outlives_its_fenced_flush),
        TEST(test_a_fenced_flush_is_read_again),
        TEST(test_a_batch_that_is_too_much_gets_smaller),
        TEST(test_a_lasting_halt_disturbs_nobody),
        TEST(test_a_ledger_that_was_put_back_halts_its_worker),
        TEST(test_a_ledger_that_was_put_back_is_noticed_in_silence),
        TEST(test_a_mark_that_was_put_back_is_made_again),
        TEST(test_a_ledger_that_is_gone_is_noticed_in_silence),
        TEST(test_a_ledger_that_was_put_back_halts_a_new_worker),
        TEST(test_a_ledger_that_was_put_ahead_halts),
        TEST(test_group_offsets_without_a_newer_witness_are_ignored),
        TEST(test_what_the_database_refuses_is_tried_once_a_minute),
        TEST(test_a_halt_by_connecting_ends_with_the_next_connection),
        TEST(test_refused_submits_pass_by_word_only),
        TEST(test_the_search_notices_that_a_row_has_moved),
        TEST(test_a_restart_lets_no_refused_submit_through),
        TEST(test_a_submit_before_a_refused_one_ends_no_row),
        TEST(test_a_restart_does_not_forget_a_burst),
        TEST(test_a_halt_is_over_behind_its_record),
        TEST(test_a_submit_does_not_wait_for_a_backlog),
        TEST(test_the_batch_of_a_submit_is_cut),
        TEST(test_a_slow_database_gets_larger_batches),
        TEST(test_a_retry_has_an_end),
        TEST(test_an_open_breaker_needs_no_more_memory),
        TEST(test_races_alone_do_not_open_the_breaker),
        TEST(test_a_mark_that_is_refused_halts),
        TEST(test_probes_are_never_further_apart_than_set),
        TEST(test_stop_leaves_no_lag_behind),
        cmocka_unit_test(test_no_jump_of_the_wall_clock_changes_anything),
    };
    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
