#include "worker/engine/pace.h"

#include <math.h>

#define DECAY 0.9

/* A flush that is slow whatever it holds may take so many times that, but no longer than this. */
#define FIXED_SHARE  4
#define FIXED_MS_MAX 1000

void pace_init(struct pace *pace)
{
    *pace = (struct pace){ .events_max = PACE_START };
}

/* Milliseconds for each record. Where all flushes were alike, the fixed part stays as it was. */
static double slope_of(struct pace *pace)
{
    double mean_n = pace->n / pace->weight, mean_t = pace->t / pace->weight;
    double variance = pace->nn / pace->weight - mean_n * mean_n;
    double covariance = pace->nt / pace->weight - mean_n * mean_t;
    if (variance > 1 + 0.01 * mean_n * mean_n && covariance > 0) {
        double slope = fmin(covariance / variance, mean_t / mean_n);
        pace->fixed_ms = fmin(mean_t - slope * mean_n, FIXED_MS_MAX);
        return slope;
    }
    pace->fixed_ms = fmin(pace->fixed_ms, mean_t);
    return (mean_t - pace->fixed_ms) / mean_n;
}

void pace_add(struct pace *pace, size_t events, int64_t took_ms, int64_t aim_ms)
{
    if (events == 0)
        return;
    double n = (double)events, t = (double)took_ms;
    pace->weight = pace->weight * DECAY + 1;
    pace->n = pace->n * DECAY + n;
    pace->t = pace->t * DECAY + t;
    pace->nn = pace->nn * DECAY + n * n;
    pace->nt = pace->nt * DECAY + n * t;
    double slope = slope_of(pace);
    double aim = fmax((double)aim_ms, FIXED_SHARE * pace->fixed_ms);
    double limit = (double)pace->events_max;
    double goal = slope > 0 ? (aim - pace->fixed_ms) / slope : INFINITY;
    if (t > aim && goal < limit) /* small flushes say too little about large ones to shrink these */
        limit = fmax(goal, limit / 4);
    else if (n >= limit / 2 && t < aim) /* it was the limit that bounded it */
        limit = fmin(limit * 1.5, goal);
    pace->events_max = (size_t)fmin(fmax(limit, PACE_EVENTS_MIN), 1e9);
}
