#include "tests/sim/sim_brake.h"

#define LETTERS_COUNTED 20

static bool is_refused(const struct sim_record *record)
{
    return record->fate.letter && record->fate.reason == REASON_CONSTRAINT;
}

static bool ends_row(const struct sim_record *record)
{
    const struct fate *fate = &record->fate;
    return record->meaning.type == EVENT_SUBMITTED && !record->meaning.poison && fate->settled &&
           fate->outcome_known && fate->outcome == OUTCOME_APPLIED;
}

void sim_brake_fill(struct sim_db *db, int tp, struct claim *claim)
{
    const struct db_progress *row = &db->progress[tp];
    claim->refusals_until = row->refusals_until;
    claim->refusals = 0;
    claim->refused = (struct refused_submit){ .known = false };
    for (int64_t offset = row->first; offset < row->next; offset++) {
        const struct sim_record *record = sim_log_at(db->log, sim_tp(tp), offset);
        if (record == NULL)
            continue;
        if (ends_row(record))
            claim->refused.known = false;
        if (!is_refused(record) || offset < row->refusals_until)
            continue;
        if (claim->refusals < LETTERS_COUNTED)
            claim->refusals++;
        if (record->meaning.type == EVENT_SUBMITTED)
            claim->refused =
                (struct refused_submit){ true, offset,
                                         sim_uuid(ID_ATTEMPT, (uint32_t)record->meaning.attempt) };
    }
}

void sim_brake_check(struct sim_db *db, const struct db_move *move)
{
    const struct db_progress *row = &db->progress[move->tp];
    int last = -1; /* attempt of the refused submit that no applied one has followed */
    for (int64_t offset = row->first; offset < move->to; offset++) {
        const struct sim_record *record = sim_log_at(db->log, sim_tp(move->tp), offset);
        if (record == NULL)
            continue;
        if (ends_row(record))
            last = -1;
        if (!is_refused(record) || record->meaning.type != EVENT_SUBMITTED ||
            offset < row->refusals_until)
            continue;
        if (offset >= move->from && last >= 0 && last != record->meaning.attempt)
            sim_violate(db->sim, "tp %d@%lld: a second refused submit in a row is dead-lettered",
                        move->tp, (long long)offset);
        last = record->meaning.attempt;
    }
}
