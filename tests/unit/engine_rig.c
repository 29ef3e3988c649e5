#include "tests/unit/engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void trace(struct engine_rig *rig, const void *what, size_t len)
{
    const unsigned char *at = what;
    for (size_t i = 0; i < len; i++)
        rig->trace = (rig->trace ^ at[i]) * UINT64_C(1099511628211);
    rig->trace = (rig->trace ^ (uint64_t)rig->now_ms) * UINT64_C(1099511628211);
}

/* ------------------------------------------------------------------------------------- source */

static void source_next(void *self, struct source_event *ret)
{
    static const struct tp tps[] = { { TOPIC_WRITES, 0 },
                                     { TOPIC_ACTIVITY, 0 },
                                     { TOPIC_REFRESH, 0 } };
    static struct log_facts facts[TOPIC_COUNT];
    struct engine_rig *rig = self;
    *ret = (struct source_event){ .kind = SOURCE_NOTHING };
    if (!rig->assigned_told) {
        rig->assigned_told = true;
        *ret =
            (struct source_event){ .kind = SOURCE_ASSIGNED, .tps = tps, .tp_count = TOPIC_COUNT };
    } else if (rig->corrupt) {
        rig->corrupt = false;
        *ret = (struct source_event){ .kind = SOURCE_STOPPED };
        err_set(&ret->err, ERR_HALT, "corrupt", "a batch cannot be read");
    } else if (rig->survey_wanted) {
        rig->survey_wanted = false;
        for (int i = 0; i < TOPIC_COUNT; i++)
            facts[i] = (struct log_facts){ .tp = tps[i],
                                           .high = rig->partitions[i].end,
                                           .has_committed = rig->partitions[i].committed >= 0,
                                           .committed = rig->partitions[i].committed,
                                           .witness = rig->partitions[i].witness };
        *ret = (struct source_event){ .kind = SOURCE_SURVEYED,
                                      .facts = facts,
                                      .fact_count = TOPIC_COUNT };
    }
}

/* A start of an attempt of its own, an activity event, or a wish for a refresh. */
static struct bytes make_value(struct engine_rig *rig, enum topic topic, unsigned n)
{
    static const char *const formats[TOPIC_COUNT] = {
        ("{\"type\":\"attempt.started.v1\",\"id\":\"e0000000-0000-4000-8000-%012u\",\"data\":{"
         "\"attempt_id\":\"a0000000-0000-4000-8000-%012u\","
         "\"exam_id\":\"b0000000-0000-4000-8000-000000000001\","
         "\"student_id\":\"c0000000-0000-4000-8000-000000000001\","
         "\"started_at\":\"2026-05-05T08:00:00Z\"}}"),
        ("{\"type\":\"attempt.activity.v1\",\"id\":\"e0000000-0000-4000-8000-%012u\",\"data\":{"
         "\"attempt_id\":\"a0000000-0000-4000-8000-%012u\",\"events\":[{"
         "\"event_id\":\"d0000000-0000-4000-8000-000000000001\",\"event_type\":\"seen\","
         "\"occurred_at\":\"2026-05-05T08:00:00Z\"}]}}"),
        ("{\"type\":\"view.refresh.requested.v1\",\"id\":\"e0000000-0000-4000-8000-%012u\","
         "\"data\":{\"view\":\"v%012u\"}}"),
    };
    static const char submit[] =
        "{\"type\":\"attempt.submitted.v1\",\"id\":\"e0000000-0000-4000-8000-%012u\",\"data\":{"
        "\"attempt_id\":\"a0000000-0000-4000-8000-%012u\",\"expected_version\":1,"
        "\"submitted_at\":\"2026-05-05T09:00:00Z\"}}";
    const char *format = topic == TOPIC_WRITES && rig->submits ? submit : formats[topic];
    int len = snprintf(rig->value, sizeof rig->value, format, n + 1, n + 1);
    return (struct bytes){ rig->value, (size_t)len };
}

