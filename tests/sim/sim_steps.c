/* What each step of the store does, on the server's side of the connection. */
#include "tests/sim/sim_brake.h"
#include "tests/sim/sim_db.h"
#include "tests/sim/sim_oracle.h"

#include <string.h>

static bool attempt_busy(const struct sim_db *db, const struct db_tx *tx, const struct uuid *id)
{
    int64_t number = sim_uuid_number(ID_ATTEMPT, id);
    if (number < 0 || number >= SIM_ATTEMPTS)
        return false;
    const struct db_tx *lock = db->attempt_lock[number];
    return lock != NULL && lock != tx;
}

static bool progress_busy(const struct sim_db *db, const struct db_tx *tx, struct tp tp)
{
    const struct db_tx *lock = db->progress_lock[sim_tp_index(tp)];
    return lock != NULL && lock != tx;
}

static bool refused(struct sim_db *db, const struct uuid *event, enum refusal_place place)
{
    if (!db->refusing || workload_refusal(db->workload, event) != place)
        return false;
    int64_t number = sim_uuid_number(ID_EVENT, event);
    struct db_refusal *refusal = &db->refusals[number];
    refusal->last_at = db->attempts[db->workload->history[number].attempt].revision;
    if (refusal->first_at < 0)
        refusal->first_at = refusal->last_at;
    return true;
}

static enum step_result refuse(struct sim_db *db, enum cover cover, struct err *err)
{
    sim_cover(db->sim, cover);
    err_set(err, ERR_REJECT, "23514", "a planted record is refused");
    return STEP_REFUSED;
}

/* ------------------------------------------------------------------------------------- ledger */

static enum step_result step_claim(struct sim_db *db, struct store_call *call, int owner)
{
    for (size_t i = 0; i < call->claim.count; i++)
        if (progress_busy(db, NULL, call->claim.items[i].tp))
            return STEP_WAIT;
    for (size_t i = 0; i < call->claim.count; i++) {
        struct claim *claim = &call->claim.items[i];
        struct db_progress *row = &db->progress[sim_tp_index(claim->tp)];
        if (claim->tp.topic == TOPIC_REFRESH)
            sim_violate(db->sim, "claim of view.refresh, which is not in the ledger");
        claim->created = !row->exists && claim->may_create;
        if (claim->created) {
            *row = (struct db_progress){ .exists = true,
                                         .generation = 1,
                                         .first = claim->low,
                                         .next = claim->low,
                                         .published = claim->low };
        }
        claim->found = row->exists;
        if (!row->exists)
            continue;
        row->epoch++;
        row->owner = owner;
        db->log->tps[sim_tp_index(claim->tp)].unaware = 0;
        claim->generation = row->generation;
        claim->first_offset = row->first;
        claim->next_offset = row->next;
        claim->published_offset = row->published;
        claim->epoch = row->epoch;
        claim->has_anchor = row->has_anchor;
        claim->anchor = row->anchor;
        sim_brake_fill(db, sim_tp_index(claim->tp), claim);
    }
    return STEP_DONE;
}

static enum step_result step_resolve(struct sim_db *db, struct store_call *call, int owner)
{
    for (size_t i = 0; i < call->resolve.count; i++)
        if (progress_busy(db, NULL, call->resolve.items[i].tp))
            return STEP_WAIT;
    sim_cover(db->sim, COVER_RESOLVE);
    for (size_t i = 0; i < call->resolve.count; i++) {
        struct resolution *item = &call->resolve.items[i];
        const struct db_progress *row = &db->progress[sim_tp_index(item->tp)];
        item->found = row->exists && row->owner == owner;
        item->generation = row->generation;
        item->next_offset = row->next;
        item->published_offset = row->published;
        item->epoch = row->epoch;
    }
    return STEP_DONE;
}

