#include "worker/postgres/housekeeper_rounds.h"

#include "worker/events/canonical.h"

#include <stdio.h>

/* ---------------------------------------------------------------------------------- results */

static void keep_name(struct housekeeper *hk, const struct pg_result *result)
{
    struct bytes name = pg_get_bytes(result, 0, 0);
    (void)snprintf(hk->name, sizeof hk->name, "%.*s", BYTES_FMT(name));
    hk->found = true;
}

static bool on_changes(void *self, const struct pg_result *result, struct err *err)
{
    struct housekeeper *hk = self;
    (void)err;
    hk->change_count = pg_row_count(result);
    for (size_t i = 0; i < hk->change_count; i++)
        hk->changes[i] = (struct foreign_change){
            .id = pg_get_int8(result, i, 0),
            .attempt_id = pg_get_uuid(result, i, 1),
            .has_exam = !pg_is_null(result, i, 2),
            .exam_id = pg_get_uuid(result, i, 2),
            .version = pg_get_int8(result, i, 3),
            .revision = pg_get_int8(result, i, 4),
            .changed_at_us = pg_get_time_us(result, i, 5),
        };
    return true;
}

/* One whose answers cannot be digested (nested thousands deep, by hand) is left as it is. */
static bool read_submit(struct housekeeper *hk, const struct pg_result *result, size_t row,
                        struct sql_submit *ret)
{
    *ret = (struct sql_submit){ .attempt_id = pg_get_uuid(result, row, 0),
                                .version = pg_get_int8(result, row, 1),
                                .missing = pg_get_int8(result, row, 2),
                                .submitted_at_us = pg_get_time_us(result, row, 3),
                                .committed_at_us = pg_get_time_us(result, row, 4) };
    arena_reset(&hk->scratch);
    if (!canonical_digest(pg_get_bytes(result, row, 5), &hk->scratch, &hk->room, ret->digest))
        return false;
    if (hk->options.sign)
        hk->options.sign(hk->options.self, ret);
    return true;
}

static bool on_submits(void *self, const struct pg_result *result, struct err *err)
{
    struct housekeeper *hk = self;
    (void)err;
    hk->submit_count = 0;
    for (size_t i = 0; i < pg_row_count(result); i++)
        hk->submit_count += read_submit(hk, result, i, &hk->submits[hk->submit_count]);
    return true;
}

static bool on_unpublished(void *self, const struct pg_result *result, struct err *err)
{
    struct housekeeper *hk = self;
    (void)err;
    if (pg_row_count(result) == 0)
        return true;
    keep_name(hk, result);
    hk->refreshes = pg_get_int8(result, 0, 1);
    hk->finished_at_us = pg_get_time_us(result, 0, 2);
    return true;
}

static bool on_view_taken(void *self, const struct pg_result *result, struct err *err)
{
    struct housekeeper *hk = self;
    (void)err;
    if (pg_row_count(result) == 0)
        return true;
    keep_name(hk, result);
    hk->position = pg_get_int8(result, 0, 1);
    hk->taken = pg_get_int8(result, 0, 2);
    hk->requests = pg_get_int8(result, 0, 3);
    return true;
}

static bool on_recorded(void *self, const struct pg_result *result, struct err *err)
{
    struct housekeeper *hk = self;
    if (pg_row_count(result) == 0)
        return err_set(err, ERR_BUG, "housekeeper",
                       "the schedule of a view that was taken is gone");
    hk->refreshes = pg_get_int8(result, 0, 0);
    hk->finished_at_us = pg_get_time_us(result, 0, 1);
    hk->duration_ms = pg_get_int8(result, 0, 2);
    return true;
}

static bool on_balance(void *self, const struct pg_result *result, struct err *err)
{
    const struct housekeeper *hk = self;
    (void)err;
    for (size_t i = 0; hk->options.note != NULL && i < pg_row_count(result); i++)
        hk->options.note(hk->options.self, &(struct housekeeper_note){
                                               .kind = HOUSEKEEPER_BALANCE,
                                               .name = pg_get_bytes(result, i, 0),
                                               .partition = (int32_t)pg_get_int8(result, i, 1),
                                               .number = pg_get_int8(result, i, 2) });
    return true;
}

