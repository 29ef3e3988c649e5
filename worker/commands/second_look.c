#include "worker/commands/second_look.h"

#include <string.h>

#define DEAF_BASE_MS 10000
#define DEAF_MAX_MS  60000
#define FORGET_MS    150000 /* more than that, a look and a slow start together */

static const char one_address[] =
    "it is one address, so either a pooler leads to two servers (reads must go to the primary, too), "
    "or the database was put back more than once within minutes: then the halts say what to do";
static const char two_addresses[] =
    "two servers take writes at once, so what is written to the wrong one will be missed: find out "
    "which is the primary, stop the other, see that DATABASE_URL (a name, a pooler) leads to the "
    "right one alone, and restart this worker. Nothing is lost in Kafka: if the right one is behind, "
    "a halt names the command that reads it again";

void second_look_init(struct second_look *look, const struct log *log)
{
    *look = (struct second_look){ .log = log };
}

bool second_look_counts(const struct second_look *look)
{
    return clock_monotonic_ms(&look->log->clock) >= look->doubted_ms + look->deaf_ms;
}

void second_look_doubts(struct second_look *look, size_t partitions, const char *written_at,
                        const char *seen_at)
{
    int64_t now_ms = clock_monotonic_ms(&look->log->clock);
    bool again = look->doubted && now_ms - look->doubted_ms <= FORGET_MS;
    int64_t longer_ms = look->deaf_ms == 0 ? DEAF_BASE_MS : 2 * look->deaf_ms;
    look->doubted = true;
    look->doubted_ms = now_ms;
    look->deaf_ms = !again ? 0 : longer_ms < DEAF_MAX_MS ? longer_ms : DEAF_MAX_MS;
    if (!again)
        return; /* the claims that follow say what is true */
    log_line(look->log, LEVEL_ERROR,
             "two database sessions of this worker see two ledgers: where it looks, partitions are "
             "behind what it has committed where it writes",
             FIELDS(FIELD_INT("partitions", partitions), FIELD_TEXT("writes_at", written_at),
                    FIELD_TEXT("looks_at", seen_at), FIELD_INT("next_look_ms", look->deaf_ms),
                    FIELD_TEXT("next_step",
                               strcmp(written_at, seen_at) == 0 ? one_address : two_addresses)));
}