static enum step_result step_mark(struct sim_db *db, struct store_call *call, int owner)
{
    for (size_t i = 0; i < call->mark.count; i++)
        if (progress_busy(db, NULL, call->mark.items[i].tp))
            return STEP_WAIT;
    for (size_t i = 0; i < call->mark.count; i++) {
        struct mark *mark = &call->mark.items[i];
        int tp = sim_tp_index(mark->tp);
        struct db_progress *row = &db->progress[tp];
        mark->hit = row->exists && row->generation == mark->generation &&
                    row->epoch == mark->epoch && row->owner == owner &&
                    mark->published_offset <= row->next;
        if (!mark->hit)
            continue;
        if (mark->published_offset <= row->published)
            continue;
        oracle_check_published(db->oracle, tp, row->published, mark->published_offset, row->next);
        row->published = mark->published_offset;
    }
    return STEP_DONE;
}

static enum step_result step_recall(struct sim_db *db, struct store_call *call)
{
    struct recall *recall = call->recall;
    sim_cover(db->sim, COVER_RECALL);
    for (size_t i = 0; i < recall->attempt_count; i++) {
        struct recalled_attempt *item = &recall->attempts[i];
        int64_t number = sim_uuid_number(ID_ATTEMPT, &item->attempt_id);
        const struct db_attempt *row =
            number >= 0 && number < SIM_ATTEMPTS ? &db->attempts[number] : NULL;
        item->found = row != NULL && row->row.exists;
        if (!item->found)
            continue;
        item->version = row->row.version;
        item->revision = row->revision;
        item->has_exam = row->row.has_start;
        item->exam_id = sim_uuid(ID_EXAM, (uint32_t)row->row.exam);
        item->committed_at_us = 1700000000000000;
    }
    size_t room = 0;
    for (size_t i = 0; i < recall->range_count; i++)
        room += (size_t)(recall->ranges[i].to - recall->ranges[i].from);
    recall->outcomes = arena_calloc(call->arena, room + 1, sizeof *recall->outcomes);
    recall->outcome_count = 0;
    for (size_t i = 0; i < recall->range_count && recall->outcomes != NULL; i++) {
        const struct recall_range *range = &recall->ranges[i];
        for (int64_t offset = range->from; offset < range->to; offset++) {
            const struct sim_record *record = sim_log_at(db->log, range->tp, offset);
            if (record == NULL || !record->fate.settled)
                continue;
            const struct fate *fate = &record->fate;
            bool submission = fate->outcome_known && fate->outcome == OUTCOME_APPLIED &&
                              record->meaning.type == EVENT_SUBMITTED;
            if (!fate->rejected && !fate->letter && !submission)
                continue;
            recall->outcomes[recall->outcome_count++] = (struct recalled_outcome){
                .tp = range->tp,
                .offset = offset,
                .outcome = fate->outcome,
                .reason = fate->letter        ? bytes_of(reason_name(fate->reason))
                          : fate->late_reason ? bytes_of(fate->late_reason)
                                              : BYTES_NONE,
                .has_version = !fate->letter,
                .version = fate->version,
                .missing = fate->missing,
                .committed_at_us = 1700000000000000,
            };
        }
    }
    return STEP_DONE;
}

/* ----------------------------------------------------------------------------------- writing */

static void check_order(struct sim_db *db, const struct uuid *before, const struct uuid *id,
                        const char *what)
{
    if (before != NULL && uuid_compare(before, id) >= 0)
        sim_violate(db->sim, "lock order: %s are not sorted by attempt id", what);
}

static void set_start(struct db_attempt *row, const struct started *started)
{
    row->row.has_start = true;
    row->row.exam = (int)sim_uuid_number(ID_EXAM, &started->exam_id);
    row->row.student = (int)sim_uuid_number(ID_STUDENT, &started->student_id);
}