static bool on_ledger(void *self, const struct pg_result *result, struct err *err)
{
    const struct housekeeper *hk = self;
    (void)err;
    for (size_t i = 0; hk->options.note != NULL && i < pg_row_count(result); i++)
        hk->options.note(hk->options.self, &(struct housekeeper_note){
                                               .kind = HOUSEKEEPER_LEDGER,
                                               .name = pg_get_bytes(result, i, 0),
                                               .partition = (int32_t)pg_get_int8(result, i, 1),
                                               .generation = pg_get_int8(result, i, 2),
                                               .number = pg_get_int8(result, i, 3),
                                               .published_offset = pg_get_int8(result, i, 4),
                                               .asked_ms = hk->asked_ms });
    return true;
}

static bool on_partition(void *self, const struct pg_result *result, struct err *err)
{
    (void)err;
    if (pg_row_count(result) > 0 && !pg_is_null(result, 0, 0))
        keep_name(self, result);
    return true;
}

static bool on_expired(void *self, const struct pg_result *result, struct err *err)
{
    struct housekeeper *hk = self;
    (void)err;
    hk->expired = pg_row_count(result) > 0 ? pg_get_int8(result, 0, 0) : 0;
    return true;
}

/* ----------------------------------------------------------------------------------- rounds */

static void send(struct housekeeper *hk, const char *file, pg_on_result *on_result)
{
    pg_session_send_once(hk->session, file, &hk->params, on_result, hk);
    pg_params_clear(&hk->params);
}

/* Ends the round that was sent and enters the phase in which its results come. */
static void enter(struct housekeeper *hk, enum housekeeper_phase phase)
{
    hk->found = false;
    pg_session_sync(hk->session);
    hk->phase = phase;
}

void round_look(struct housekeeper *hk)
{
    hk->asked_ms = hk->now_ms;
    send(hk, "housekeeper_ledger.sql", on_ledger);
    enter(hk, LOOKING);
}

void round_take_changes(struct housekeeper *hk)
{
    send(hk, "housekeeper_begin.sql", NULL);
    pg_put_int8(&hk->params, CHANGES_MAX);
    send(hk, "housekeeper_changes_take.sql", on_changes);
    enter(hk, TAKING_CHANGES);
}

void round_delete_changes(struct housekeeper *hk)
{
    pg_array_begin(&hk->params, PG_INT8);
    for (size_t i = 0; i < hk->change_count; i++)
        pg_array_int8(&hk->params, hk->changes[i].id);
    pg_array_end(&hk->params);
    send(hk, "housekeeper_changes_delete.sql", NULL);
    send(hk, "housekeeper_commit.sql", NULL);
    enter(hk, DELETING_CHANGES);
}

void round_take_submits(struct housekeeper *hk)
{
    pg_put_int8(&hk->params, SUBMITS_MAX);
    send(hk, "housekeeper_submits_take.sql", on_submits);
    enter(hk, TAKING_SUBMITS);
}

void round_finish_submits(struct housekeeper *hk)
{
    pg_array_begin(&hk->params, PG_UUID);
    for (size_t i = 0; i < hk->submit_count; i++)
        pg_array_uuid(&hk->params, &hk->submits[i].attempt_id);
    pg_array_end(&hk->params);
    pg_array_begin(&hk->params, PG_BYTEA);
    for (size_t i = 0; i < hk->submit_count; i++)
        pg_array_bytea(&hk->params,
                       (struct bytes){ (const char *)hk->submits[i].digest, HASH_256_BYTES });
    pg_array_end(&hk->params);
    pg_array_begin(&hk->params, PG_TEXT);
    for (size_t i = 0; i < hk->submit_count; i++) {
        const char *receipt = hk->submits[i].receipt;
        pg_array_text(&hk->params, receipt[0] ? bytes_of(receipt) : BYTES_NONE);
    }
    pg_array_end(&hk->params);
    send(hk, "housekeeper_submits_finish.sql", NULL);
    send(hk, "housekeeper_commit.sql", NULL);
    enter(hk, FINISHING_SUBMITS);
}

