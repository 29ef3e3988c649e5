/*
 * In the steady state an event takes no memory from the system: however many flow through the
 * engine, its arenas and tables are those of the batches before. Calls of malloc, calloc and
 * realloc are counted by the linker's --wrap, in our own code alone.
 */
#include "tests/unit/engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define BATCH_EVENTS  800
#define WARM_UP       240000 /* more flushes than there are tickets, which get their room once */
#define SOME          5000
#define TEN_TIMES     (10 * SOME)
#define EVENTS_PER_MS 500

static uint64_t allocations;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *piece, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *piece, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
    allocations++;
    return __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t size)
{
    allocations++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *piece, size_t bytes)
{
    allocations++;
    return __real_realloc(piece, bytes);
}

/* How often memory was asked for while so many events were settled and published. */
static uint64_t cost_of(struct engine_rig *rig, enum topic topic, int64_t events)
{
    struct rig_partition *log = &rig->partitions[topic];
    uint64_t before = allocations;
    log->end += events;
    log->end_told = false;
    for (int i = 0; i < 1000 && log->published < log->end; i++)
        engine_rig_run(rig, 1 + events / EVENTS_PER_MS);
    assert_int_equal(log->published, log->end);
    return allocations - before;
}

static void expect_no_growth(enum topic topic)
{
    struct engine_rig *rig = malloc(sizeof *rig);
    assert_non_null(rig);
    engine_rig_init(rig);
    rig->options.batch_events_max = BATCH_EVENTS;
    rig->close_ms = 1; /* the next batch fills meanwhile */
    engine_rig_start(rig);
    uint64_t warm_up = cost_of(rig, topic, WARM_UP);
    assert_in_range(warm_up, 10, 1000); /* or the counting does not work */
    uint64_t some = cost_of(rig, topic, SOME);
    uint64_t ten_times = cost_of(rig, topic, TEN_TIMES);
    if (ten_times > some)
        fail_msg("%d events took %llu allocations, %d took %llu", SOME, (unsigned long long)some,
                 TEN_TIMES, (unsigned long long)ten_times);
    engine_rig_release(rig);
    free(rig);
}

static void test_writes_allocate_nothing(void **state)
{
    (void)state;
    expect_no_growth(TOPIC_WRITES);
}

static void test_activity_allocates_nothing(void **state)
{
    (void)state;
    expect_no_growth(TOPIC_ACTIVITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes_allocate_nothing),
        cmocka_unit_test(test_activity_allocates_nothing),
    };
    return cmocka_run_group_tests_name("allocations", tests, NULL, NULL);
}
