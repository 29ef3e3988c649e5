/*
 * simulate: the engine against thousands of seeded schedules of everything that can go wrong.
 *
 *     simulate [--schedules N] [--first N] [--seconds N] [--jobs N] [--torture]
 *     simulate --seed N [--verbose]
 *
 * Exit 0 when every invariant held (and, over many schedules, every kind of fault struck), else 1
 * with the seed, the rule, and the command that replays it.
 */
#include "tests/sim/sim_crew.h"
#include "tests/sim/sim_shrink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From here on a kind of fault that never struck is an error of the test itself. */
#define SCHEDULES_FOR_COVER 1000

struct options {
    struct crew_task task;
    bool one, verbose, cover;
    uint64_t fail_at;
};

static void usage(void)
{
    puts(
        "usage: simulate [--schedules N] [--first N] [--seconds N] [--jobs N] [--coverage]\n"
        "       simulate --seed N [--verbose]\n"
        "\n"
        "Plays seeded schedules of crashes, lost connections, rebalances, zombies, duplicates and\n"
        "disorder against the engine and checks its invariants during and after each.\n"
        "\n"
        "  --schedules N  how many (default 2000), seeds --first, --first + 1, ...\n"
        "  --first N      the first seed (default 1)\n"
        "  --seconds N    go on until so much time has passed\n"
        "  --jobs N       processes side by side (default 1)\n"
        "  --torture      play each schedule again and again, as often as the engine allocates\n"
        "                 memory in it, and let another allocation fail each time\n"
        "  --seed N       replay this one schedule\n"
        "  --allocation N ... with this allocation failing\n"
        "  --verbose      tell its story; if it fails, with all left out that need not be there\n"
        "  --coverage     print how often each fault and outcome happened");
}

static int parse(int argc, char **argv, struct options *ret)
{
    struct crew_task *task = &ret->task;
    *ret = (struct options){ .task = { .first = 1, .schedules = 2000, .jobs = 1 } };
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--verbose") == 0) {
            ret->verbose = true;
        } else if (strcmp(argv[i], "--coverage") == 0) {
            ret->cover = true;
        } else if (strcmp(argv[i], "--torture") == 0) {
            task->torture = true;
        } else if (value != NULL && strcmp(argv[i], "--allocation") == 0) {
            ret->fail_at = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--help") == 0) {
            usage();
            return -1;
        } else if (value != NULL && strcmp(argv[i], "--seed") == 0) {
            task->first = strtoull(argv[++i], NULL, 10);
            ret->one = true;
        } else if (value != NULL && strcmp(argv[i], "--first") == 0) {
            task->first = strtoull(argv[++i], NULL, 10);
        } else if (value != NULL && strcmp(argv[i], "--schedules") == 0) {
            task->schedules = strtoull(argv[++i], NULL, 10);
        } else if (value != NULL && strcmp(argv[i], "--seconds") == 0) {
            task->seconds = strtod(argv[++i], NULL);
            task->schedules = UINT64_MAX;
        } else if (value != NULL && strcmp(argv[i], "--jobs") == 0) {
            task->jobs = atoi(argv[++i]);
        } else {
            (void)fprintf(stderr, "simulate: unknown option '%s'; see --help\n", argv[i]);
            return 64;
        }
    }
    if (task->jobs < 1 || task->jobs > CREW_MAX) {
        (void)fprintf(stderr, "simulate: --jobs is from 1 to %d\n", CREW_MAX);
        return 64;
    }
    return 0;
}

/* False when something that should happen never did. */
static bool report_cover(const uint64_t cover[COVER_COUNT], bool print, bool demand)
{
    bool whole = true;
    for (int i = 0; i < COVER_COUNT; i++) {
        if (print)
            printf("  %10llu  %s\n", (unsigned long long)cover[i], cover_text((enum cover)i));
        if (cover[i] == 0 && demand) {
            (void)fprintf(stderr, "simulate: never happened: %s\n", cover_text((enum cover)i));
            whole = false;
        }
    }
    return whole;
}

/* The whole story of a schedule that holds, the short one of a schedule that does not. */
static int tell_one(struct sim_run *run, uint64_t seed, struct sim_edits *edits)
{
    uint64_t cover[COVER_COUNT] = { 0 };
    int left = shrink(run, seed, edits);
    (void)sim_run_edited(run, seed, edits, true, cover);
    if (left >= 0)
        printf("simulate: the story above is what %d of %d actions and faults are enough for\n",
               left, 2 * run->actions);
    return left < 0 ? 0 : 1;
}

static int play_one(const struct options *options)
{
    struct sim_run *run = calloc(1, sizeof *run);
    if (run == NULL)
        return 71;
    sim_init(&run->sim);
    uint64_t cover[COVER_COUNT] = { 0 }, seed = options->task.first;
    struct sim_edits edits = { .fail_at = options->fail_at };
    int status = options->verbose ? tell_one(run, seed, &edits)
                                  : !sim_run_edited(run, seed, &edits, false, cover);
    if (status == 0)
        printf("simulate: seed %llu: every invariant held\n", (unsigned long long)seed);
    else
        printf("simulate: seed %llu breaks a rule:\n  %s\n", (unsigned long long)seed,
               run->sim.rule);
    sim_release(&run->sim);
    free(run);
    return status;
}

static int play_many(const struct options *options)
{
    double begun = crew_now_s();
    struct crew_result result;
    if (!crew_play(&options->task, &result)) {
        (void)fprintf(stderr, "simulate: no memory or no process\n");
        return 71;
    }
    double took = crew_now_s() - begun;
    unsigned long long seed = result.seed, played = result.played;
    if (result.broken) {
        char allocation[48] = "";
        if (result.fail_at != 0)
            (void)snprintf(allocation, sizeof allocation, " --allocation %llu",
                           (unsigned long long)result.fail_at);
        printf("simulate: seed %llu breaks a rule after %llu schedules:\n  %s\n"
               "its short story: build/tests/simulate --seed %llu%s --verbose\n",
               seed, played, result.rule, seed, allocation);
        return 1;
    }
    printf("simulate: %llu schedules, every invariant held (%.0f schedules/s)\n", played,
           took > 0 ? (double)played / took : 0.0);
    return report_cover(result.cover, options->cover,
                        played >= SCHEDULES_FOR_COVER && !options->task.torture)
               ? 0
               : 1;
}

int main(int argc, char **argv)
{
    struct options options;
    int status = parse(argc, argv, &options);
    if (status != 0)
        return status < 0 ? 0 : status;
    return options.one ? play_one(&options) : play_many(&options);
}
