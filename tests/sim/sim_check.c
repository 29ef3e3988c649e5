#include "tests/sim/sim_check.h"
#include "tests/sim/sim_brake.h"
#include "tests/sim/sim_oracle.h"

#include <string.h>

#define INTERLEAVINGS_MAX 20000

/* What one commit is expected to count for one partition. */
struct tally {
    int64_t counts[OUTCOME_COUNT];
    int64_t either; /* applied or duplicate */
    int64_t gaps, gaps_either;
};

static const char *tp_text(int tp)
{
    static const char *const names[SIM_TPS] = { "writes/0",   "writes/1",   "writes/2",
                                                "activity/0", "activity/1", "activity/2",
                                                "refresh/0",  "refresh/1",  "refresh/2" };
    return names[tp];
}

static bool is_dead_for(const struct db_outcome_row *row, enum reason reason)
{
    return row != NULL && row->outcome == OUTCOME_DEAD && row->reason == reason;
}

static bool sent_twice(struct sim_log *log, uint32_t event)
{
    int found = 0;
    for (int tp = 0; tp < SIM_TPS; tp++)
        for (int64_t offset = log->tps[tp].low; offset < log->tps[tp].high; offset++) {
            const struct sim_record *record = sim_log_at(log, sim_tp(tp), offset);
            found += record != NULL && !record->meaning.poison && record->meaning.event == event;
        }
    return found > 1;
}

/*
 * A letter for a constraint is right when the database has refused this very record, and would
 * refuse it still. Dead is looked for first: when another session changes the row between the
 * trial that has shown the refusal and the commit, the refusal stands, whatever the record would
 * be by now.
 */
static bool constraint_refused(const struct sim_db *db, const struct meaning *meaning,
                               const struct verdict *verdict)
{
    const struct db_refusal *refusal = &db->refusals[meaning->event];
    int64_t revision = db->attempts[meaning->attempt].revision;
    if (meaning->refused == REFUSE_NEVER || refusal->first_at < 0)
        return false;
    /* What was refused first may be too far ahead once an earlier record is dead as well. */
    bool moved = refusal->last_at != revision ||
                 (refusal->first_at != revision && sent_twice(db->log, meaning->event));
    return moved || verdict->outcome == OUTCOME_APPLIED || verdict->reason == REASON_VERSION_JUMP ||
           (meaning->refused == REFUSE_CLOSE &&
            (verdict->outcome == OUTCOME_STALE || verdict->outcome == OUTCOME_LATE));
}

/*
 * A row that is not there cannot be locked: another worker may make it after this one has looked.
 * Each record is judged against the row's version as it comes, so a version that was too far ahead
 * of no row is dead, whatever is there by the time of the commit.
 */
static bool jumped_over_no_row(const struct db_tx *tx, const struct meaning *meaning)
{
    return tx->saw_none[meaning->attempt] && !meaning->poison &&
           meaning->expected - 1 > SIM_VERSION_JUMP;
}

/*
 * Judges one record by the model and holds it against the row that the transaction wrote for it
 * (NULL when none). False when they differ; then *ret_why says how.
 */
