#include "tests/sim/sim_crew.h"
#include "tests/sim/sim_memory.h"
#include "tests/sim/sim_run.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct seat {
    uint64_t played, seed, fail_at;
    uint64_t cover[COVER_COUNT];
    bool broken;
    char rule[512];
};

struct board {
    atomic_bool over; /* somebody found something */
    struct seat seats[CREW_MAX];
};

double crew_now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void play_seed(const struct crew_task *task, struct sim_run *run, struct seat *seat)
{
    /* The first round only counts: no allocation has the number 2^64 - 1. */
    uint64_t count = 0;
    struct sim_edits edits = { .fail_at = task->torture ? UINT64_MAX : 0 };
    do {
        seat->fail_at = edits.fail_at;
        seat->broken = !sim_run_edited(run, seat->seed, &edits, false, seat->cover);
        seat->played++;
        if (edits.fail_at == UINT64_MAX) {
            count = memory_count();
            edits.fail_at = 0;
        }
        edits.fail_at++;
    } while (!seat->broken && task->torture && edits.fail_at <= count);
    memcpy(seat->rule, run->sim.rule, sizeof seat->rule);
}

static void play(const struct crew_task *task, int number, struct board *board)
{
    struct seat *seat = &board->seats[number];
    struct sim_run *run = calloc(1, sizeof *run);
    if (run == NULL)
        return;
    sim_init(&run->sim);
    double begun = crew_now_s();
    uint64_t jobs = (uint64_t)task->jobs;
    for (uint64_t i = (uint64_t)number; i < task->schedules && !atomic_load(&board->over);
         i += jobs) {
        if (task->seconds > 0 && crew_now_s() - begun >= task->seconds)
            break;
        seat->seed = task->first + i;
        play_seed(task, run, seat);
        if (seat->broken)
            atomic_store(&board->over, true);
    }
    sim_release(&run->sim);
    free(run);
}

static void wait_for(pid_t pid, struct board *board, struct seat *seat)
{
    int status = 0;
    if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    seat->broken = true;
    (void)snprintf(seat->rule, sizeof seat->rule, "the simulator died, wait status %d", status);
    atomic_store(&board->over, true);
}

static void add_up(const struct board *board, int jobs, struct crew_result *ret)
{
    *ret = (struct crew_result){ 0 };
    for (int k = 0; k < jobs; k++) {
        const struct seat *seat = &board->seats[k];
        ret->played += seat->played;
        for (int i = 0; i < COVER_COUNT; i++)
            ret->cover[i] += seat->cover[i];
        if (seat->broken && (!ret->broken || seat->seed < ret->seed)) {
            ret->broken = true;
            ret->seed = seat->seed;
            ret->fail_at = seat->fail_at;
            memcpy(ret->rule, seat->rule, sizeof ret->rule);
        }
    }
}

bool crew_play(const struct crew_task *task, struct crew_result *ret)
{
    struct board *board =
        mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED)
        return false;
    pid_t pids[CREW_MAX];
    int started = 0;
    (void)fflush(NULL);
    for (; started < task->jobs; started++) {
        pids[started] = fork();
        if (pids[started] == 0) {
            play(task, started, board);
            _exit(0);
        }
        if (pids[started] < 0)
            break;
    }
    if (started < task->jobs)
        atomic_store(&board->over, true);
    for (int k = 0; k < started; k++)
        wait_for(pids[k], board, &board->seats[k]);
    add_up(board, task->jobs, ret);
    munmap(board, sizeof *board);
    return started == task->jobs;
}