static enum read_result source_read(void *self, struct tp tp, struct record *ret_record,
                                    int64_t *ret_end)
{
    struct engine_rig *rig = self;
    struct rig_partition *partition = &rig->partitions[tp.topic];
    if (!partition->assigned)
        return READ_NOTHING;
    if (partition->position == partition->end) {
        bool told = partition->end_told;
        partition->end_told = true;
        *ret_end = partition->end;
        return told ? READ_NOTHING : READ_END;
    }
    static const struct header trace = { { "traceparent", 11 }, { RIG_TRACE, 55 } };
    unsigned n = (unsigned)partition->position;
    *ret_record = (struct record){
        .tp = tp, .offset = partition->position++, .headers = &trace, .header_count = 1
    };
    ret_record->value = make_value(rig, tp.topic, n);
    if (tp.topic == TOPIC_WRITES && rig->key_bytes > 0) {
        memset(rig->key, 'k', rig->key_bytes);
        ret_record->key = (struct bytes){ rig->key, rig->key_bytes };
    } else if (tp.topic != TOPIC_REFRESH) {
        (void)snprintf(rig->key, sizeof rig->key, "a0000000-0000-4000-8000-%012u", n + 1);
        ret_record->key = bytes_of(rig->key);
    }
    partition->end_told = false;
    return READ_RECORD;
}

static bool source_assign(void *self, const struct position *positions, size_t count,
                          struct err *err)
{
    (void)err;
    struct engine_rig *rig = self;
    rig->assigns++;
    for (int i = 0; i < TOPIC_COUNT; i++)
        rig->partitions[i].assigned = false;
    for (size_t i = 0; i < count; i++) {
        struct rig_partition *partition = &rig->partitions[positions[i].tp.topic];
        partition->assigned = true;
        partition->end_told = false;
        partition->position = positions[i].offset;
    }
    return true;
}

static bool source_survey(void *self, const struct tp *tps, size_t count, struct err *err)
{
    (void)tps;
    (void)count;
    (void)err;
    struct engine_rig *rig = self;
    rig->survey_wanted = true;
    return true;
}

static void source_commit(void *self, const struct group_offset *offsets, size_t count)
{
    struct engine_rig *rig = self;
    for (size_t i = 0; i < count; i++) {
        rig->partitions[offsets[i].tp.topic].committed = offsets[i].offset;
        rig->partitions[offsets[i].tp.topic].witness = offsets[i].witness;
    }
}

/* -------------------------------------------------------------------------------------- store */

static int64_t generation_of(const struct rig_partition *row)
{
    return row->generation == 0 ? 1 : row->generation;
}

static void claim(struct engine_rig *rig)
{
    for (size_t i = 0; i < rig->call->claim.count; i++) {
        struct claim *item = &rig->call->claim.items[i];
        struct rig_partition *row = &rig->partitions[item->tp.topic];
        row->exists = true;
        item->found = true;
        item->generation = generation_of(row);
        item->first_offset = row->first;
        item->next_offset = row->next;
        item->published_offset = row->published;
        item->epoch = ++row->epoch;
        item->has_anchor = row->has_anchor;
        item->anchor = row->anchor;
        item->refusals_until = row->refusals_until;
        item->refusals = row->refusals;
        item->refused = row->refused;
    }
}

static void open(struct engine_rig *rig)
{
    struct plan *plan = rig->call->plan;
    for (size_t i = 0; i < plan->move_count; i++) {
        const struct rig_partition *row = &rig->partitions[plan->moves[i].tp.topic];
        plan->moves[i].hit = row->epoch == plan->moves[i].epoch &&
                             row->next == plan->moves[i].expected_next &&
                             generation_of(row) == plan->moves[i].generation;
    }
    for (size_t i = 0; i < plan->fold_count; i++) {
        struct fold *fold = plan->folds[i];
        fold->written = true;
        fold->prior_version = fold->expected_first;
        fold->revision = 2;
        fold->answers = BYTES("{}");
    }
    for (size_t i = 0; i < plan->start_count; i++) {
        plan->starts[i].done = true;
        plan->starts[i].revision = 1;
    }
}

static void keep_refusals(struct engine_rig *rig, const struct plan *plan)
{
    struct rig_partition *row = &rig->partitions[TOPIC_WRITES];
    for (size_t i = 0; i < plan->letter_count; i++) {
        const struct entry *entry = plan->letters[i];
        if (entry->reason != REASON_CONSTRAINT)
            continue;
        row->refusals++;
        if (entry->event.type == EVENT_SUBMITTED)
            row->refused =
                (struct refused_submit){ true, entry->record.offset, entry->event.attempt_id };
    }
    for (size_t i = 0; i < plan->submission_count; i++)
        if (plan->submissions[i].entry->record.offset > row->refused.offset)
            row->refused.known = false;
}