static bool explain(const struct sim_db *db, const struct db_tx *tx, struct model_row *model,
                    const struct sim_record *record, const struct db_outcome_row *row,
                    struct verdict *ret, const char **ret_why)
{
    const struct meaning *meaning = &record->meaning;
    struct model_row after = *model;
    struct verdict verdict = model_judge(&after, meaning);
    if (is_dead_for(row, REASON_CONSTRAINT)) {
        *ret_why = "dead-lettered for a constraint that did not refuse it";
        *ret = (struct verdict){ .outcome = OUTCOME_DEAD, .reason = REASON_CONSTRAINT };
        return constraint_refused(db, meaning, &verdict);
    }
    if (is_dead_for(row, REASON_VERSION_JUMP) && jumped_over_no_row(tx, meaning)) {
        *ret = (struct verdict){ .outcome = OUTCOME_DEAD, .reason = REASON_VERSION_JUMP };
        return true;
    }
    bool submission =
        verdict.outcome == OUTCOME_APPLIED && meaning->type == EVENT_SUBMITTED && !meaning->poison;
    bool wants_row = submission || verdict.outcome == OUTCOME_STALE ||
                     verdict.outcome == OUTCOME_LATE || verdict.outcome == OUTCOME_DEAD;
    *ret_why = wants_row ? "no row for it in submissions, rejected_writes or dead_letters"
                         : "a row where there should be none";
    if (wants_row != (row != NULL))
        return false;
    if (row != NULL) {
        *ret_why = "another outcome";
        if (row->outcome != verdict.outcome)
            return false;
        *ret_why = "another version";
        if (verdict.outcome != OUTCOME_DEAD && row->version != verdict.version)
            return false;
        *ret_why = "another reason";
        if (verdict.outcome == OUTCOME_DEAD && verdict.reason != REASON_NONE &&
            row->reason != verdict.reason)
            return false;
        if (verdict.outcome == OUTCOME_LATE &&
            (row->late_reason == NULL || strcmp(row->late_reason, verdict.late_reason) != 0))
            return false;
        *ret_why = "another number of missing versions";
        if (submission && row->missing != verdict.missing)
            return false;
    }
    *model = after;
    *ret = verdict;
    return true;
}

static const struct db_outcome_row *row_of(const struct db_tx *tx, const struct sim_record *record)
{
    return record->row >= 0 ? &tx->rows[record->row] : NULL;
}

static void settle(struct sim_db *db, struct sim_record *record, const struct verdict *verdict,
                   const struct db_outcome_row *row, bool known)
{
    const struct meaning *meaning = &record->meaning;
    bool bad = verdict->outcome == OUTCOME_STALE || verdict->outcome == OUTCOME_LATE ||
               verdict->outcome == OUTCOME_DEAD;
    record->fate = (struct fate){
        .settled = true,
        .commit = db->sim->commit_serial,
        .outcome = verdict->outcome,
        .outcome_known = known || row != NULL,
        .version = verdict->version,
        .rejected = row != NULL && (row->outcome == OUTCOME_STALE || row->outcome == OUTCOME_LATE),
        .letter = row != NULL && row->outcome == OUTCOME_DEAD,
        .late_reason = verdict->late_reason,
        .reason = row != NULL ? row->reason : REASON_NONE,
        .missing = verdict->missing,
        .exam = -1,
        .wants_outcome = bad || (meaning->type == EVENT_SUBMITTED && !meaning->poison),
    };
    static const enum cover covers[OUTCOME_COUNT] = { COVER_APPLIED, COVER_DUPLICATE, COVER_STALE,
                                                      COVER_LATE, COVER_DEAD };
    sim_cover(db->sim, covers[verdict->outcome]);
    if (verdict->gap)
        sim_cover(db->sim, COVER_GAP);
    if (record->fate.reason == REASON_START_CONFLICT)
        sim_cover(db->sim, COVER_START_CONFLICT);
    if (record->fate.reason == REASON_VERSION_JUMP)
        sim_cover(db->sim, COVER_VERSION_JUMP);
    if (record->fate.reason == REASON_CONSTRAINT)
        sim_cover(db->sim, COVER_CONSTRAINT);
}

/* The row was changed: from now on its invalidation is owed. */
static void owe(struct sim_record *record, const struct db_attempt *row)
{
    record->fate.revision = row->revision;
    record->fate.exam = row->row.has_start ? row->row.exam : -1;
}

/* --------------------------------------------------------------------------- outcome rows */

static bool in_moves(const struct db_tx *tx, int tp, int64_t offset)
{
    for (int i = 0; i < tx->move_count; i++)
        if (tx->moves[i].tp == tp && offset >= tx->moves[i].from && offset < tx->moves[i].to)
            return true;
    return false;
}

