#include "worker/commands/gap.h"

#include <inttypes.h>

enum gap_state gap_judge(const struct gap_facts *facts)
{
    if (!facts->has_row)
        return facts->has_committed ? GAP_LEDGER_MISSING : GAP_NEW;
    if (witness_is_ahead(&facts->witness, facts->generation, facts->next_offset))
        return GAP_LEDGER_BEHIND;
    if (facts->next_offset < facts->log_low)
        return GAP_LOG_START;
    if (facts->next_offset > facts->log_end)
        return GAP_LOG_END;
    if (facts->anchor_differs)
        return GAP_ANCHOR;
    return facts->unreadable ? GAP_CORRUPT : GAP_NONE;
}

const char *gap_state_name(enum gap_state state)
{
    static const char *const names[] = {
        [GAP_NONE] = "none",           [GAP_NEW] = "new",
        [GAP_LOG_START] = "log_start", [GAP_LOG_END] = "log_end",
        [GAP_ANCHOR] = "anchor",       [GAP_LEDGER_MISSING] = "ledger_missing",
        [GAP_CORRUPT] = "corrupt",     [GAP_LEDGER_BEHIND] = "ledger_behind",
    };
    return names[state];
}

static bool check_state(const struct gap_facts *facts, bool skips, bool force, struct err *err)
{
    enum gap_state state = gap_judge(facts);
    if (state == GAP_CORRUPT && !skips)
        return err_set(err, ERR_REJECT, "skip_to",
                       "part of the log cannot be read: mend it on the broker, or give up what "
                       "stands there: --skip-to %" PRId64,
                       facts->readable_from);
    if (state != GAP_NONE && state != GAP_NEW)
        return true;
    if (force && skips)
        return true;
    if (force)
        return err_set(err, ERR_REJECT, "skip_to",
                       "ledger and log agree: --force needs --skip-to OFFSET, the place to go on");
    if (state == GAP_NEW)
        return err_set(err, ERR_REJECT, "new",
                       "nobody has read this partition yet, so there is no gap: a worker begins "
                       "with it by itself");
    return err_set(err, ERR_REJECT, "agree",
                   "ledger and log agree, so there is no gap to accept; if a worker is halted "
                   "here, its halt line names another reason and the next step ('attemptd "
                   "doctor')");
}

bool gap_plan(const struct gap_facts *facts, int64_t skip_to, bool force, struct gap_step *ret,
              struct err *err)
{
    enum gap_state state = gap_judge(facts);
    bool skips = skip_to != GAP_NO_OFFSET;
    if (!check_state(facts, skips, force, err))
        return false;
    if (skips && (skip_to < facts->log_low || skip_to > facts->log_end))
        return err_set(err, ERR_REJECT, "skip_to",
                       "--skip-to %" PRId64 " is not in the log, which holds the offsets from "
                       "%" PRId64 " to before %" PRId64,
                       skip_to, facts->log_low, facts->log_end);
    if (state == GAP_CORRUPT && skip_to < facts->readable_from)
        return err_set(err, ERR_REJECT, "skip_to",
                       "--skip-to %" PRId64 " is within what cannot be read; the first offset that "
                       "can is %" PRId64,
                       skip_to, facts->readable_from);
    bool keeps = state == GAP_LEDGER_BEHIND && facts->next_offset >= facts->log_low &&
                 facts->next_offset <= facts->log_end;
    /* What a lost state has told the world is newer than what the rows say now. */
    bool untold = !facts->has_row || state == GAP_LEDGER_BEHIND ||
                  facts->published_offset < facts->next_offset;
    ret->start = skips ? skip_to : keeps ? facts->next_offset : facts->log_low;
    ret->published = ret->start - untold;
    return true;
}