static void write_fold(struct sim_db *db, struct db_tx *tx, struct store_call *call,
                       struct fold *fold, int number)
{
    struct db_attempt *row = db_attempt_lock(db, tx, number);
    fold->written = true;
    fold->prior_version = row->row.version;
    if (fold->version <= row->row.version)
        sim_violate(db->sim, "attempt %d: version would go from %lld to %lld", number,
                    (long long)row->row.version, (long long)fold->version);
    if (row->row.submitted)
        sim_violate(db->sim, "attempt %d: written although it is submitted", number);
    int answers[SIM_KEYS] = { 0 };
    if (bytes_present(fold->patch)) {
        if (!patch_read_answers(fold->patch, answers))
            sim_violate(db->sim, "attempt %d: the patch is not a JSON object of ours: %.*s", number,
                        BYTES_FMT(fold->patch));
        model_merge(&row->row, answers);
    }
    if (bytes_present(fold->auto_save_data) &&
        !patch_read_auto_save(fold->auto_save_data, &row->row.auto_save))
        sim_violate(db->sim, "attempt %d: auto_save_data is not what was sent", number);
    for (size_t i = 0; i < fold->event_id_count; i++) {
        model_remember(&row->row, (uint32_t)sim_uuid_number(ID_EVENT, &fold->event_ids[i]));
        if (refused(db, &fold->event_ids[i], REFUSE_CLOSE))
            tx->refuses_commit = true;
    }
    row->row.version = fold->version;
    if (fold->has_submit) {
        row->row.submitted = true;
        fold->answers = patch_write_document(call->arena, &row->row);
    }
    row->revision++;
    fold->revision = row->revision;
    fold->has_exam = row->row.has_start;
    fold->exam_id = sim_uuid(ID_EXAM, (uint32_t)row->row.exam);
    tx->written[number] = true;
}

static bool fold_refused(struct sim_db *db, const struct fold *fold)
{
    for (size_t i = 0; i < fold->event_id_count; i++)
        if (refused(db, &fold->event_ids[i], REFUSE_WRITE))
            return true;
    return false;
}

static void open_moves(struct sim_db *db, struct db_tx *tx, struct plan *plan)
{
    for (size_t i = 0; i < plan->move_count; i++) {
        struct ledger_move *move = &plan->moves[i];
        int tp = sim_tp_index(move->tp);
        if (i > 0 && sim_tp_index(plan->moves[i - 1].tp) >= tp)
            sim_violate(db->sim, "lock order: moves are not sorted by topic and partition");
        const struct db_progress *seen = &db->progress[tp];
        move->hit = seen->exists && seen->generation == move->generation &&
                    seen->epoch == move->epoch && seen->owner == tx->owner &&
                    seen->next == move->expected_next;
        if (!move->hit) {
            sim_cover(db->sim, COVER_MOVE_MISSED);
            tx->missed = true;
            continue;
        }
        if (move->new_next < move->expected_next)
            sim_violate(db->sim, "next_offset would go back");
        struct db_progress *row = db_progress_lock(db, tx, tp);
        row->next = move->new_next;
        if (move->published > row->published)
            row->published = move->published;
        if (move->has_anchor) {
            row->has_anchor = true;
            row->anchor = move->anchor;
        }
        if (tx->move_count < DB_MOVES)
            tx->moves[tx->move_count++] = (struct db_move){ .tp = tp,
                                                            .from = move->expected_next,
                                                            .to = move->new_next,
                                                            .hit = true,
                                                            .has_anchor = move->has_anchor,
                                                            .anchor = move->anchor };
    }
}

static bool open_waits(struct sim_db *db, struct db_tx *tx, struct plan *plan)
{
    for (size_t i = 0; i < plan->move_count; i++)
        if (progress_busy(db, tx, plan->moves[i].tp))
            return true;
    for (size_t i = 0; i < plan->start_count; i++)
        if (attempt_busy(db, tx, &plan->starts[i].attempt_id))
            return true;
    for (size_t i = 0; i < plan->fold_count; i++)
        if (attempt_busy(db, tx, &plan->folds[i]->attempt_id))
            return true;
    for (size_t i = 0; i < plan->activity_count; i++) {
        int64_t number = sim_uuid_number(ID_ACTIVITY, &plan->activities[i].item->event_id);
        if (number >= 0 && number < SIM_ACTIVITIES && db->activity_lock[number] != NULL &&
            db->activity_lock[number] != tx)
            return true;
    }
    return false;
}

