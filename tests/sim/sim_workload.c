#include "tests/sim/sim_workload.h"

#include <stdio.h>
#include <string.h>

static const char *const views[SIM_VIEWS] = { "exam_attempt_stats", "question_stats" };

void workload_init(struct sim_workload *workload, struct sim *sim, struct sim_log *log)
{
    *workload = (struct sim_workload){ .sim = sim, .log = log };
    workload->refused = arena_alloc(&sim->arena, WORKLOAD_EVENTS * sizeof *workload->refused);
    workload->history = arena_alloc(&sim->arena, WORKLOAD_EVENTS * sizeof *workload->history);
    workload->attempts = 2 + sim_below(sim, SIM_ATTEMPTS - 2);
    workload->exams = 1 + sim_below(sim, SIM_EXAMS);
    workload->disorder = 3 + sim_below(sim, 12);
    workload->refusals = sim_one_in(sim, 2) ? 25 + sim_below(sim, 100) : 0;
    workload->bad_submits = workload->refusals > 0 && sim_one_in(sim, 2);
    for (int i = 0; i < SIM_ATTEMPTS; i++) {
        workload->version[i] = 1;
        log->split[i] = log->partitions > 1 && sim_one_in(sim, 8);
    }
}

enum refusal_place workload_refusal(const struct sim_workload *workload, const struct uuid *event)
{
    int64_t number = sim_uuid_number(ID_EVENT, event);
    return number > 0 && number <= (int64_t)workload->events ? workload->refused[number]
                                                             : REFUSE_NEVER;
}

/* ------------------------------------------------------------------------------ wire forms */

static struct bytes uuid_text(struct sim *sim, enum sim_id kind, uint32_t number)
{
    struct uuid uuid = sim_uuid(kind, number);
    char text[UUID_TEXT_LEN + 1];
    uuid_format(&uuid, text);
    return arena_copy(&sim->arena, (struct bytes){ text, UUID_TEXT_LEN });
}

static void put_uuid(struct buf *out, enum sim_id kind, uint32_t number)
{
    struct uuid uuid = sim_uuid(kind, number);
    char text[UUID_TEXT_LEN + 1];
    buf_put(out, bytes_of(uuid_format(&uuid, text)));
}

static void put_around(struct buf *out, const char *before, int value, const char *after)
{
    buf_put(out, bytes_of(before));
    buf_put_int(out, value);
    buf_put(out, bytes_of(after));
}

/* A value is a number in one of several dresses, so that nesting and strings are folded too. */
static void put_value(struct buf *out, int value)
{
    static const char *const dresses[4][2] = {
        { "", "" }, { "\"v", "\"" }, { "{\"a\": [", ", \"}\"]}" }, { "\"\\\"", ",\"" }
    };
    put_around(out, dresses[value % 4][0], value, dresses[value % 4][1]);
}

static void put_answers(struct sim *sim, struct buf *out, const struct meaning *meaning)
{
    buf_put(out, BYTES(",\"answers\":{"));
    const char *comma = "";
    for (int key = 0; key < SIM_KEYS; key++) {
        if (meaning->answers[key] == ANSWER_SAME)
            continue;
        buf_put(out, bytes_of(comma));
        /* The same key in another spelling is the same key. */
        put_around(out, sim_one_in(sim, 12) ? "\"\\u0071" : "\"q", key, "\":");
        if (meaning->answers[key] == ANSWER_CLEAR)
            buf_put(out, BYTES("null"));
        else
            put_value(out, meaning->answers[key]);
        comma = sim_one_in(sim, 3) ? " , " : ",";
    }
    buf_put_char(out, '}');
}

static void put_activity(struct buf *out, const struct meaning *meaning)
{
    buf_put(out, BYTES(",\"events\":["));
    for (int i = 0; i < meaning->activity_count; i++) {
        buf_put(out, i == 0 ? BYTES("{\"event_id\":\"") : BYTES(",{\"event_id\":\""));
        put_uuid(out, ID_ACTIVITY, (uint32_t)meaning->activities[i]);
        buf_put(out, BYTES("\",\"event_type\":\"answer_changed\","
                           "\"occurred_at\":\"2026-05-01T10:00:00Z\"}"));
    }
    buf_put_char(out, ']');
}

static void put_start(struct buf *out, const struct meaning *meaning)
{
    buf_put(out, BYTES(",\"exam_id\":\""));
    put_uuid(out, ID_EXAM, (uint32_t)meaning->exam);
    buf_put(out, BYTES("\",\"student_id\":\""));
    put_uuid(out, ID_STUDENT, (uint32_t)meaning->student);
    buf_put(out, BYTES("\",\"started_at\":\"2026-05-01T09:00:00Z\""));
}