void round_close_news(struct housekeeper *hk)
{
    send(hk, "housekeeper_commit.sql", NULL);
    enter(hk, CLOSING_NEWS);
}

/* Also ends the transaction of the news, if there was one. */
void round_find_view(struct housekeeper *hk)
{
    if (hk->options.jobs == HOUSEKEEPER_ALL)
        send(hk, "housekeeper_commit.sql", NULL);
    send(hk, "housekeeper_activity_take.sql", NULL);
    send(hk, "housekeeper_view_unpublished.sql", on_unpublished);
    enter(hk, FINDING_VIEW);
}

void round_take_view(struct housekeeper *hk)
{
    send(hk, "housekeeper_begin.sql", NULL);
    send(hk, "housekeeper_view_take.sql", on_view_taken);
    enter(hk, TAKING_VIEW);
}

void round_refresh_view(struct housekeeper *hk)
{
    send(hk, "housekeeper_savepoint.sql", NULL);
    pg_put_text(&hk->params, round_name(hk));
    send(hk, "housekeeper_view_refresh.sql", NULL);
    send(hk, "housekeeper_release.sql", NULL);
    pg_put_text(&hk->params, round_name(hk));
    pg_put_int8(&hk->params, hk->position);
    pg_put_int8(&hk->params, hk->taken);
    pg_put_int8(&hk->params, hk->requests);
    send(hk, "housekeeper_view_record.sql", on_recorded);
    send(hk, "housekeeper_commit.sql", NULL);
    enter(hk, REFRESHING_VIEW);
}

void round_record_failure(struct housekeeper *hk, const struct err *cause)
{
    send(hk, "housekeeper_rollback_to.sql", NULL);
    pg_put_text(&hk->params, round_name(hk));
    pg_put_text(&hk->params, bytes_of(cause->text));
    send(hk, "housekeeper_view_failed.sql", NULL);
    send(hk, "housekeeper_commit.sql", NULL);
    enter(hk, RECORDING_FAILURE);
}

void round_mark_view(struct housekeeper *hk)
{
    pg_put_text(&hk->params, round_name(hk));
    pg_put_int8(&hk->params, hk->refreshes);
    send(hk, "housekeeper_view_published.sql", NULL);
    enter(hk, MARKING_VIEW);
}

void round_close_views(struct housekeeper *hk)
{
    send(hk, "housekeeper_commit.sql", NULL);
    enter(hk, CLOSING_VIEWS);
}

void round_weigh(struct housekeeper *hk)
{
    send(hk, "housekeeper_balance.sql", on_balance);
    enter(hk, WEIGHING);
}

/* Each statement is a transaction of its own. */
void round_make_partition(struct housekeeper *hk)
{
    pg_put_int4(&hk->params, hk->options.months_ahead);
    pg_put_int4(&hk->params, hk->options.months_kept);
    send(hk, "housekeeper_partition_make.sql", on_partition);
    enter(hk, MAKING_PARTITION);
}

void round_drop_partition(struct housekeeper *hk)
{
    pg_put_int4(&hk->params, hk->options.months_kept);
    send(hk, "housekeeper_partition_drop.sql", on_partition);
    enter(hk, DROPPING_PARTITION);
}

void round_expire_activity(struct housekeeper *hk)
{
    pg_put_int4(&hk->params, hk->options.months_kept);
    pg_put_int4(&hk->params, EXPIRE_MAX);
    send(hk, "housekeeper_activity_expire.sql", on_expired);
    enter(hk, EXPIRING_ACTIVITY);
}

void round_undo(struct housekeeper *hk)
{
    send(hk, "housekeeper_rollback.sql", NULL);
    enter(hk, UNDOING);
}