static unsigned exam_bit(const struct uuid *id)
{
    return 1u << sim_uuid_number(ID_EXAM, id);
}

static bool enter_exam(struct sim_db *db, struct db_tx *tx, const struct uuid *attempt_id,
                       const struct uuid *exam_id)
{
    int number = db_attempt_number(db, attempt_id);
    if (number < 0 || db_attempt_seen(db, tx, number)->row.has_start)
        return false;
    tx->exams |= exam_bit(exam_id) & ~db->exams;
    return true;
}

static void open_exams(struct sim_db *db, struct db_tx *tx, struct plan *plan)
{
    for (size_t i = 0; i < plan->start_count; i++)
        plan->starts[i].startless =
            enter_exam(db, tx, &plan->starts[i].attempt_id, &plan->starts[i].started.exam_id);
    for (size_t i = 0; i < plan->exam_count; i++) {
        struct exam_entry *entry = &plan->exams[i];
        check_order(db, i > 0 ? &entry[-1].attempt_id : NULL, &entry->attempt_id, "exams");
        entry->startless = enter_exam(db, tx, &entry->attempt_id, &entry->exam_id);
    }
}

static enum step_result open_starts(struct sim_db *db, struct db_tx *tx, struct plan *plan,
                                    struct err *err)
{
    for (size_t i = 0; i < plan->start_count; i++) {
        struct start_row *start = &plan->starts[i];
        check_order(db, i > 0 ? &start[-1].attempt_id : NULL, &start->attempt_id, "starts");
        int number = db_attempt_number(db, &start->attempt_id);
        if (number < 0)
            return STEP_DONE;
        start->done = !db_attempt_seen(db, tx, number)->row.exists;
        if (!start->done)
            continue;
        if (start->entry != NULL && refused(db, &start->entry->event.event_id, REFUSE_WRITE))
            return refuse(db, COVER_REFUSE_OPEN, err);
        if (start->entry != NULL && refused(db, &start->entry->event.event_id, REFUSE_CLOSE))
            tx->refuses_commit = true;
        struct db_attempt *row = db_attempt_lock(db, tx, number);
        row->row = (struct model_row){ .exists = true, .version = 1 };
        set_start(row, &start->started);
        row->revision = 1;
        start->revision = 1;
        tx->written[number] = true;
    }
    return STEP_DONE;
}

static enum step_result open_folds(struct sim_db *db, struct db_tx *tx, struct store_call *call,
                                   struct err *err)
{
    struct plan *plan = call->plan;
    for (size_t i = 0; i < plan->fold_count; i++) {
        struct fold *fold = plan->folds[i];
        check_order(db, i > 0 ? &plan->folds[i - 1]->attempt_id : NULL, &fold->attempt_id,
                    "fast folds");
        int number = db_attempt_number(db, &fold->attempt_id);
        if (number < 0)
            return STEP_DONE;
        const struct model_row *row = &db_attempt_seen(db, tx, number)->row;
        bool passes = row->exists && row->version <= fold->expected_first &&
                      fold->expected_first - row->version <= plan->jump_max && !row->submitted;
        for (size_t k = 0; passes && k < fold->event_id_count; k++)
            passes =
                !model_remembers(row, (uint32_t)sim_uuid_number(ID_EVENT, &fold->event_ids[k]));
        fold->written = false;
        if (!passes) {
            sim_cover(db->sim, COVER_FAST_MISSED);
            continue;
        }
        if (fold_refused(db, fold))
            return refuse(db, COVER_REFUSE_OPEN, err);
        write_fold(db, tx, call, fold, number);
    }
    return STEP_DONE;
}