static void index_rows(struct sim_db *db, struct db_tx *tx)
{
    for (int i = 0; i < tx->row_count; i++) {
        const struct db_outcome_row *row = &tx->rows[i];
        struct sim_record *record = sim_log_at(db->log, sim_tp(row->tp), row->offset);
        if (record == NULL) {
            sim_violate(db->sim, "%s@%lld: an outcome for a record that is not there",
                        tp_text(row->tp), (long long)row->offset);
            return;
        }
        if (sim_tp(row->tp).topic == TOPIC_REFRESH) {
            record->fate.letter = true; /* not in the ledger: at least once is enough */
            continue;
        }
        if (!in_moves(tx, row->tp, row->offset))
            sim_violate(db->sim, "%s@%lld: an outcome outside the moved range", tp_text(row->tp),
                        (long long)row->offset);
        if (record->row >= 0)
            sim_violate(db->sim, "%s@%lld: two outcomes for one record", tp_text(row->tp),
                        (long long)row->offset);
        record->row = i;
    }
}

/* --------------------------------------------------------------------------------- judging */

static void judge_plain(struct sim_db *db, struct db_tx *tx, struct sim_record *record,
                        struct tally *tally)
{
    struct model_row *model = &db->model[record->meaning.attempt];
    struct verdict verdict;
    const char *why;
    const struct db_outcome_row *row = row_of(tx, record);
    if (!explain(db, tx, model, record, row, &verdict, &why)) {
        struct model_row copy = *model;
        struct verdict wanted = model_judge(&copy, &record->meaning);
        sim_violate(db->sim, "%s@%lld (attempt %d, e=%lld): should be %s of version %lld: %s",
                    tp_text(sim_tp_index(record->wire.tp)), (long long)record->wire.offset,
                    record->meaning.attempt, (long long)record->meaning.expected,
                    outcome_name(wanted.outcome), (long long)wanted.version, why);
        return;
    }
    tally->counts[verdict.outcome]++;
    tally->gaps += verdict.gap;
    settle(db, record, &verdict, row, true);
    if (verdict.changed)
        owe(record, &tx->attempts[record->meaning.attempt]);
}

/* Of an attempt in two partitions: counted here, explained once all moves are known. */
static void judge_split(struct sim_db *db, struct db_tx *tx, struct sim_record *record,
                        struct tally *tally)
{
    const struct db_outcome_row *row = row_of(tx, record);
    struct verdict verdict = { .outcome = OUTCOME_APPLIED };
    if (row != NULL) {
        verdict = (struct verdict){ .outcome = row->outcome,
                                    .version = row->version,
                                    .late_reason = row->late_reason,
                                    .missing = row->missing };
        tally->counts[row->outcome]++;
    } else {
        tally->either++;
    }
    tally->gaps_either++;
    settle(db, record, &verdict, row, false);
    if (tx->written[record->meaning.attempt])
        owe(record, &tx->attempts[record->meaning.attempt]);
}

static void judge_activity(struct sim_db *db, struct db_tx *tx, struct sim_record *record,
                           bool seen[SIM_ACTIVITIES], struct tally *tally)
{
    const struct meaning *meaning = &record->meaning;
    const struct db_outcome_row *row = row_of(tx, record);
    struct verdict verdict = { .outcome = OUTCOME_DUPLICATE };
    bool constraint = row != NULL && row->reason == REASON_CONSTRAINT;
    if (constraint &&
        (meaning->refused == REFUSE_NEVER || db->refusals[meaning->event].first_at < 0))
        sim_violate(db->sim, "activity@%lld: dead-lettered for a constraint that is not there",
                    (long long)record->wire.offset);
    if (meaning->poison || constraint)
        verdict.outcome = OUTCOME_DEAD;
    for (int i = 0; verdict.outcome != OUTCOME_DEAD && i < meaning->activity_count; i++) {
        if (!seen[meaning->activities[i]])
            verdict.outcome = OUTCOME_APPLIED;
        seen[meaning->activities[i]] = true;
    }
    if ((row != NULL) != (verdict.outcome == OUTCOME_DEAD) ||
        (row != NULL && row->outcome != OUTCOME_DEAD))
        sim_violate(db->sim, "activity@%lld: wrong outcome row", (long long)record->wire.offset);
    bool split = db->log->split[meaning->attempt] && !meaning->poison;
    if (split && verdict.outcome != OUTCOME_DEAD)
        tally->either++;
    else
        tally->counts[verdict.outcome]++;
    settle(db, record, &verdict, row, !split);
}

