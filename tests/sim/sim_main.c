/*
 * simulate: the engine against thousands of seeded schedules of everything that can go wrong.
 *
 *     simulate [--schedules N] [--first N] [--seconds N] [--jobs N] | --seed N [--verbose]
 *
 * Exit 0 when every invariant held (and, over many schedules, every kind of fault struck), else 1
 * with the seed, the rule, and the command that replays it.
 */
#include "tests/sim/sim_crew.h"
#include "tests/sim/sim_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From here on a kind of fault that never struck is an error of the test itself. */
#define SCHEDULES_FOR_COVER 1000

struct options {
    struct crew_task task;
    bool one, verbose, cover;
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
        "  --seed N       replay this one schedule\n"
        "  --verbose      tell its story\n"
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
            fprintf(stderr, "simulate: unknown option '%s'; see --help\n", argv[i]);
            return 64;
        }
    }
    if (task->jobs < 1 || task->jobs > CREW_MAX) {
        fprintf(stderr, "simulate: --jobs is from 1 to %d\n", CREW_MAX);
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
            fprintf(stderr, "simulate: never happened: %s\n", cover_text((enum cover)i));
            whole = false;
        }
    }
    return whole;
}

static int play_one(uint64_t seed, bool verbose)
{
    struct sim_run *run = calloc(1, sizeof *run);
    if (run == NULL)
        return 71;
    sim_init(&run->sim);
    uint64_t cover[COVER_COUNT] = { 0 };
    bool holds = sim_run(run, seed, verbose, cover);
    if (holds)
        printf("simulate: seed %llu: every invariant held\n", (unsigned long long)seed);
    else
        printf("simulate: seed %llu breaks a rule:\n  %s\n", (unsigned long long)seed,
               run->sim.rule);
    sim_release(&run->sim);
    free(run);
    return holds ? 0 : 1;
}

static int play_many(const struct options *options)
{
    double begun = crew_now_s();
    struct crew_result result;
    if (!crew_play(&options->task, &result)) {
        fprintf(stderr, "simulate: no memory or no process\n");
        return 71;
    }
    double took = crew_now_s() - begun;
    unsigned long long seed = result.seed, played = result.played;
    if (result.broken) {
        printf("simulate: seed %llu breaks a rule after %llu schedules:\n  %s\n"
               "replay it with: build/tests/simulate --seed %llu --verbose\n",
               seed, played, result.rule, seed);
        return 1;
    }
    printf("simulate: %llu schedules, every invariant held (%.0f schedules/s)\n", played,
           took > 0 ? (double)played / took : 0.0);
    return report_cover(result.cover, options->cover, played >= SCHEDULES_FOR_COVER) ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct options options;
    int status = parse(argc, argv, &options);
    if (status != 0)
        return status < 0 ? 0 : status;
    return options.one ? play_one(options.task.first, options.verbose) : play_many(&options);
}
