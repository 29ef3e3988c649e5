#include "worker/commands/drain.h"
#include "common/clock.h"
#include "worker/commands/facts.h"
#include "worker/commands/interrupt.h"
#include "worker/commands/kafka_setup.h"
#include "worker/commands/withheld.h"
#include "worker/kafka/kafka_admin.h"
#include "worker/postgres/pg_session.h"

#include <stdlib.h>
#include <string.h>

#define ASK_MS 100

/* A partition that has to get as far as its end was. */
struct target {
    const char *topic; /* the settings' */
    int32_t partition;
    int64_t low, end;  /* for readers */
    int64_t high;      /* behind `end` by what an open transaction held back */
    int64_t published; /* by the ledger; -1 without a row */
    bool other_log;    /* not the one that the ledger knows: it can only halt */
    bool halted;
};

struct drain {
    const struct settings *settings;
    const struct log *log;
    struct clock clock;
    struct target *targets;
    size_t target_count;
    struct pg_session *session;
    bool asked;          /* an answer is on its way */
    bool answered;       /* at least once */
    int64_t ask_next_ms; /* not before */
};

/* ----------------------------------------------------------------------- the ends of the logs */

/* next_offset of a partition; -1 without a row, or when nobody could be asked. */
static int64_t ledger_next(const struct pg_rows *ledger, const char *topic, int32_t partition)
{
    for (size_t row = 0; ledger != NULL && row < pg_rows_count(ledger); row++) {
        if (pg_rows_int(ledger, row, 1) == partition &&
            strcmp(pg_rows_text(ledger, row, 0, ""), topic) == 0)
            return pg_rows_int(ledger, row, 3);
    }
    return -1;
}

/*
 * The ledger as it was before the ends were noted: where it is further than the log, the log is
 * another one. NULL when the database does not answer, which is no reason not to start.
 */
static struct pg_rows *read_ledger(const struct settings *settings)
{
    struct pg_rows *rows = NULL;
    struct err err;
    struct pg_client *client = facts_connect(settings, false, &err);
    if (client != NULL && !facts_run(client, "drain_progress.sql", NULL, 0, &rows, &err))
        rows = NULL;
    pg_client_free(client);
    return rows;
}

static bool add_topic(struct drain *drain, struct kafka_admin *admin, const struct pg_rows *ledger,
                      const char *topic, struct err *err)
{
    struct kafka_topic facts;
    if (!kafka_admin_topic(admin, topic, &facts, err))
        return false;
    if (!facts.exists)
        return true;
    size_t count = drain->target_count + (size_t)facts.partition_count;
    struct target *targets = reallocarray(drain->targets, count + 1, sizeof *targets);
    if (targets == NULL)
        return err_set(err, ERR_RESOURCE, "memory", "no memory for %zu partitions", count);
    drain->targets = targets;
    for (int32_t p = 0; p < facts.partition_count; p++) {
        struct target target = { .topic = topic, .partition = p, .published = -1 };
        if (!kafka_admin_log(admin, topic, p, &target.low, &target.end, err))
            return false;
        target.high = target.end;
        int64_t next = ledger_next(ledger, topic, p);
        target.other_log = next >= 0 && (next < target.low || next > target.end);
        drain->targets[drain->target_count++] = target;
    }
    return true;
}

/* Only to be told of: that Kafka does not say it (it takes a client of its own) stops nothing. */
static void note_withheld(struct drain *drain, struct kafka_admin *admin)
{
    struct err err;
    for (size_t i = 0; i < drain->target_count; i++) {
        struct target *target = &drain->targets[i];
        struct kafka_log_ends ends;
        if (!kafka_admin_ends(admin, target->topic, target->partition, &ends, &err))
            return;
        if (ends.high > ends.stable)
            target->high = ends.high;
    }
}

static bool note_ends(struct drain *drain, struct err *err)
{
    struct kafka_setup setup;
    if (!kafka_setup_init(&setup, drain->settings, err))
        return false;
    struct pg_rows *ledger = read_ledger(drain->settings);
    struct kafka_admin *admin = kafka_setup_reach(&setup, err);
    bool done = admin != NULL &&
                add_topic(drain, admin, ledger, drain->settings->topics[TOPIC_WRITES], err) &&
                add_topic(drain, admin, ledger, drain->settings->topics[TOPIC_ACTIVITY], err);
    if (done)
        note_withheld(drain, admin);
    pg_rows_free(ledger);
    kafka_admin_free(admin);
    kafka_setup_release(&setup);
    return done;
}

struct drain *drain_new(const struct settings *settings, const struct log *log, struct err *err)
{
    struct drain *drain = calloc(1, sizeof *drain);
    if (drain == NULL) {
        (void)err_set(err, ERR_RESOURCE, "memory", "no memory");
        return NULL;
    }
    drain->settings = settings;
    drain->log = log;
    drain->clock = clock_system();
    struct pg_session_options options = pg_session_options_default();
    options.conninfo = settings->database_url;
    options.schema = settings->schema;
    drain->session = pg_session_new(&options);
    if (drain->session == NULL)
        (void)err_set(err, ERR_RESOURCE, "memory", "no memory");
    struct interrupt_exit exits;
    interrupt_exit_begin(&exits);
    bool noted = drain->session != NULL && note_ends(drain, err);
    interrupt_exit_end(&exits);
    if (noted)
        return drain;
    drain_free(drain);
    return NULL;
}