/* ------------------------------------------------------------------- attempts in two partitions */

struct braid {
    struct sim_db *db;
    struct db_tx *tx;
    struct sim_record *strands[SIM_PARTITIONS][SIM_OFFSETS];
    int lengths[SIM_PARTITIONS];
    const struct model_row *goal;
    int tried;
};

static bool braid_search(struct braid *braid, const int taken[SIM_PARTITIONS],
                         const struct model_row *model)
{
    if (++braid->tried > INTERLEAVINGS_MAX)
        return true; /* too many to say no */
    bool done = true;
    for (int i = 0; i < SIM_PARTITIONS; i++) {
        if (taken[i] == braid->lengths[i])
            continue;
        done = false;
        /* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign): set as far as it is long */
        struct sim_record *record = braid->strands[i][taken[i]];
        struct model_row next = *model;
        struct verdict verdict;
        const char *why;
        if (!explain(braid->db, braid->tx, &next, record, row_of(braid->tx, record), &verdict,
                     &why))
            continue;
        int further[SIM_PARTITIONS];
        memcpy(further, taken, sizeof further);
        further[i]++;
        if (braid_search(braid, further, &next))
            return true;
    }
    const char *what;
    return done && model_equal(model, braid->goal, &what);
}

static void explain_split(struct sim_db *db, struct db_tx *tx, int attempt)
{
    struct braid room, *braid = &room; /* the strands are set as far as they are long */
    braid->db = db;
    braid->tx = tx;
    braid->goal = &db_attempt_seen(db, tx, attempt)->row;
    braid->tried = 0;
    memset(braid->lengths, 0, sizeof braid->lengths);
    int strands = 0;
    for (int i = 0; i < tx->move_count; i++) {
        struct tp tp = sim_tp(tx->moves[i].tp);
        if (tp.topic != TOPIC_WRITES)
            continue;
        for (int64_t offset = tx->moves[i].from; offset < tx->moves[i].to; offset++) {
            struct sim_record *record = sim_log_at(db->log, tp, offset);
            if (record == NULL || record->meaning.poison || record->meaning.attempt != attempt)
                continue;
            braid->strands[tp.partition][braid->lengths[tp.partition]++] = record;
        }
        strands += braid->lengths[tp.partition] > 0;
    }
    int taken[SIM_PARTITIONS] = { 0 };
    if (!braid_search(braid, taken, &db->model[attempt]))
        sim_violate(db->sim, "attempt %d: no interleaving of its partitions explains the commit",
                    attempt);
    if (strands > 1)
        sim_cover(db->sim, COVER_SPLIT);
    db->model[attempt] = *braid->goal;
    /* The submit's versions are no part of the row but decide what is late. */
    const struct db_attempt *row = db_attempt_seen(db, tx, attempt);
    db->model[attempt].submit_expected = row->submission_version - 1;
    db->model[attempt].submit_missing = row->submission_missing;
}

/* -------------------------------------------------------------------------------- the commit */