static enum step_result open_activities(struct sim_db *db, struct db_tx *tx, struct plan *plan,
                                        struct err *err)
{
    for (size_t i = 0; i < plan->activity_count; i++) {
        struct activity_row *row = &plan->activities[i];
        int64_t number = sim_uuid_number(ID_ACTIVITY, &row->item->event_id);
        if (number < 0 || number >= SIM_ACTIVITIES) {
            sim_violate(db->sim, "an activity event that nobody sent");
            return STEP_DONE;
        }
        if (refused(db, &row->entry->event.event_id, REFUSE_WRITE))
            return refuse(db, COVER_REFUSE_OPEN, err);
        row->stored = !db->activity[number] && !tx->activity[number];
        if (!row->stored)
            continue;
        if (refused(db, &row->entry->event.event_id, REFUSE_CLOSE))
            tx->refuses_commit = true;
        tx->activity[number] = true;
        db->activity_lock[number] = tx;
    }
    return STEP_DONE;
}

static void open_views(struct sim_db *db, struct db_tx *tx, struct plan *plan)
{
    for (size_t i = 0; i < plan->view_count; i++) {
        if (bytes_equal(plan->views[i], BYTES("exam_attempt_stats")))
            tx->views |= 1u;
        else if (bytes_equal(plan->views[i], BYTES("question_stats")))
            tx->views |= 2u;
        else
            sim_violate(db->sim, "a view that nobody asked for");
    }
}

static enum step_result step_open(struct sim_db *db, struct db_tx *tx, struct store_call *call,
                                  int owner, struct err *err)
{
    struct plan *plan = call->plan;
    if (tx->open)
        sim_violate(db->sim, "protocol: OPEN inside a transaction");
    if (open_waits(db, tx, plan))
        return STEP_WAIT;
    db_begin(tx, owner);
    plan->committed_at_us = 1700000000000000 + db->sim->now_ms * 1000;
    open_moves(db, tx, plan);
    open_exams(db, tx, plan);
    enum step_result result = open_starts(db, tx, plan, err);
    if (result == STEP_DONE)
        result = open_folds(db, tx, call, err);
    if (result == STEP_DONE)
        result = open_activities(db, tx, plan, err);
    open_views(db, tx, plan);
    return result;
}

static enum step_result step_lock(struct sim_db *db, struct db_tx *tx, struct plan *plan)
{
    for (size_t i = 0; i < plan->row_count; i++)
        if (attempt_busy(db, tx, &plan->rows[i].attempt_id))
            return STEP_WAIT;
    for (size_t i = 0; i < plan->row_count; i++) {
        struct attempt_row *ret = &plan->rows[i];
        check_order(db, i > 0 ? &ret[-1].attempt_id : NULL, &ret->attempt_id, "rows to lock");
        int number = db_attempt_number(db, &ret->attempt_id);
        if (number < 0)
            return STEP_DONE;
        ret->found = db_attempt_seen(db, tx, number)->row.exists;
        tx->saw_none[number] = !ret->found;
        if (!ret->found)
            continue;
        const struct db_attempt *row = db_attempt_lock(db, tx, number);
        ret->submitted = row->row.submitted;
        ret->version = row->row.version;
        ret->revision = row->revision;
        ret->has_start = row->row.has_start;
        ret->exam_id = sim_uuid(ID_EXAM, (uint32_t)row->row.exam);
        ret->student_id = sim_uuid(ID_STUDENT, (uint32_t)row->row.student);
        ret->recent_count = (size_t)row->row.recent_count;
        for (int k = 0; k < row->row.recent_count; k++)
            ret->recent[k] = sim_uuid(ID_EVENT, row->row.recent[k]);
        ret->submit_version = row->submission_version;
        ret->submit_missing = row->submission_missing;
    }
    return STEP_DONE;
}