static void put_write(struct sim *sim, struct buf *out, const struct meaning *meaning)
{
    buf_put(out, BYTES(",\"expected_version\":"));
    buf_put_int(out, meaning->expected);
    if (meaning->has_answers)
        put_answers(sim, out, meaning);
    if (meaning->auto_save != 0)
        put_around(out, ",\"auto_save_data\":{\"p\":", meaning->auto_save, "}");
    buf_put(out, meaning->type == EVENT_SAVED
                     ? BYTES(",\"saved_at\":\"2026-05-01T10:00:00Z\"")
                     : BYTES(",\"submitted_at\":\"2026-05-01T10:00:00Z\""));
}

static void put_data(struct sim *sim, struct buf *out, const struct meaning *meaning)
{
    if (meaning->type == EVENT_REFRESH) {
        buf_put(out, BYTES("{\"view\":\""));
        buf_put(out, bytes_of(views[meaning->view]));
        buf_put(out, BYTES("\"}"));
        return;
    }
    buf_put(out, BYTES("{\"attempt_id\":\""));
    put_uuid(out, ID_ATTEMPT, (uint32_t)meaning->attempt);
    buf_put_char(out, '"');
    if (meaning->type == EVENT_STARTED)
        put_start(out, meaning);
    else if (meaning->type == EVENT_ACTIVITY)
        put_activity(out, meaning);
    else
        put_write(sim, out, meaning);
    buf_put_char(out, '}');
}

static void wire_binary(struct sim *sim, struct record *wire, const struct meaning *meaning)
{
    struct header *headers = arena_alloc(&sim->arena, 5 * sizeof *headers);
    headers[0] = (struct header){ BYTES("ce_specversion"), BYTES("1.0") };
    headers[1] = (struct header){ BYTES("ce_id"), uuid_text(sim, ID_EVENT, meaning->event) };
    headers[2] = (struct header){ BYTES("ce_source"), BYTES("/sim") };
    headers[3] = (struct header){ BYTES("ce_type"), bytes_of(event_type_name(meaning->type)) };
    headers[4] = (struct header){ BYTES("content-type"), BYTES("application/json") };
    wire->headers = headers;
    wire->header_count = 5;
}

static void put_bare(struct buf *out, const struct meaning *meaning)
{
    buf_put(out, BYTES("{\"type\":\""));
    buf_put(out, bytes_of(event_type_name(meaning->type)));
    buf_put(out, BYTES("\",\"id\":\""));
    put_uuid(out, ID_EVENT, meaning->event);
    buf_put(out, BYTES("\",\"data\":"));
}

/* NULL when the log is full. */
static struct sim_record *append(struct sim_workload *workload, struct tp tp,
                                 const struct meaning *meaning)
{
    struct sim *sim = workload->sim;
    struct sim_record *record = sim_log_append(workload->log, tp);
    if (record == NULL)
        return NULL;
    record->meaning = *meaning;
    record->wire.key = meaning->type == EVENT_REFRESH
                           ? bytes_of(views[meaning->view])
                           : uuid_text(sim, ID_ATTEMPT, (uint32_t)meaning->attempt);
    bool binary = sim_one_in(sim, 3);
    buf_clear(&sim->text);
    if (binary)
        wire_binary(sim, &record->wire, meaning);
    else
        put_bare(&sim->text, meaning);
    put_data(sim, &sim->text, meaning);
    if (!binary)
        buf_put_char(&sim->text, '}');
    record->wire.value = arena_copy(&sim->arena, buf_bytes(&sim->text));
    return record;
}

/* ------------------------------------------------------------------------------- what is sent */

static struct tp home(struct sim_workload *workload, enum topic topic, int attempt)
{
    int partition = attempt % workload->log->partitions;
    if (workload->log->split[attempt] && sim_one_in(workload->sim, 2))
        partition = (partition + 1) % workload->log->partitions;
    return (struct tp){ topic, partition };
}

/* One that is not sent again. */
static uint32_t single_event(struct sim_workload *workload)
{
    uint32_t event = ++workload->events;
    workload->refused[event] = REFUSE_NEVER;
    workload->history[event].event = 0;
    return event;
}

static uint32_t fresh_event(struct sim_workload *workload)
{
    uint32_t event = single_event(workload);
    if (workload->refusals > 0 && sim_one_in(workload->sim, workload->refusals))
        workload->refused[event] = sim_one_in(workload->sim, 2) ? REFUSE_WRITE : REFUSE_CLOSE;
    return event;
}