static void check_move(struct sim_db *db, struct db_tx *tx, const struct db_move *move,
                       bool seen[SIM_ACTIVITIES])
{
    struct sim *sim = db->sim;
    struct sim_partition *partition = &db->log->tps[move->tp];
    if (db->progress[move->tp].owner != tx->owner)
        sim_violate(sim, "%s: worker %d commits, but worker %d claimed it last", tp_text(move->tp),
                    tx->owner, db->progress[move->tp].owner);
    if (partition->replaced && move->to > move->from)
        sim_violate(sim, "%s: goes on with a log that is not the ledger's", tp_text(move->tp));
    bool told = partition->behind && partition->unaware != tx->owner;
    if (told || partition->remembered_by == tx->owner)
        sim_violate(sim, "%s: goes on although the ledger was put back to an older state",
                    tp_text(move->tp));
    if (!witness_is_ahead(&partition->witness, db->progress[move->tp].generation, move->to))
        partition->behind = false;
    /* Who has seen less has gone on from the older state: now nobody can tell by where it stands.
     */
    if (move->to >= partition->remembered_at)
        partition->remembered_by = 0;
    if (move->to > sim_log_readable(partition))
        sim_violate(sim, "%s: next_offset beyond what can be read of the log", tp_text(move->tp));
    struct tally tally = { .either = 0 };
    int64_t last = -1;
    for (int64_t offset = move->from; offset < move->to && !sim_broken(sim); offset++) {
        struct sim_record *record = sim_log_at(db->log, sim_tp(move->tp), offset);
        if (record == NULL)
            continue;
        last = offset;
        if (record->fate.settled)
            sim_violate(sim, "%s@%lld: settled twice", tp_text(move->tp), (long long)offset);
        else if (sim_tp(move->tp).topic == TOPIC_ACTIVITY)
            judge_activity(db, tx, record, seen, &tally);
        else if (db->log->split[record->meaning.attempt] && !record->meaning.poison)
            judge_split(db, tx, record, &tally);
        else
            judge_plain(db, tx, record, &tally);
    }
    sim_brake_check(db, move);
    if (sim_broken(sim))
        return;
    if (move->has_anchor ? move->anchor.offset != last : last >= 0)
        sim_violate(sim, "%s: the anchor is not the last record of the batch", tp_text(move->tp));

    const struct db_progress *was = &db->progress[move->tp], *is = &tx->progress[move->tp];
    int64_t either = 0;
    for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
        int64_t counted = is->counts[outcome] - was->counts[outcome];
        int64_t more = counted - tally.counts[outcome];
        bool open = outcome == OUTCOME_APPLIED || outcome == OUTCOME_DUPLICATE;
        if (more < 0 || (more > 0 && !open))
            sim_violate(sim, "%s: [%lld, %lld) counts %lld %s, should be %lld", tp_text(move->tp),
                        (long long)move->from, (long long)move->to, (long long)counted,
                        outcome_name((enum outcome)outcome), (long long)tally.counts[outcome]);
        either += more;
    }
    if (either != tally.either)
        sim_violate(sim, "%s: [%lld, %lld) counts %lld records too many", tp_text(move->tp),
                    (long long)move->from, (long long)move->to, (long long)(either - tally.either));
    int64_t gaps = is->gaps - was->gaps;
    if (gaps < tally.gaps || gaps > tally.gaps + tally.gaps_either)
        sim_violate(sim, "%s: counts %lld gaps, should be %lld", tp_text(move->tp), (long long)gaps,
                    (long long)tally.gaps);
}

static void check_attempt(struct sim_db *db, struct db_tx *tx, int i)
{
    const struct db_attempt *was = &db->attempts[i], *is = db_attempt_seen(db, tx, i);
    if (db->log->split[i])
        explain_split(db, tx, i);
    const char *what;
    if (!model_equal(&is->row, &db->model[i], &what))
        sim_violate(db->sim,
                    "attempt %d: the row is not the fold of the log: %s (version %lld, "
                    "should be %lld)",
                    i, what, (long long)is->row.version, (long long)db->model[i].version);
    if (is->row.submitted != is->has_submission)
        sim_violate(db->sim, "attempt %d: submitted and submissions do not agree", i);
    if (tx->written[i] && is->revision <= was->revision)
        sim_violate(db->sim, "attempt %d: written without a new revision", i);
    if (was->row.exists && is->row.version < was->row.version)
        sim_violate(db->sim, "attempt %d: version went back", i);
    if (was->row.submitted &&
        (is->row.version != was->row.version || is->row.auto_save != was->row.auto_save ||
         memcmp(is->row.answers, was->row.answers, sizeof is->row.answers) != 0))
        sim_violate(db->sim, "attempt %d: changed after it was submitted", i);
}