void drain_free(struct drain *drain)
{
    if (drain == NULL)
        return;
    pg_session_free(drain->session);
    free(drain->targets);
    free(drain);
}

/* -------------------------------------------------------------------------------- the ledger */

static bool on_progress(void *self, const struct pg_result *result, struct err *err)
{
    struct drain *drain = self;
    (void)err;
    for (size_t row = 0; row < pg_row_count(result); row++) {
        struct bytes topic = pg_get_bytes(result, row, 0);
        for (size_t i = 0; i < drain->target_count; i++) {
            struct target *target = &drain->targets[i];
            if (target->partition == pg_get_int8(result, row, 1) &&
                bytes_equal(bytes_of(target->topic), topic))
                target->published = pg_get_int8(result, row, 2);
        }
    }
    drain->answered = true;
    return true;
}

/* One step of connecting and asking, whatever is next. */
static void ask(struct drain *drain)
{
    struct err err;
    int64_t now = clock_monotonic_ms(&drain->clock);
    enum pg_state state = pg_session_step(drain->session, &err);
    if (state == PG_BUSY)
        return;
    if (drain->asked)
        drain->ask_next_ms = now + ASK_MS;
    drain->asked = false;
    if (now < drain->ask_next_ms)
        return;
    if (!pg_session_connected(drain->session)) {
        pg_session_connect(drain->session);
        drain->ask_next_ms = now + ASK_MS; /* a refused connection is not tried in a circle */
        return;
    }
    pg_session_send_once(drain->session, "drain_progress.sql", NULL, on_progress, drain);
    pg_session_sync(drain->session);
    drain->asked = true;
}

/* ------------------------------------------------------------------------------- the verdict */

static void mark_halted(struct drain *drain, const json_t *partition)
{
    const char *topic = json_string_value(json_object_get(partition, "topic"));
    json_int_t number = json_integer_value(json_object_get(partition, "partition"));
    bool halted = json_is_string(json_object_get(partition, "halt"));
    for (size_t i = 0; topic != NULL && i < drain->target_count; i++) {
        struct target *target = &drain->targets[i];
        if (target->partition == number && strcmp(target->topic, topic) == 0)
            target->halted = halted;
    }
}

/* Without a row in the ledger only an empty log is settled. */
static bool is_settled(const struct target *target)
{
    return target->published >= 0 ? target->published >= target->end : target->low == target->end;
}

int64_t drain_records_left(const struct drain *drain)
{
    int64_t left = 0;
    for (size_t i = 0; i < drain->target_count; i++) {
        const struct target *target = &drain->targets[i];
        int64_t from = target->published < target->low ? target->low : target->published;
        left += target->end > from ? target->end - from : 0;
    }
    return left;
}

/* Records that were acknowledged before the start, and that an end with 0 would be silent about. */
static void tell_withheld(const struct drain *drain)
{
    for (size_t i = 0; i < drain->target_count; i++) {
        const struct target *target = &drain->targets[i];
        int64_t from = target->published > target->end ? target->published : target->end;
        if (target->halted || from >= target->high)
            continue;
        char step[WITHHELD_STEP_MAX];
        withheld_next_step(step, target->topic, target->partition, from);
        log_line(drain->log, LEVEL_WARN,
                 "not all is settled: a producer's open transaction holds records back, from this "
                 "offset on",
                 FIELDS(FIELD_TEXT("topic", target->topic),
                        FIELD_INT("partition", target->partition), FIELD_INT("offset", from),
                        FIELD_INT("records", target->high - from), FIELD_TEXT("next_step", step)));
    }
}

enum drain_state drain_step(struct drain *drain, const json_t *status)
{
    size_t w, p;
    const json_t *worker, *partition;
    ask(drain);
    json_array_foreach(json_object_get(status, "workers"), w, worker)
    {
        json_array_foreach(json_object_get(worker, "partitions"), p, partition)
            mark_halted(drain, partition);
    }
    if (!drain->answered && drain->target_count > 0)
        return DRAIN_GOING;
    bool halted = false;
    for (size_t i = 0; i < drain->target_count; i++) {
        const struct target *target = &drain->targets[i];
        if (!target->halted && (target->other_log || !is_settled(target)))
            return DRAIN_GOING;
        halted = halted || target->halted;
    }
    tell_withheld(drain);
    return halted ? DRAIN_HALTED : DRAIN_SETTLED;
}

void drain_cut_short(const struct log *log)
{
    log_line(
        log, LEVEL_WARN, "a signal ends the drain before everything is settled",
        FIELDS(FIELD_TEXT("next_step", "nothing is lost; the next 'attemptd run' goes on where "
                                       "this one ends")));
}