static void draw_change(struct sim_workload *workload, struct meaning *meaning)
{
    struct sim *sim = workload->sim;
    meaning->has_answers = !sim_one_in(sim, 8);
    for (int i = 0; meaning->has_answers && i < 1 + sim_below(sim, 3); i++)
        meaning->answers[sim_below(sim, SIM_KEYS)] =
            sim_one_in(sim, 5) ? ANSWER_CLEAR : ++workload->value;
    if (sim_one_in(sim, 4))
        meaning->auto_save = ++workload->value;
}

/* Something that a correct producer would not send, or not now. */
static void disorder(struct sim_workload *workload, struct meaning *meaning)
{
    struct sim *sim = workload->sim;
    int64_t *version = &workload->version[meaning->attempt];
    switch (sim_below(sim, 6)) {
    case 0: /* skips versions; what it skipped may still come */
        meaning->expected += 1 + sim_below(sim, 3);
        *version = meaning->expected + 1;
        break;
    case 1: /* another writer went first */
    case 2:
        meaning->expected -= 1 + sim_below(sim, 4);
        if (meaning->expected < 1)
            meaning->expected = 1;
        break;
    case 3: /* too far ahead */
        meaning->expected += SIM_VERSION_JUMP - 1 + sim_below(sim, 5);
        break;
    case 4: /* just as far as is allowed */
        meaning->expected += SIM_VERSION_JUMP - 3 + sim_below(sim, 3);
        *version = meaning->expected + 1;
        break;
    default: /* a new save under a version that was used just now */
        meaning->expected -= 1;
        if (meaning->expected < 1)
            meaning->expected = 1;
    }
}

static void produce_write(struct sim_workload *workload, int attempt)
{
    struct sim *sim = workload->sim;
    /* Producers look at the row now and then, or one lost event would make all others too new. */
    if (workload->seen[attempt] > 0 && sim_one_in(sim, 8))
        workload->version[attempt] = workload->seen[attempt];
    bool submit = sim_one_in(sim, workload->bad_submits ? 8 : 30);
    struct meaning meaning = { .type = submit ? EVENT_SUBMITTED : EVENT_SAVED,
                               .attempt = attempt,
                               .event = fresh_event(workload),
                               .expected = workload->version[attempt] };
    draw_change(workload, &meaning);
    if (submit && workload->bad_submits && sim_one_in(sim, 2))
        workload->refused[meaning.event] = REFUSE_WRITE;
    workload->submitted[attempt] |= meaning.type == EVENT_SUBMITTED;
    if (sim_one_in(sim, workload->disorder))
        disorder(workload, &meaning);
    else
        workload->version[attempt]++;
    meaning.refused = workload->refused[meaning.event];
    workload->history[meaning.event] = meaning;
    (void)append(workload, home(workload, TOPIC_WRITES, attempt), &meaning);
}

static void produce_start(struct sim_workload *workload, int attempt)
{
    struct sim *sim = workload->sim;
    struct meaning meaning = { .type = EVENT_STARTED,
                               .attempt = attempt,
                               .event = fresh_event(workload),
                               .exam = attempt % workload->exams,
                               .student = attempt };
    if (sim_one_in(sim, 8))
        meaning.student = 100 + sim_below(sim, 2);
    meaning.refused = workload->refused[meaning.event];
    workload->history[meaning.event] = meaning;
    workload->started[attempt] = true;
    (void)append(workload, home(workload, TOPIC_WRITES, attempt), &meaning);
}

static void produce_again(struct sim_workload *workload)
{
    if (workload->events == 0)
        return;
    struct sim *sim = workload->sim;
    int back = sim_below(sim, sim_one_in(sim, 2) ? 6 : 60);
    uint32_t event = workload->events > (uint32_t)back ? workload->events - (uint32_t)back : 1;
    struct meaning meaning = workload->history[event];
    if (meaning.event == 0)
        return;
    bool write = meaning.type == EVENT_SAVED || meaning.type == EVENT_SUBMITTED;
    /* Under its old id but with a version of today: only the memory of ids can tell. */
    if (write && sim_one_in(sim, 3)) {
        meaning.expected = workload->version[meaning.attempt];
        if (sim_one_in(sim, 2))
            workload->version[meaning.attempt]++;
    }
    (void)append(workload,
                 home(workload, meaning.type == EVENT_ACTIVITY ? TOPIC_ACTIVITY : TOPIC_WRITES,
                      meaning.attempt),
                 &meaning);
}

