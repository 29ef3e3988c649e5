#include "tests/bench/hist.h"

#include "tests/bench/bench.h"

#include <math.h>
#include <stdlib.h>

#define SUB_BITS        10 /* 1,024 steps between two powers of two */
#define SUB             (1 << SUB_BITS)
#define SHIFTS          32
#define SLOTS           ((SHIFTS + 2) * SUB)
#define TICKS_PER_HALF  5
#define LAST_PERCENTILE 1000000 /* the table ends at one in so many */

void hist_init(struct hist *hist)
{
    *hist = (struct hist){ .counts = calloc(SLOTS, sizeof(uint64_t)) };
    if (hist->counts == NULL)
        bench_fail("no memory for a histogram");
}

void hist_release(struct hist *hist)
{
    free(hist->counts);
}

static int shift_of(int64_t us)
{
    int bits = 64 - __builtin_clzll((unsigned long long)us | 1);
    return bits > SUB_BITS + 1 ? bits - SUB_BITS - 1 : 0;
}

void hist_add(struct hist *hist, int64_t us)
{
    if (us < 0)
        us = 0;
    int shift = shift_of(us);
    if (shift > SHIFTS)
        shift = SHIFTS;
    int64_t slot = (int64_t)shift * SUB + (us >> shift);
    hist->counts[slot < SLOTS ? slot : SLOTS - 1]++;
    hist->total++;
    hist->sum += (uint64_t)us;
    if (us > hist->max_us)
        hist->max_us = us;
}

/* The largest value of a slot: slots below 2 SUB hold one value each. */
static int64_t value_of(int64_t slot)
{
    if (slot < 2 * SUB)
        return slot;
    int64_t shift = slot / SUB - 1;
    return ((slot - shift * SUB + 1) << shift) - 1;
}

int64_t hist_at(const struct hist *hist, double share)
{
    uint64_t wanted = (uint64_t)ceil(share * (double)hist->total), seen = 0;
    if (hist->total == 0)
        return 0;
    for (int64_t slot = 0; slot < SLOTS; slot++) {
        seen += hist->counts[slot];
        if (seen >= wanted && seen > 0)
            return value_of(slot) < hist->max_us ? value_of(slot) : hist->max_us;
    }
    return hist->max_us;
}

static double ms(int64_t us)
{
    return (double)us / 1000.0;
}

void hist_print_json(const struct hist *hist, FILE *to)
{
    double mean = hist->total == 0 ? 0 : (double)hist->sum / (double)hist->total / 1000.0;
    (void)fprintf(to,
                  "{\"count\":%llu,\"mean\":%.3f,\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,"
                  "\"p999\":%.3f,\"max\":%.3f,\"curve\":[",
                  (unsigned long long)hist->total, mean, ms(hist_at(hist, 0.5)),
                  ms(hist_at(hist, 0.9)), ms(hist_at(hist, 0.99)), ms(hist_at(hist, 0.999)),
                  ms(hist->max_us));
    double rest = 1; /* the share of values beyond the point */
    for (int i = 0; rest * (double)hist->total >= 1; i++, rest *= 0.8)
        (void)fprintf(to, "%s[%.7f,%.3f]", i == 0 ? "" : ",", 1 - rest,
                      ms(hist_at(hist, 1 - rest)));
    (void)fputs("]}", to);
}

static uint64_t count_up_to(const struct hist *hist, int64_t us)
{
    uint64_t seen = 0;
    for (int64_t slot = 0; slot < SLOTS && value_of(slot) <= us; slot++)
        seen += hist->counts[slot];
    return seen;
}

void hist_print_hgrm(const struct hist *hist, FILE *to)
{
    double mean = hist->total == 0 ? 0 : (double)hist->sum / (double)hist->total / 1000.0;
    (void)fputs("       Value     Percentile TotalCount 1/(1-Percentile)\n\n", to);
    double share = 0;
    for (double half = 0.5; 1 / (1 - share) <= LAST_PERCENTILE; half /= 2)
        for (int tick = 0; tick < TICKS_PER_HALF; tick++, share += half / TICKS_PER_HALF) {
            int64_t us = hist_at(hist, share);
            (void)fprintf(to, "%12.3f %2.12f %10llu %14.2f\n", ms(us), share,
                          (unsigned long long)count_up_to(hist, us), 1 / (1 - share));
        }
    (void)fprintf(to, "%12.3f %2.12f %10llu\n", ms(hist->max_us), 1.0,
                  (unsigned long long)hist->total);
    (void)fprintf(to, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", mean, 0.0);
    (void)fprintf(to, "#[Max     = %12.3f, Total count    = %12llu]\n", ms(hist->max_us),
                  (unsigned long long)hist->total);
    (void)fprintf(to, "#[Buckets = %12d, SubBuckets     = %12d]\n", SHIFTS, SUB);
}