static void close_plan(struct engine_rig *rig)
{
    const struct plan *plan = rig->call->plan;
    if (!plan->trial)
        keep_refusals(rig, plan);
    for (size_t i = 0; i < plan->move_count && !plan->trial; i++) {
        struct rig_partition *row = &rig->partitions[plan->moves[i].tp.topic];
        row->next = plan->moves[i].new_next;
        if (plan->moves[i].has_anchor) {
            row->has_anchor = true;
            row->anchor = plan->moves[i].anchor;
        }
        if (row->published < plan->moves[i].published)
            row->published = plan->moves[i].published;
    }
    rig->views_asked += plan->trial ? 0 : (unsigned)plan->view_count;
}

static void mark(struct engine_rig *rig)
{
    for (size_t i = 0; i < rig->call->mark.count; i++) {
        struct mark *item = &rig->call->mark.items[i];
        struct rig_partition *row = &rig->partitions[item->tp.topic];
        item->hit = row->epoch == item->epoch && item->published_offset <= row->next;
        if (item->hit)
            row->published = item->published_offset;
    }
}

static void resolve(struct engine_rig *rig)
{
    for (size_t i = 0; i < rig->call->resolve.count; i++) {
        struct resolution *item = &rig->call->resolve.items[i];
        const struct rig_partition *row = &rig->partitions[item->tp.topic];
        item->found = row->exists;
        item->generation = generation_of(row);
        item->next_offset = row->next;
        item->published_offset = row->published;
        item->epoch = row->epoch;
    }
}

static int64_t records_of(const struct plan *plan)
{
    int64_t records = 0;
    for (size_t i = 0; i < plan->move_count; i++)
        records += plan->moves[i].new_next - plan->moves[i].expected_next;
    return records;
}

static void store_start(void *self, struct store_call *call)
{
    struct engine_rig *rig = self;
    assert_null(rig->call);
    rig->call = call;
    rig->calls[call->step]++;
    trace(rig, &call->step, sizeof call->step);
    rig->close_ends_ms = rig->now_ms + rig->close_ms;
    if (call->step == STORE_CLOSE && rig->records_per_ms > 0)
        rig->close_ends_ms += records_of(call->plan) / rig->records_per_ms;
}

static bool is_closing(const struct engine_rig *rig)
{
    return rig->call->step == STORE_CLOSE && (rig->held || rig->now_ms < rig->close_ends_ms);
}

static bool holds_refused(const struct engine_rig *rig)
{
    const struct plan *plan = rig->call->plan;
    for (size_t i = 0; i < plan->fold_count + plan->start_count; i++) {
        const struct entry *entry = i < plan->fold_count ? plan->folds[i]->entries
                                                         : plan->starts[i - plan->fold_count].entry;
        if (entry->record.offset < 64 && (rig->refused >> entry->record.offset & 1) != 0)
            return true;
    }
    return false;
}

static void refuse(struct engine_rig *rig, enum store_step step)
{
    err_set(&rig->err[step], ERR_REJECT, "23514", "constraint answers_small");
    if (rig->refusals_left > 0 && --rig->refusals_left == 0)
        rig->refused = rig->refused_then;
}

static enum store_state store_poll(void *self, struct err *ret_err)
{
    struct engine_rig *rig = self;
    enum store_step step = rig->call->step;
    if (is_closing(rig))
        return STORE_BUSY;
    bool fails = rig->fails[step] != 0 ||
                 (step == STORE_OPEN && rig->views_fail && rig->call->plan->view_count > 0);
    if (step == STORE_OPEN && rig->too_many > 0 && rig->call->plan->start_count >= rig->too_many)
        fails = true;
    if (rig->fails[step] > 0)
        rig->fails[step]--;
    bool refused = !fails && step == STORE_OPEN && holds_refused(rig);
    if (refused)
        refuse(rig, step);
    fails = fails || refused;
    if (!fails && step == STORE_CLAIM)
        claim(rig);
    else if (!fails && step == STORE_OPEN)
        open(rig);
    else if (!fails && step == STORE_CLOSE)
        close_plan(rig);
    else if (!fails && step == STORE_RESOLVE)
        resolve(rig);
    else if (!fails && step == STORE_MARK)
        mark(rig);
    rig->call = NULL;
    if (fails)
        *ret_err = rig->err[step];
    return fails ? STORE_FAILED : STORE_OK;
}