static enum step_result write_starts(struct sim_db *db, struct db_tx *tx, struct start_row *starts,
                                     size_t count, bool make, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        struct start_row *start = &starts[i];
        int number = db_attempt_number(db, &start->attempt_id);
        if (number < 0)
            return STEP_DONE;
        if (start->has_start && ((db->exams | tx->exams) & exam_bit(&start->started.exam_id)) == 0)
            sim_violate(db->sim, "attempt %d: started in an exam that nobody has entered", number);
        if (make && db_attempt_seen(db, tx, number)->row.exists) {
            /* Another session made it between LOCK and here. */
            err_set(err, ERR_RETRY, "23505", "row made by another session");
            return STEP_REFUSED;
        }
        if (start->has_start && start->entry != NULL) {
            if (refused(db, &start->entry->event.event_id, REFUSE_WRITE))
                return refuse(db, COVER_REFUSE_WRITE, err);
            if (refused(db, &start->entry->event.event_id, REFUSE_CLOSE))
                tx->refuses_commit = true;
        }
        struct db_attempt *row = db_attempt_lock(db, tx, number);
        if (make)
            row->row = (struct model_row){ .exists = true, .version = 1 };
        else if (!row->row.exists || row->row.has_start)
            sim_violate(db->sim, "attempt %d: a start is filled in where none is missing", number);
        else
            sim_cover(db->sim, COVER_LATE_START);
        if (start->has_start)
            set_start(row, &start->started);
        start->done = true;
        start->revision = ++row->revision;
        tx->written[number] = true;
    }
    return STEP_DONE;
}

static enum step_result step_write(struct sim_db *db, struct db_tx *tx, struct store_call *call,
                                   struct err *err)
{
    struct plan *plan = call->plan;
    for (size_t i = 0; i < plan->new_row_count; i++)
        if (attempt_busy(db, tx, &plan->new_rows[i].attempt_id))
            return STEP_WAIT;
    enum step_result result = write_starts(db, tx, plan->new_rows, plan->new_row_count, true, err);
    if (result == STEP_DONE)
        result = write_starts(db, tx, plan->fills, plan->fill_count, false, err);
    for (size_t i = 0; result == STEP_DONE && i < plan->exact_fold_count; i++) {
        struct fold *fold = plan->exact_folds[i];
        int number = db_attempt_number(db, &fold->attempt_id);
        if (number < 0)
            return STEP_DONE;
        const struct model_row *row = &db_attempt_seen(db, tx, number)->row;
        if (!row->exists || row->version != fold->expected_first || row->submitted) {
            sim_violate(db->sim, "attempt %d: exact fold expects version %lld, the row has %lld",
                        number, (long long)fold->expected_first, (long long)row->version);
            return STEP_DONE;
        }
        if (fold_refused(db, fold))
            return refuse(db, COVER_REFUSE_WRITE, err);
        write_fold(db, tx, call, fold, number);
        sim_cover(db->sim, COVER_CAREFUL);
    }
    return result;
}

/* -------------------------------------------------------------------------------------- close */

static struct db_outcome_row *add_row(struct sim_db *db, struct db_tx *tx, struct entry *entry)
{
    if (tx->row_count >= DB_ROWS) {
        sim_violate(db->sim, "simulator: too many outcome rows in one transaction");
        return &tx->rows[0];
    }
    struct db_outcome_row *row = &tx->rows[tx->row_count++];
    *row = (struct db_outcome_row){ .tp = sim_tp_index(entry->record.tp),
                                    .offset = entry->record.offset,
                                    .outcome = entry->outcome,
                                    .reason = entry->reason,
                                    .version = entry->version,
                                    .missing = entry->missing };
    return row;
}