static void produce_activity(struct sim_workload *workload, int attempt)
{
    struct sim *sim = workload->sim;
    struct meaning meaning = { .type = EVENT_ACTIVITY,
                               .attempt = attempt,
                               .event = fresh_event(workload) };
    meaning.activity_count = 1 + sim_below(sim, 3);
    for (int i = 0; i < meaning.activity_count; i++) {
        bool again =
            workload->activity_fresh + SIM_ATTEMPTS >= SIM_ACTIVITIES || sim_one_in(sim, 4);
        /* Ids keep to their attempt: number modulo attempts. */
        int round = workload->activity_fresh / SIM_ATTEMPTS;
        if (again)
            round = sim_below(sim, round + 1);
        else
            workload->activity_fresh += 1;
        meaning.activities[i] = round * SIM_ATTEMPTS + attempt;
    }
    meaning.refused = workload->refused[meaning.event];
    workload->history[meaning.event] = meaning;
    (void)append(workload, home(workload, TOPIC_ACTIVITY, attempt), &meaning);
}

/* -------------------------------------------------------------------------------------- poison */

static void spoil(struct sim *sim, struct record *wire, enum reason *ret_reason)
{
    switch (sim_below(sim, 6)) {
    case 0:
        wire->value = BYTES_NONE;
        *ret_reason = REASON_TOMBSTONE;
        break;
    case 1:
        wire->value = BYTES("");
        *ret_reason = REASON_EMPTY;
        break;
    case 2:
        wire->value.len -= 1;
        *ret_reason = REASON_JSON;
        break;
    case 3:
        wire->key = uuid_text(sim, ID_ATTEMPT, 99);
        *ret_reason = REASON_KEY;
        break;
    case 4:
        wire->key = BYTES_NONE;
        *ret_reason = REASON_KEY;
        break;
    default:
        wire->value = BYTES("\xff\xfe");
        *ret_reason = REASON_NONE; /* json or utf8: both are true */
    }
}

static void produce_poison(struct sim_workload *workload, enum topic topic, int attempt)
{
    struct meaning meaning = { .type = topic == TOPIC_WRITES     ? EVENT_SAVED
                                       : topic == TOPIC_ACTIVITY ? EVENT_ACTIVITY
                                                                 : EVENT_REFRESH,
                               .attempt = attempt,
                               .event = single_event(workload),
                               .expected = workload->version[attempt],
                               .activity_count = 1 };
    struct tp tp = home(workload, topic, attempt);
    struct sim_record *record = append(workload, tp, &meaning);
    if (record != NULL) {
        record->meaning.poison = true;
        spoil(workload->sim, &record->wire, &record->meaning.reason);
    }
}

/* A refresh may lack its key or its view, but not both: keep to poison that is surely poison. */
static void produce_refresh(struct sim_workload *workload)
{
    struct sim *sim = workload->sim;
    struct meaning meaning = { .type = EVENT_REFRESH,
                               .event = single_event(workload),
                               .view = sim_below(sim, SIM_VIEWS) };
    (void)append(workload, (struct tp){ TOPIC_REFRESH, sim_below(sim, workload->log->partitions) },
                 &meaning);
}

static void produce_hole(struct sim_workload *workload)
{
    struct sim *sim = workload->sim;
    struct tp tp = { sim_one_in(sim, 3) ? TOPIC_ACTIVITY : TOPIC_WRITES,
                     sim_below(sim, workload->log->partitions) };
    struct sim_record *record = sim_log_append(workload->log, tp);
    if (record != NULL) {
        record->present = false;
        sim_cover(sim, COVER_HOLE);
    }
}

void workload_flood(struct sim_workload *workload)
{
    struct sim *sim = workload->sim;
    int attempt = sim_below(sim, workload->attempts);
    sim_cover(sim, COVER_FLOOD);
    for (int i = 0; i < 120 && workload->events < WORKLOAD_EVENTS - 2; i++)
        produce_write(workload, attempt);
}

bool workload_produce(struct sim_workload *workload)
{
    struct sim *sim = workload->sim;
    if (workload->over || workload->events >= WORKLOAD_EVENTS - 2)
        return false;
    /* The first attempts are the hot ones. */
    int attempt = sim_below(sim, 1 + sim_below(sim, workload->attempts));
    /* What comes after a submit is the exception, not the rule. */
    for (int i = 0; i < 4 && workload->submitted[attempt]; i++)
        attempt = sim_below(sim, workload->attempts);
    int dice = sim_below(sim, 100);
    if (dice < 4)
        produce_poison(workload, sim_one_in(sim, 4) ? TOPIC_ACTIVITY : TOPIC_WRITES, attempt);
    else if (dice < 7)
        produce_hole(workload);
    else if (dice < 9)
        produce_refresh(workload);
    else if (dice < 16)
        produce_activity(workload, attempt);
    else if (dice < 22)
        produce_again(workload);
    else if (!workload->started[attempt] ? !sim_one_in(sim, 6) : dice < 24)
        produce_start(workload, attempt);
    else
        produce_write(workload, attempt);
    return true;
}