/* A refused start enters no exam. */
static void check_exams(struct sim_db *db, const struct db_tx *tx)
{
    unsigned named = db->exams;
    for (int i = 0; i < SIM_ATTEMPTS; i++)
        if (tx->has_attempt[i] && tx->attempts[i].row.has_start)
            named |= 1u << tx->attempts[i].row.exam;
    if ((tx->exams & ~named) != 0)
        sim_violate(db->sim, "an exam is entered that no applied start names");
}

void check_commit(struct sim_db *db, struct db_tx *tx)
{
    for (int i = 0; i < tx->move_count; i++)
        for (int64_t offset = tx->moves[i].from; offset < tx->moves[i].to; offset++) {
            struct sim_record *record = sim_log_at(db->log, sim_tp(tx->moves[i].tp), offset);
            if (record != NULL)
                record->row = -1;
        }
    index_rows(db, tx);
    check_exams(db, tx);
    bool seen[SIM_ACTIVITIES];
    memcpy(seen, db->activity, sizeof seen);
    for (int i = 0; i < tx->move_count && !sim_broken(db->sim); i++)
        check_move(db, tx, &tx->moves[i], seen);
    for (int i = 0; i < SIM_ATTEMPTS && !sim_broken(db->sim); i++)
        check_attempt(db, tx, i);
    for (int i = 0; i < SIM_ACTIVITIES && !sim_broken(db->sim); i++)
        if (seen[i] != (db->activity[i] || tx->activity[i]))
            sim_violate(db->sim, "activity event %d is %s", i, seen[i] ? "lost" : "too much");
    for (int i = 0; i < SIM_TPS && !sim_broken(db->sim); i++)
        if (tx->has_progress[i] && tx->progress[i].published > db->progress[i].published)
            oracle_check_published(db->oracle, i, db->progress[i].published,
                                   tx->progress[i].published, tx->progress[i].next);
    if (tx->move_count > 0)
        sim_tell(db->sim, "worker %d commits #%llu: %s [%lld, %lld)%s", tx->owner,
                 (unsigned long long)db->sim->commit_serial, tp_text(tx->moves[0].tp),
                 (long long)tx->moves[0].from, (long long)tx->moves[0].to,
                 tx->move_count > 1 ? " and more" : "");
}

void check_end(struct sim_db *db)
{
    for (int tp = 0; tp < SIM_TPS; tp++) {
        const struct sim_partition *partition = &db->log->tps[tp];
        const struct db_progress *row = &db->progress[tp];
        if (!partition->exists || partition->replaced || sim_tp(tp).topic == TOPIC_REFRESH ||
            !row->exists)
            continue;
        oracle_check_published(db->oracle, tp, row->first, row->published, row->next);
        int64_t counts[OUTCOME_COUNT] = { 0 }, counted = 0, rejected = 0, letters = 0;
        for (int64_t offset = row->first; offset < row->next; offset++) {
            const struct sim_record *record = sim_log_at(db->log, sim_tp(tp), offset);
            if (record == NULL)
                continue;
            counts[record->fate.outcome]++;
            rejected += record->fate.rejected;
            letters += record->fate.letter;
        }
        for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++)
            counted += row->counts[outcome];
        if (counted != sim_log_count(db->log, sim_tp(tp), row->first, row->next))
            sim_violate(db->sim, "%s: records are not the sum of the outcomes", tp_text(tp));
        if (rejected != row->counts[OUTCOME_STALE] + row->counts[OUTCOME_LATE] ||
            letters != row->counts[OUTCOME_DEAD])
            sim_violate(db->sim, "%s: outcome tables and counters differ", tp_text(tp));
    }
}
