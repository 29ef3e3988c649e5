/*
 * (e) seen from outside: when does the ledger reach the end of the segment? Asks every few
 * milliseconds, on a connection of its own. Prints `settled` and `published` as they come, so that
 * who reads it can look at the processes at that moment.
 */
#include "tests/bench/pq.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LOOK_MS    5
#define PATIENCE_S 300 /* without any progress */
#define NS_PER_S   1000000000

static const char query[] =
    "SELECT coalesce(sum(next_offset), 0), coalesce(sum(published_offset), 0),"
    " coalesce(sum(applied), 0) FROM ingest_progress";

struct standing {
    long long next, published, applied;
};

static struct standing look(PGconn *db)
{
    struct standing standing = { 0 };
    PGresult *result = pq_check(db, PQexecPrepared(db, "look", 0, NULL, NULL, NULL, 0), "looking");
    standing.next = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    standing.published = strtoll(PQgetvalue(result, 0, 1), NULL, 10);
    standing.applied = strtoll(PQgetvalue(result, 0, 2), NULL, 10);
    PQclear(result);
    return standing;
}

static void tell(const char *what)
{
    (void)puts(what);
    (void)fflush(stdout);
}

void part_watch(const struct bench *bench)
{
    struct feed feed;
    struct standing begin, now;
    int64_t settled_ns = 0, first_ns = 0, moved_ns;
    PGconn *db = pq_connect(bench);
    PQclear(pq_check(db, PQprepare(db, "look", query, 0, NULL), "looking"));
    feed_open(&feed, bench);
    const long long end = feed_total(&feed, bench, true);
    begin = now = look(db);
    if (begin.next != feed_total(&feed, bench, false))
        bench_fail("the ledger is at %lld, the segment begins at %lld", begin.next,
                   (long long)feed_total(&feed, bench, false));
    bench_ready();
    const int64_t start_ns = moved_ns = now_ns();
    while (now.published < end) {
        (void)nanosleep(&(struct timespec){ .tv_nsec = LOOK_MS * 1000000 }, NULL);
        struct standing before = now;
        now = look(db);
        if (now.next != before.next || now.published != before.published)
            moved_ns = now_ns();
        if (first_ns == 0 && now.next > begin.next)
            first_ns = moved_ns;
        if (settled_ns == 0 && now.next >= end) {
            settled_ns = moved_ns;
            tell("settled");
        }
        if (now_ns() - moved_ns > (int64_t)PATIENCE_S * NS_PER_S)
            bench_fail("no progress for %d s at %lld of %lld", PATIENCE_S, now.next, end);
    }
    const int64_t published_ns = now_ns();
    tell("published");
    (void)printf(
        "{\"events\":%lld,\"applied\":%lld,\"seconds\":%.6f,\"seconds_settled\":%.6f,"
        "\"seconds_first\":%.6f}\n",
        end - begin.next, now.applied - begin.applied, (double)(published_ns - start_ns) / NS_PER_S,
        (double)(settled_ns - start_ns) / NS_PER_S, (double)(first_ns - start_ns) / NS_PER_S);
    feed_close(&feed);
    PQfinish(db);
}
