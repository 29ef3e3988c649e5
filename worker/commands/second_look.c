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

static bool same_servers(const struct two_servers *one, const struct two_servers *other)
{
    return strcmp(one->written_at, other->written_at) == 0 &&
           strcmp(one->seen_at, other->seen_at) == 0;
}

bool second_look_counts(const struct second_look *look, const struct two_servers *servers)
{
    return clock_monotonic_ms(&look->log->clock) >= look->doubted_ms + look->deaf_ms ||
           !same_servers(&look->servers, servers);
}

/* A look that shows nothing wrong proves little: the partitions may be starting over. */
static void all_clear(struct second_look *look, const struct two_servers *servers)
{
    if (!look->told || clock_monotonic_ms(&look->log->clock) - look->doubted_ms <= FORGET_MS)
        return;
    look->told = false;
    log_line(look->log, LEVEL_INFO, "the database sessions of this worker see one ledger again",
             FIELDS(FIELD_TEXT("writes_at", servers->written_at),
                    FIELD_TEXT("looks_at", servers->seen_at)));
}

static void tell(struct second_look *look, size_t partitions)
{
    const struct two_servers *servers = &look->servers;
    bool one = strcmp(servers->written_at, servers->seen_at) == 0;
    look->told = true;
    log_line(
        look->log, LEVEL_ERROR,
        "two database sessions of this worker see two ledgers: where it looks, partitions are "
        "behind what it has committed where it writes",
        FIELDS(FIELD_INT("partitions", partitions), FIELD_TEXT("writes_at", servers->written_at),
               FIELD_TEXT("looks_at", servers->seen_at), FIELD_INT("next_look_ms", look->deaf_ms),
               FIELD_TEXT("next_step", one ? one_address : two_addresses)));
}

void second_look_done(struct second_look *look, size_t partitions,
                      const struct two_servers *servers)
{
    if (partitions == 0) {
        all_clear(look, servers);
        return;
    }
    int64_t now_ms = clock_monotonic_ms(&look->log->clock);
    bool again = look->doubted && now_ms - look->doubted_ms <= FORGET_MS &&
                 same_servers(&look->servers, servers);
    int64_t longer_ms = look->deaf_ms == 0 ? DEAF_BASE_MS : 2 * look->deaf_ms;
    look->doubted = true;
    look->doubted_ms = now_ms;
    look->servers = *servers;
    look->deaf_ms = !again ? 0 : longer_ms < DEAF_MAX_MS ? longer_ms : DEAF_MAX_MS;
    if (again)
        tell(look, partitions); /* else the claims that follow say what is true */
}
