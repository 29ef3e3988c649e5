#include "tests/bench/batches.h"

#include <stdlib.h>

#define ARENA_BLOCK  ((size_t)1 << 20)
#define SHELF_BYTES  ((size_t)512 << 20)
#define VERSION_JUMP 1000000

/* -------------------------------------------------------------------------------------- ledger */

void ledger_init(struct ledger *ledger, const struct bench *bench)
{
    ledger->partitions = bench->flood.partitions;
    ledger->entries = calloc(2 * (size_t)ledger->partitions, sizeof *ledger->entries);
    if (ledger->entries == NULL)
        bench_fail("no memory for the ledger");
    for (int32_t i = 0; i < 2 * ledger->partitions; i++)
        ledger->entries[i] = (struct ledger_entry){
            .tp = { i < ledger->partitions ? TOPIC_WRITES : TOPIC_ACTIVITY,
                    i % ledger->partitions },
            .generation = 1,
            .epoch = 1,
        };
}

void ledger_release(struct ledger *ledger)
{
    free(ledger->entries);
}

const struct ledger_entry *ledger_find(void *self, struct tp tp)
{
    const struct ledger *ledger = self;
    return &ledger->entries[(tp.topic == TOPIC_WRITES ? 0 : ledger->partitions) + tp.partition];
}

/* ------------------------------------------------------------------------------------ prepared */

void prepared_init(struct prepared *prepared)
{
    *prepared = (struct prepared){ .limits = decode_limits_default() };
    batch_init(&prepared->batch);
    arena_init(&prepared->arena, ARENA_BLOCK, 0);
}

void prepared_release(struct prepared *prepared)
{
    batch_release(&prepared->batch);
    arena_release(&prepared->arena);
}

void prepared_clear(struct prepared *prepared)
{
    batch_clear(&prepared->batch);
    arena_reset(&prepared->arena);
}

void prepared_add(struct prepared *prepared, const struct record *record)
{
    if (!batch_add(&prepared->batch, record, record->offset, &prepared->limits, 0))
        bench_fail("no memory for a batch");
}

void prepared_plan(struct prepared *prepared, const struct ledger *ledger)
{
    struct ledger held = *ledger;
    struct plan_request request = { .batch = &prepared->batch,
                                    .arena = &prepared->arena,
                                    .ledger = ledger_find,
                                    .self = &held,
                                    .version_jump_max = VERSION_JUMP,
                                    .entry_limit = SIZE_MAX,
                                    .secret = 1 };
    if (!plan_build(&request, &prepared->planned))
        bench_fail("no memory for a plan");
}

uint64_t prepared_fill(struct prepared *prepared, struct feed *feed, uint64_t count)
{
    struct flood_event event;
    struct record record;
    uint64_t made = 0;
    for (; made < count && flood_next(feed->flood, &event); made++) {
        if (!flood_render(feed->flood, &event, &record))
            bench_fail("no memory for an event");
        record.offset = feed->from[event.tp.topic][event.tp.partition]++;
        prepared_add(prepared, &record);
    }
    return made;
}

/* --------------------------------------------------------------------------------------- shelf */

void shelf_init(struct shelf *shelf)
{
    *shelf = (struct shelf){ 0 };
}

void shelf_release(struct shelf *shelf)
{
    for (size_t i = 0; i < shelf->capacity; i++)
        prepared_release(&shelf->items[i]);
    free(shelf->items);
}

static struct prepared *next_item(struct shelf *shelf)
{
    if (shelf->count == shelf->capacity) {
        size_t capacity = shelf->capacity + 16;
        struct prepared *grown = realloc(shelf->items, capacity * sizeof *grown);
        if (grown == NULL)
            bench_fail("no memory for the batches");
        shelf->items = grown;
        for (; shelf->capacity < capacity; shelf->capacity++)
            prepared_init(&grown[shelf->capacity]);
    }
    return &shelf->items[shelf->count++];
}

/* Plans point into their own item, so they are made when no item moves any more. */
bool shelf_fill(struct shelf *shelf, struct feed *feed, const struct ledger *ledger,
                uint64_t batch_events)
{
    size_t bytes = 0;
    for (size_t i = 0; i < shelf->capacity; i++)
        prepared_clear(&shelf->items[i]);
    shelf->count = 0;
    while (bytes < SHELF_BYTES) {
        struct prepared *item = next_item(shelf);
        if (prepared_fill(item, feed, batch_events) == 0) {
            shelf->count--;
            break;
        }
        bytes += 2 * batch_bytes(&item->batch);
    }
    for (size_t i = 0; i < shelf->count; i++)
        prepared_plan(&shelf->items[i], ledger);
    return shelf->count > 0;
}