static enum step_result close_rows(struct sim_db *db, struct db_tx *tx, struct plan *plan,
                                   struct err *err)
{
    for (size_t i = 0; i < plan->submission_count; i++) {
        struct submission_row *submission = &plan->submissions[i];
        if (refused(db, &submission->entry->event.event_id, REFUSE_CLOSE))
            return refuse(db, COVER_REFUSE_CLOSE, err);
        int number = db_attempt_number(db, &submission->fold->attempt_id);
        if (number < 0)
            return STEP_DONE;
        struct db_attempt *row = db_attempt_lock(db, tx, number);
        if (row->has_submission)
            sim_violate(db->sim, "attempt %d: a second submission", number);
        row->has_submission = true;
        row->submission_version = submission->fold->version;
        row->submission_missing = submission->entry->missing;
        add_row(db, tx, submission->entry)->version = submission->fold->version;
    }
    for (size_t i = 0; i < plan->rejected_count; i++) {
        struct entry *entry = plan->rejected[i];
        if (refused(db, &entry->event.event_id, REFUSE_CLOSE))
            return refuse(db, COVER_REFUSE_CLOSE, err);
        struct db_outcome_row *row = add_row(db, tx, entry);
        if (entry->late_reason != NULL)
            row->late_reason =
                strcmp(entry->late_reason, "overtaken") == 0 ? "overtaken" : "after_submit";
    }
    for (size_t i = 0; i < plan->letter_count; i++)
        add_row(db, tx, plan->letters[i]);
    return STEP_DONE;
}

static enum step_result step_close(struct sim_db *db, struct db_tx *tx, struct plan *plan,
                                   bool hold, struct err *err)
{
    for (size_t i = 0; i < plan->move_count; i++)
        if (!plan->moves[i].hit)
            sim_violate(db->sim, "%s/%d: commits although its compare-and-set missed",
                        sim_topic_name(plan->moves[i].tp.topic), plan->moves[i].tp.partition);
    enum step_result result = close_rows(db, tx, plan, err);
    if (result != STEP_DONE)
        return result;
    if (tx->refuses_commit)
        return refuse(db, COVER_REFUSE_CLOSE, err);
    for (size_t i = 0; i < plan->move_count; i++) {
        struct db_progress *row = db_progress_lock(db, tx, sim_tp_index(plan->moves[i].tp));
        for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++)
            row->counts[outcome] += plan->moves[i].counts[outcome];
        row->gaps += plan->moves[i].gaps;
    }
    if (plan->trial) {
        sim_cover(db->sim, COVER_TRIAL);
        db_rollback(db, tx);
    } else if (!hold) {
        db_commit(db, tx);
    }
    return STEP_DONE;
}

enum step_result db_step(struct sim_db *db, struct db_tx *tx, struct store_call *call, int owner,
                         bool hold, struct err *err)
{
    bool inside =
        call->step == STORE_LOCK || call->step == STORE_WRITE || call->step == STORE_CLOSE;
    if (inside && !tx->open)
        sim_violate(db->sim, "protocol: step %d outside a transaction", (int)call->step);
    if (!inside && tx->open && call->step != STORE_UNDO)
        sim_violate(db->sim, "protocol: step %d inside a transaction", (int)call->step);
    if (tx->aborted && call->step != STORE_UNDO)
        sim_violate(db->sim, "protocol: step %d in a failed transaction", (int)call->step);
    if (sim_broken(db->sim))
        return STEP_DONE;
    switch (call->step) {
    case STORE_CONNECT:
        return STEP_DONE;
    case STORE_CLAIM:
        return step_claim(db, call, owner);
    case STORE_OPEN:
        return step_open(db, tx, call, owner, err);
    case STORE_LOCK:
        return step_lock(db, tx, call->plan);
    case STORE_WRITE:
        return step_write(db, tx, call, err);
    case STORE_CLOSE:
        return step_close(db, tx, call->plan, hold, err);
    case STORE_UNDO:
        db_rollback(db, tx);
        return STEP_DONE;
    case STORE_RESOLVE:
        return step_resolve(db, call, owner);
    case STORE_RECALL:
        return step_recall(db, call);
    case STORE_MARK:
        return step_mark(db, call, owner);
    }
    return STEP_DONE;
}
