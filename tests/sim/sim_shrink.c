#include "tests/sim/sim_shrink.h"

#define KINDS     4
#define PARTS_MAX (SIM_ACTIONS_MAX * KINDS)

static uint64_t ignored[COVER_COUNT];

/* A part is an action, or what goes wrong beside it. */
static uint8_t *part_of(struct sim_edits *edits, int part, uint8_t *ret_bit)
{
    *ret_bit = (uint8_t)(1u << (part / SIM_ACTIONS_MAX));
    return &edits->left_out[part % SIM_ACTIONS_MAX];
}

static bool fails(struct sim_run *run, uint64_t seed, const struct sim_edits *edits,
                  const char *rule_kind)
{
    return !sim_run_edited(run, seed, edits, false, ignored) && run->sim.rule_kind == rule_kind;
}

/* Leaves out up to `size` parts from number `from` on, if it fails all the same. */
static void try_without(struct sim_run *run, uint64_t seed, struct sim_edits *edits, int from,
                        int size, const char *rule_kind)
{
    struct sim_edits less = *edits;
    bool any = false;
    for (int part = from; part < from + size && part < PARTS_MAX; part++) {
        uint8_t bit, *at = part_of(&less, part, &bit);
        any |= !(*at & bit);
        *at |= bit;
    }
    if (any && fails(run, seed, &less, rule_kind))
        *edits = less;
}

int shrink(struct sim_run *run, uint64_t seed, struct sim_edits *ret_edits)
{
    if (sim_run_edited(run, seed, ret_edits, false, ignored))
        return -1;
    const char *rule_kind = run->sim.rule_kind;
    for (int size = PARTS_MAX / 4; size > 0; size /= 2)
        for (int from = 0; from < PARTS_MAX; from += size)
            try_without(run, seed, ret_edits, from, size, rule_kind);
    int left = 0;
    for (int i = 0; i < run->actions; i++)
        left += !(ret_edits->left_out[i] & EDIT_ACT) + !(ret_edits->left_out[i] & EDIT_FAULT);
    return left;
}