static void store_abandon(void *self)
{
    (void)self;
}

/* -------------------------------------------------------------------------- publisher, journal */

static bool publish(void *self, uint64_t ticket, const struct message *message)
{
    struct engine_rig *rig = self;
    if (rig->ticket_count == sizeof rig->tickets / sizeof rig->tickets[0])
        return false;
    rig->tickets[rig->ticket_count++] = ticket;
    trace(rig, message->id.ptr, message->id.len);
    rig->drops_of_all += bytes_equal(message->key, BYTES("all"));
    if (message->outlet == OUTLET_OUTCOMES) {
        rig->traced += bytes_equal(message->traceparent, BYTES(RIG_TRACE));
        rig->outcomes++;
        rig->outcome_key_bytes = message->key.len;
    }
    return true;
}

static bool confirmed(void *self, uint64_t *ret_ticket)
{
    struct engine_rig *rig = self;
    if (rig->silent || rig->ticket_count == 0)
        return false;
    *ret_ticket = rig->tickets[--rig->ticket_count];
    return true;
}

static void note(void *self, const struct note *note)
{
    struct engine_rig *rig = self;
    trace(rig, &note->kind, sizeof note->kind);
    trace(rig, &note->number, sizeof note->number);
    if (note->kind == NOTE_ISOLATED)
        rig->isolated = note->number;
    rig->answers += note->kind == NOTE_ANSWERS;
    if (note->kind == NOTE_HALTED) {
        rig->halts++;
        rig->halt_err = *note->err;
    }
}

/* ----------------------------------------------------------------------------------- the whole */

static int64_t clock_ms(void *self)
{
    return ((struct engine_rig *)self)->now_ms;
}

static int64_t clock_us(void *self)
{
    return 1800000000000000 + clock_ms(self) * 1000 + ((struct engine_rig *)self)->wall_us;
}

void engine_rig_init(struct engine_rig *rig)
{
    *rig = (struct engine_rig){ .now_ms = 1, .options = engine_options_default() };
    for (int i = 0; i < TOPIC_COUNT; i++)
        rig->partitions[i].committed = -1;
}

void engine_rig_start(struct engine_rig *rig)
{
    const struct engine_ports ports = {
        .source = { rig, source_next, source_read, source_assign, source_survey, source_commit },
        .store = { rig, store_start, store_poll, store_abandon },
        .publisher = { rig, publish, confirmed },
        .journal = { rig, note },
        .clock = { rig, clock_ms, clock_us },
    };
    rig->engine = engine_new(&rig->options, &ports);
    assert_non_null(rig->engine);
}

void engine_rig_release(struct engine_rig *rig)
{
    engine_free(rig->engine);
    rig->engine = NULL;
}

void engine_rig_restart(struct engine_rig *rig)
{
    engine_rig_release(rig);
    rig->call = NULL;
    rig->ticket_count = 0;
    rig->assigned_told = rig->survey_wanted = false;
    engine_rig_start(rig);
}

static bool woken(const struct engine_rig *rig)
{
    bool answer = rig->call != NULL && !is_closing(rig);
    bool records = false;
    for (int i = 0; i < TOPIC_COUNT; i++)
        records |= rig->partitions[i].assigned && !rig->partitions[i].end_told;
    return answer || rig->survey_wanted || rig->corrupt || records ||
           (!rig->silent && rig->ticket_count > 0);
}

void engine_rig_run(struct engine_rig *rig, int64_t ms)
{
    int64_t until_ms = rig->now_ms + ms;
    for (uint64_t in_a_row = 0; rig->now_ms < until_ms;) {
        int64_t delay_ms = engine_step(rig->engine);
        rig->steps++;
        in_a_row = delay_ms == 0 || woken(rig) ? in_a_row + 1 : 0;
        /* Records that it does not take are no reason to turn for ever. */
        if (in_a_row > 0 && in_a_row < 1000)
            continue;
        in_a_row = 0;
        int64_t left_ms = until_ms - rig->now_ms;
        if (delay_ms < 1 || rig->close_ms > 0 || rig->records_per_ms > 0)
            delay_ms = 1;
        rig->now_ms += delay_ms < left_ms ? delay_ms : left_ms;
    }
}

struct engine_status engine_rig_status(const struct engine_rig *rig)
{
    struct engine_status status;
    engine_status(rig->engine, &status);
    return status;
}
