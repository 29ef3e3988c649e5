/*
 * simulate: the engine against thousands of seeded schedules of everything that can go wrong.
 *
 *     simulate [--schedules N] [--seed N] [--first N] [--seconds N] [--verbose]
 *
 * Exit 0 when every invariant held (and, over many schedules, every kind of fault struck), else 1
 * with the seed, the rule, and the command that replays it.
 */
#include "tests/sim/sim_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* From here on a kind of fault that never struck is an error of the test itself. */
#define SCHEDULES_FOR_COVER 1000

struct options {
    uint64_t first, schedules;
    double seconds;
    bool one, verbose, cover;
};

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void usage(void)
{
    puts(
        "usage: simulate [--schedules N] [--seed N] [--first N] [--seconds N] [--verbose]\n"
        "\n"
        "Plays seeded schedules of crashes, lost connections, rebalances, zombies, duplicates and\n"
        "disorder against the engine and checks its invariants during and after each.\n"
        "\n"
        "  --schedules N  how many (default 2000), seeds --first, --first + 1, ...\n"
        "  --first N      the first seed (default 1)\n"
        "  --seconds N    go on until so much time has passed\n"
        "  --seed N       replay this one schedule\n"
        "  --verbose      tell its story\n"
        "  --coverage     print how often each fault and outcome happened");
}

static int parse(int argc, char **argv, struct options *ret)
{
    *ret = (struct options){ .first = 1, .schedules = 2000 };
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
            ret->first = strtoull(argv[++i], NULL, 10);
            ret->schedules = 1;
            ret->one = true;
        } else if (value != NULL && strcmp(argv[i], "--first") == 0) {
            ret->first = strtoull(argv[++i], NULL, 10);
        } else if (value != NULL && strcmp(argv[i], "--schedules") == 0) {
            ret->schedules = strtoull(argv[++i], NULL, 10);
        } else if (value != NULL && strcmp(argv[i], "--seconds") == 0) {
            ret->seconds = strtod(argv[++i], NULL);
            ret->schedules = UINT64_MAX;
        } else {
            fprintf(stderr, "simulate: unknown option '%s'; see --help\n", argv[i]);
            return 64;
        }
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

int main(int argc, char **argv)
{
    struct options options;
    int status = parse(argc, argv, &options);
    if (status != 0)
        return status < 0 ? 0 : status;
    struct sim_run *run = calloc(1, sizeof *run);
    if (run == NULL)
        return 71;
    arena_init(&run->sim.arena, 1u << 20, 0);
    uint64_t cover[COVER_COUNT] = { 0 }, played = 0;
    double begun = now_s();
    bool holds = true;
    for (; holds && played < options.schedules; played++) {
        if (options.seconds > 0 && now_s() - begun >= options.seconds)
            break;
        holds = sim_run(run, options.first + played, options.verbose, cover);
    }
    double took = now_s() - begun;
    if (!holds) {
        printf("simulate: seed %llu breaks a rule after %llu schedules:\n  %s\n"
               "replay it with: build/tests/simulate --seed %llu --verbose\n",
               (unsigned long long)run->sim.seed, (unsigned long long)played, run->sim.rule,
               (unsigned long long)run->sim.seed);
        status = 1;
    } else {
        printf("simulate: %llu schedules, every invariant held (%.0f schedules/s)\n",
               (unsigned long long)played, took > 0 ? (double)played / took : 0.0);
        if (!report_cover(cover, options.cover, played >= SCHEDULES_FOR_COVER))
            status = 1;
    }
    arena_release(&run->sim.arena);
    free(run);
    return status;
}
