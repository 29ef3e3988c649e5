/*
 * What one event costs the engine, without a log and without a database: nanoseconds of CPU in
 * decoding (batch_add), planning (plan_build) and settling (from the database's answer to what is
 * announced), for batches of 10^3 to 10^6 events at F = 1, 5, 20 saves of an attempt.
 *
 *     build/tests/engine_cost [EVENTS...]
 *
 * One JSON object a line. A figure is the median over rounds that together play some 10^6 events;
 * the same arenas are used again and again, as the worker does.
 */
#include "common/hash.h"
#include "worker/engine/announce.h"
#include "worker/engine/batch.h"
#include "worker/engine/planner.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define EVENT_BYTES  446
#define WINDOW       1200 /* attempts whose saves come mixed */
#define ROUND_EVENTS 1000000
#define ROUNDS_MAX   200
#define KEY_ROOM     40

/* The text of all records, made before any clock runs. */
struct load {
    size_t count;
    char (*values)[EVENT_BYTES + 1];
    char (*keys)[KEY_ROOM];
};

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static void make_uuid(uint64_t kind, uint64_t number, char text[static UUID_TEXT_LEN + 1])
{
    struct uuid uuid;
    uint64_t high = mix(kind << 40 ^ number), low = mix(high ^ number);
    memcpy(uuid.bytes, &high, sizeof high);
    memcpy(uuid.bytes + sizeof high, &low, sizeof low);
    (void)uuid_format(&uuid, text);
}

/* A save of three answers, padded to EVENT_BYTES. */
static void make_save(uint64_t attempt, uint64_t event, uint64_t version, char *key, char *value)
{
    char id[UUID_TEXT_LEN + 1];
    make_uuid(1, attempt, key);
    make_uuid(2, event, id);
    int length = snprintf(
        value, EVENT_BYTES,
        "{\"type\":\"attempt.saved.v1\",\"id\":\"%s\",\"data\":{\"attempt_id\":\"%s\","
        "\"expected_version\":%d,\"answers\":{\"q%d\":{\"value\":\"B\",\"t\":%d},"
        "\"q1%d\":{\"value\":\"C\",\"t\":%d},\"q2%d\":{\"value\":\"D\",\"t\":%d}},"
        "\"auto_save_data\":{\"page\":%d},\"saved_at\":\"2026-11-21T12:00:00.123Z\",\"pad\":\"",
        id, key, (int)version, (int)(event % 10), (int)(event % 100000), (int)(event / 10 % 10),
        (int)(event % 90000), (int)(event / 100 % 10), (int)(event % 80000), (int)(event % 40));
    size_t at = (size_t)length;
    while (at < EVENT_BYTES - 3)
        value[at++] = 'x';
    memcpy(value + at, "\"}}", 4);
}

/* Windows of attempts one after the other; within one, each attempt has `fold` saves in turn. */
static bool load_make(struct load *load, size_t count, size_t fold)
{
    /* Each turn in another order: factors that share no divisor with WINDOW. */
    static const size_t strides[] = { 1,  7,  11, 13, 17, 19, 23, 29, 31, 37,
                                      41, 43, 47, 49, 53, 59, 61, 67, 71, 73 };
    load->count = count;
    load->values = malloc(count * sizeof *load->values);
    load->keys = malloc(count * sizeof *load->keys);
    if (load->values == NULL || load->keys == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        size_t window = i / (WINDOW * fold), within = i % (WINDOW * fold);
        size_t turn = within / WINDOW;
        size_t attempt = window * WINDOW + within % WINDOW * strides[turn] % WINDOW;
        make_save(attempt, i, 1 + turn, load->keys[i], load->values[i]);
    }
    return true;
}

static void load_free(struct load *load)
{
    free(load->values);
    free(load->keys);
}

static int64_t cpu_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1000000000 + now.tv_nsec;
}

static const struct ledger_entry *ledger_of(void *self, struct tp tp)
{
    (void)tp;
    return self;
}

struct costs {
    int64_t decode_ns, plan_ns, settle_ns;
    size_t folds;
};

/* The part of the database: every guard passes. */
static void answer(struct plan *plan)
{
    for (size_t i = 0; i < plan->move_count; i++)
        plan->moves[i].hit = true;
    for (size_t i = 0; i < plan->fold_count; i++) {
        plan->folds[i]->written = true;
        plan->folds[i]->prior_version = plan->folds[i]->expected_first;
        plan->folds[i]->revision = 2;
    }
}

