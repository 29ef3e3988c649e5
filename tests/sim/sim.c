#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>

/* One block holds a whole schedule. */
#define SCHEDULE_BYTES ((size_t)8 << 20)

void sim_init(struct sim *sim)
{
    *sim = (struct sim){ 0 };
    arena_init(&sim->arena, SCHEDULE_BYTES, 0);
    buf_init(&sim->text, (size_t)64 * 1024);
}

void sim_release(struct sim *sim)
{
    arena_release(&sim->arena);
    buf_release(&sim->text);
}

const char *cover_text(enum cover cover)
{
    static const char *const texts[] = {
#define X(name, text) text,
        SIM_COVER_TABLE(X)
#undef X
    };
    return texts[cover];
}

const char *sim_topic_name(enum topic topic)
{
    static const char *const names[TOPIC_COUNT] = { "attempt.writes", "attempt.activity",
                                                    "view.refresh" };
    return names[topic];
}

void sim_tell(const struct sim *sim, const char *format, ...)
{
    if (!sim->verbose)
        return;
    va_list args;
    va_start(args, format);
    printf("%8lld ms  ", (long long)sim->now_ms);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
}

void sim_violate(struct sim *sim, const char *format, ...)
{
    if (sim_broken(sim))
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sim->rule, sizeof sim->rule, format, args);
    sim->rule_kind = format;
    va_end(args);
    sim_tell(sim, "BROKEN: %s", sim->rule);
}

struct uuid sim_uuid(enum sim_id kind, uint32_t number)
{
    struct uuid uuid = { { 0 } };
    uuid.bytes[0] = (uint8_t)kind;
    uuid.bytes[6] = 0x40;
    uuid.bytes[8] = 0x80;
    for (int i = 0; i < 4; i++)
        uuid.bytes[15 - i] = (uint8_t)(number >> (8 * i));
    return uuid;
}

int64_t sim_uuid_number(enum sim_id kind, const struct uuid *uuid)
{
    uint32_t number = 0;
    for (int i = 12; i < 16; i++)
        number = number << 8 | uuid->bytes[i];
    struct uuid same = sim_uuid(kind, number);
    return uuid_equal(&same, uuid) ? (int64_t)number : -1;
}