static bool play(const struct load *load, size_t from, size_t count, struct batch *batch,
                 struct arena *arena, const struct decode_limits *limits, struct costs *ret)
{
    struct ledger_entry ledger = { .tp = { TOPIC_WRITES, 0 } };
    int64_t began = cpu_ns();
    batch_clear(batch);
    for (size_t i = from; i < from + count; i++) {
        struct record record = { .tp = ledger.tp,
                                 .offset = (int64_t)i,
                                 .key = { load->keys[i], UUID_TEXT_LEN },
                                 .value = { load->values[i], EVENT_BYTES } };
        if (!batch_add(batch, &record, (int64_t)i, limits, 0))
            return false;
    }
    int64_t added = cpu_ns();
    arena_reset(arena);
    struct planned planned;
    struct plan_request request = { .batch = batch,
                                    .arena = arena,
                                    .ledger = ledger_of,
                                    .self = &ledger,
                                    .version_jump_max = 1000000,
                                    .entry_limit = SIZE_MAX,
                                    .secret = 1 };
    if (!plan_build(&request, &planned))
        return false;
    int64_t built = cpu_ns();
    answer(&planned.plan);
    struct announcement announcement;
    if (!plan_opened(&planned, arena) || planned.needs_lock || !plan_settle(&planned, arena) ||
        !announce_plan(&planned, arena, 1, &announcement) ||
        announcement.change_count != planned.fold_count)
        return false;
    *ret = (struct costs){ added - began, built - added, cpu_ns() - built, planned.fold_count };
    return true;
}

static int compare_ns(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double median_per_event(int64_t *figures, size_t rounds, size_t events)
{
    size_t middle = rounds / 2;
    qsort(figures, rounds, sizeof *figures, compare_ns);
    return (double)figures[middle] / (double)events;
}

static bool measure(size_t events, size_t fold)
{
    static int64_t decode_ns[ROUNDS_MAX], plan_ns[ROUNDS_MAX], settle_ns[ROUNDS_MAX];
    size_t rounds = ROUND_EVENTS / events < 3 ? 3 : ROUND_EVENTS / events;
    if (rounds > ROUNDS_MAX)
        rounds = ROUNDS_MAX;
    struct load load;
    struct batch batch;
    struct arena arena;
    struct decode_limits limits = decode_limits_default();
    struct costs costs = { 0 };
    batch_init(&batch);
    arena_init(&arena, (size_t)256 * 1024, 0);
    size_t distinct = events * rounds < ROUND_EVENTS ? events * rounds : ROUND_EVENTS;
    if (distinct < events)
        distinct = events;
    bool ok = load_make(&load, distinct, fold);
    for (size_t i = 0; ok && i < rounds; i++) {
        size_t from = i * events % (distinct - events + 1);
        ok = play(&load, from, events, &batch, &arena, &limits, &costs);
        decode_ns[i] = costs.decode_ns;
        plan_ns[i] = costs.plan_ns;
        settle_ns[i] = costs.settle_ns;
    }
    if (ok)
        (void)printf("{\"batch_events\":%zu,\"saves_per_attempt\":%zu,\"saves_per_row\":%.1f,"
                     "\"decode_ns\":%.0f,\"plan_ns\":%.0f,\"settle_ns\":%.0f,"
                     "\"batch_bytes_per_event\":%.0f,\"rounds\":%zu}\n",
                     events, fold, (double)events / (double)costs.folds,
                     median_per_event(decode_ns, rounds, events),
                     median_per_event(plan_ns, rounds, events),
                     median_per_event(settle_ns, rounds, events),
                     (double)batch_bytes(&batch) / (double)events, rounds);
    (void)fflush(stdout);
    batch_release(&batch);
    arena_release(&arena);
    load_free(&load);
    return ok;
}

int main(int argc, char **argv)
{
    static const size_t usual[] = { 1000, 10000, 100000, 1000000 };
    static const size_t folds[] = { 1, 5, 20 };
    if (!hash_init())
        return 1;
    size_t sizes = argc > 1 ? (size_t)argc - 1 : sizeof usual / sizeof *usual;
    for (size_t i = 0; i < sizes; i++) {
        size_t events = argc > 1 ? (size_t)strtoull(argv[i + 1], NULL, 10) : usual[i];
        for (size_t k = 0; events > 0 && k < sizeof folds / sizeof *folds; k++)
            if (!measure(events, folds[k])) {
                (void)fputs("engine_cost: the batch was not settled as it should\n", stderr);
                return 1;
            }
    }
    return 0;
}
