#include "worker/postgres/housekeeper.h"

#include "common/backoff.h"

#include <stdio.h>
#include <stdlib.h>

#define CHANGES_MAX           500
#define INTERVAL_MS           1000
#define CONFIRM_TIMEOUT_MS    30000
#define MONTHS_AHEAD          2
#define PARTITION_INTERVAL_MS (INT64_C(60) * 60 * 1000)
#define PARTITION_RETRY_MS    5000
#define BACKOFF_BASE_MS       500
#define BACKOFF_CAP_MS        60000
#define WAIT_MS_MAX           60000
#define NAME_BYTES            64

/* Each is a round on the session, but for the two that wait for the publisher and for resting. */
enum phase {
    RESTING,             /* until rest_until_ms */
    CONNECTING,          /* → TAKING_CHANGES */
    TAKING_CHANGES,      /* → PUBLISHING_CHANGES, or without any FINDING_VIEW */
    PUBLISHING_CHANGES,  /* → DELETING_CHANGES, or too late UNDOING */
    DELETING_CHANGES,    /* → TAKING_CHANGES */
    FINDING_VIEW,        /* refreshed, not published → PUBLISHING_VIEW, or TAKING_VIEW */
    TAKING_VIEW,         /* due → REFRESHING_VIEW, or without any CLOSING_VIEWS */
    REFRESHING_VIEW,     /* → PUBLISHING_VIEW, or failed RECORDING_FAILURE */
    RECORDING_FAILURE,   /* → TAKING_VIEW */
    PUBLISHING_VIEW,     /* → MARKING_VIEW, or too late RESTING */
    MARKING_VIEW,        /* → FINDING_VIEW */
    CLOSING_VIEWS,       /* → MAKING_PARTITION, or RESTING */
    MAKING_PARTITION,    /* → the same as long as one was made, DROPPING_PARTITIONS */
    DROPPING_PARTITIONS, /* → RESTING */
    UNDOING              /* → RESTING */
};

struct housekeeper {
    struct housekeeper_options options;
    struct pg_session *session;
    struct pg_params params;
    struct backoff backoff;
    struct rng rng;
    enum phase phase;
    int64_t now_ms; /* of this step */
    int64_t rest_until_ms;
    int64_t partitions_at_ms; /* when to look after the partitions next */

    uint64_t news_number; /* of the last news */
    bool confirmed;       /* that news has arrived */
    int64_t confirm_until_ms;

    struct foreign_change changes[CHANGES_MAX];
    size_t change_count;

    bool found; /* the round found a view or made a partition: */
    char name[NAME_BYTES];
    int64_t position, taken, requests; /* of the view that is taken */
    int64_t refreshes, finished_at_us, duration_ms;
    int64_t dropped;
};

/* ------------------------------------------------------------------------------------ notes */

static void tell(const struct housekeeper *hk, struct housekeeper_note note)
{
    if (hk->options.note)
        hk->options.note(hk->options.self, &note);
}

static struct bytes name_of(const struct housekeeper *hk)
{
    return bytes_of(hk->name);
}

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

static bool on_partition(void *self, const struct pg_result *result, struct err *err)
{
    (void)err;
    if (pg_row_count(result) > 0 && !pg_is_null(result, 0, 0))
        keep_name(self, result);
    return true;
}

static bool on_dropped(void *self, const struct pg_result *result, struct err *err)
{
    struct housekeeper *hk = self;
    (void)err;
    hk->dropped = pg_row_count(result) > 0 ? pg_get_int8(result, 0, 0) : 0;
    return true;
}

/* ----------------------------------------------------------------------------------- rounds */

static void send(struct housekeeper *hk, const char *file, pg_on_result *on_result)
{
    pg_session_send_once(hk->session, file, &hk->params, on_result, hk);
    pg_params_clear(&hk->params);
}

/* Ends the round that was sent and enters the phase in which its results come. */
static void enter(struct housekeeper *hk, enum phase phase)
{
    hk->found = false;
    pg_session_sync(hk->session);
    hk->phase = phase;
}

static void rest(struct housekeeper *hk, int64_t delay_ms)
{
    hk->phase = RESTING;
    hk->rest_until_ms = hk->now_ms + delay_ms;
}

static void take_changes(struct housekeeper *hk)
{
    send(hk, "housekeeper_begin.sql", NULL);
    pg_put_int8(&hk->params, CHANGES_MAX);
    send(hk, "housekeeper_changes_take.sql", on_changes);
    enter(hk, TAKING_CHANGES);
}

static void delete_changes(struct housekeeper *hk)
{
    pg_array_begin(&hk->params, PG_INT8);
    for (size_t i = 0; i < hk->change_count; i++)
        pg_array_int8(&hk->params, hk->changes[i].id);
    pg_array_end(&hk->params);
    send(hk, "housekeeper_changes_delete.sql", NULL);
    send(hk, "housekeeper_commit.sql", NULL);
    enter(hk, DELETING_CHANGES);
}

static void find_view(struct housekeeper *hk)
{
    send(hk, "housekeeper_view_unpublished.sql", on_unpublished);
    enter(hk, FINDING_VIEW);
}

static void take_view(struct housekeeper *hk)
{
    send(hk, "housekeeper_begin.sql", NULL);
    send(hk, "housekeeper_view_take.sql", on_view_taken);
    enter(hk, TAKING_VIEW);
}

static void refresh_view(struct housekeeper *hk)
{
    send(hk, "housekeeper_savepoint.sql", NULL);
    pg_put_text(&hk->params, name_of(hk));
    send(hk, "housekeeper_view_refresh.sql", NULL);
    send(hk, "housekeeper_release.sql", NULL);
    pg_put_text(&hk->params, name_of(hk));
    pg_put_int8(&hk->params, hk->position);
    pg_put_int8(&hk->params, hk->taken);
    pg_put_int8(&hk->params, hk->requests);
    send(hk, "housekeeper_view_record.sql", on_recorded);
    send(hk, "housekeeper_commit.sql", NULL);
    enter(hk, REFRESHING_VIEW);
}

static void record_failure(struct housekeeper *hk, const struct err *cause)
{
    send(hk, "housekeeper_rollback_to.sql", NULL);
    pg_put_text(&hk->params, name_of(hk));
    pg_put_text(&hk->params, bytes_of(cause->text));
    send(hk, "housekeeper_view_failed.sql", NULL);
    send(hk, "housekeeper_commit.sql", NULL);
    enter(hk, RECORDING_FAILURE);
}

static void mark_view(struct housekeeper *hk)
{
    pg_put_text(&hk->params, name_of(hk));
    pg_put_int8(&hk->params, hk->refreshes);
    send(hk, "housekeeper_view_published.sql", NULL);
    enter(hk, MARKING_VIEW);
}

static void make_partition(struct housekeeper *hk)
{
    send(hk, "housekeeper_begin.sql", NULL);
    send(hk, "housekeeper_lock_timeout.sql", NULL);
    pg_put_int4(&hk->params, hk->options.months_ahead);
    send(hk, "housekeeper_partition_make.sql", on_partition);
    send(hk, "housekeeper_commit.sql", NULL);
    enter(hk, MAKING_PARTITION);
}

static void drop_partitions(struct housekeeper *hk)
{
    send(hk, "housekeeper_begin.sql", NULL);
    send(hk, "housekeeper_lock_timeout.sql", NULL);
    pg_put_int4(&hk->params, hk->options.months_kept);
    send(hk, "housekeeper_partition_drop.sql", on_dropped);
    send(hk, "housekeeper_commit.sql", NULL);
    enter(hk, DROPPING_PARTITIONS);
}

static void undo(struct housekeeper *hk)
{
    send(hk, "housekeeper_rollback.sql", NULL);
    enter(hk, UNDOING);
}

/* ------------------------------------------------------------------------------- publishing */

static bool publish(struct housekeeper *hk, struct housekeeper_news news, enum phase phase)
{
    news.number = ++hk->news_number;
    hk->confirmed = false;
    if (!hk->options.publish(hk->options.self, &news))
        return false;
    hk->confirm_until_ms = hk->now_ms + hk->options.confirm_timeout_ms;
    hk->phase = phase;
    return true;
}

static void publish_changes(struct housekeeper *hk)
{
    struct housekeeper_news news = { .changes = hk->changes, .change_count = hk->change_count };
    if (!publish(hk, news, PUBLISHING_CHANGES))
        undo(hk);
}

static void publish_view(struct housekeeper *hk)
{
    struct refreshed_view view = { name_of(hk), hk->refreshes, hk->finished_at_us };
    if (!publish(hk, (struct housekeeper_news){ .view = &view }, PUBLISHING_VIEW))
        rest(hk, hk->options.interval_ms);
}

/* False: still waiting. */
static bool step_publishing(struct housekeeper *hk)
{
    bool changes = hk->phase == PUBLISHING_CHANGES;
    if (hk->confirmed && changes) {
        delete_changes(hk);
    } else if (hk->confirmed) {
        mark_view(hk);
    } else if (hk->now_ms < hk->confirm_until_ms) {
        return false;
    } else {
        tell(hk, (struct housekeeper_note){ .kind = HOUSEKEEPER_UNCONFIRMED });
        hk->news_number++; /* its confirmation comes too late from now on */
        if (changes)
            undo(hk);
        else
            rest(hk, hk->options.interval_ms);
    }
    return true;
}

/* -------------------------------------------------------------------------------- the steps */

static void after_views(struct housekeeper *hk)
{
    if (hk->now_ms >= hk->partitions_at_ms)
        make_partition(hk);
    else
        rest(hk, hk->options.interval_ms);
}

static void on_partitions_done(struct housekeeper *hk)
{
    hk->partitions_at_ms = hk->now_ms + PARTITION_INTERVAL_MS;
    rest(hk, hk->options.interval_ms);
}

/* The round of this phase has ended well. */
static void on_done(struct housekeeper *hk)
{
    switch (hk->phase) {
    case CONNECTING:
        take_changes(hk);
        break;
    case TAKING_CHANGES:
        if (hk->change_count > 0) {
            publish_changes(hk);
        } else {
            send(hk, "housekeeper_commit.sql", NULL);
            find_view(hk);
        }
        break;
    case DELETING_CHANGES:
        tell(hk, (struct housekeeper_note){ .kind = HOUSEKEEPER_CHANGES,
                                            .number = (int64_t)hk->change_count });
        take_changes(hk);
        break;
    case FINDING_VIEW:
        if (hk->found)
            publish_view(hk);
        else
            take_view(hk);
        break;
    case TAKING_VIEW:
        if (hk->found) {
            refresh_view(hk);
        } else {
            send(hk, "housekeeper_commit.sql", NULL);
            enter(hk, CLOSING_VIEWS);
        }
        break;
    case CLOSING_VIEWS:
        backoff_reset(&hk->backoff);
        after_views(hk);
        break;
    case REFRESHING_VIEW:
        tell(hk, (struct housekeeper_note){ .kind = HOUSEKEEPER_REFRESHED,
                                            .name = name_of(hk),
                                            .number = hk->refreshes,
                                            .duration_ms = hk->duration_ms });
        publish_view(hk);
        break;
    case RECORDING_FAILURE:
        take_view(hk);
        break;
    case MARKING_VIEW:
        find_view(hk);
        break;
    case MAKING_PARTITION:
        if (hk->found) {
            tell(hk,
                 (struct housekeeper_note){ .kind = HOUSEKEEPER_PARTITION, .name = name_of(hk) });
            make_partition(hk);
        } else if (hk->options.months_kept > 0) {
            drop_partitions(hk);
        } else {
            on_partitions_done(hk);
        }
        break;
    case DROPPING_PARTITIONS:
        if (hk->dropped > 0)
            tell(hk,
                 (struct housekeeper_note){ .kind = HOUSEKEEPER_DROPPED, .number = hk->dropped });
        on_partitions_done(hk);
        break;
    case UNDOING:
        rest(hk, hk->rest_until_ms > hk->now_ms ? hk->rest_until_ms - hk->now_ms
                                                : hk->options.interval_ms);
        break;
    case RESTING:
    case PUBLISHING_CHANGES:
    case PUBLISHING_VIEW:
        break;
    }
}

/* What the session cannot do on must be made anew; else the transaction is rolled back. */
static void give_up_round(struct housekeeper *hk, int64_t delay_ms)
{
    rest(hk, delay_ms);
    if (pg_session_connected(hk->session))
        undo(hk);
}

static void on_failed(struct housekeeper *hk, const struct err *err)
{
    bool connected = pg_session_connected(hk->session);
    bool partitions = hk->phase == MAKING_PARTITION || hk->phase == DROPPING_PARTITIONS;
    if (connected && hk->phase == REFRESHING_VIEW) {
        tell(hk, (struct housekeeper_note){
                     .kind = HOUSEKEEPER_REFRESH_FAILED, .name = name_of(hk), .err = err });
        record_failure(hk, err);
        return;
    }
    int64_t delay_ms = backoff_next_ms(&hk->backoff, &hk->rng);
    if (connected && hk->phase == UNDOING) {
        pg_session_abandon(hk->session);
    } else if (connected && partitions) {
        /* Writers come first: that the lock was not to be had is no news. */
        bool locked = strcmp(err->code, "55P03") == 0;
        int64_t retry_ms = locked ? PARTITION_RETRY_MS : PARTITION_INTERVAL_MS / 6;
        hk->partitions_at_ms = hk->now_ms + retry_ms;
        if (!locked)
            tell(hk, (struct housekeeper_note){
                         .kind = HOUSEKEEPER_TROUBLE, .err = err, .number = retry_ms });
        give_up_round(hk, hk->options.interval_ms);
        return;
    }
    tell(hk,
         (struct housekeeper_note){ .kind = HOUSEKEEPER_TROUBLE, .err = err, .number = delay_ms });
    give_up_round(hk, delay_ms);
}

static void start_cycle(struct housekeeper *hk)
{
    if (pg_session_connected(hk->session)) {
        take_changes(hk);
    } else {
        pg_session_connect(hk->session);
        hk->phase = CONNECTING;
    }
}

int64_t housekeeper_step(struct housekeeper *hk, int64_t now_ms)
{
    hk->now_ms = now_ms;
    for (;;) {
        struct err err = { 0 };
        if (hk->phase == RESTING) {
            if (now_ms < hk->rest_until_ms)
                return hk->rest_until_ms - now_ms;
            start_cycle(hk);
        } else if (hk->phase == PUBLISHING_CHANGES || hk->phase == PUBLISHING_VIEW) {
            if (!step_publishing(hk))
                return hk->confirm_until_ms - now_ms;
        } else {
            switch (pg_session_step(hk->session, &err)) {
            case PG_BUSY: {
                int64_t wait_ms = pg_session_wait_ms(hk->session);
                return wait_ms < 0 || wait_ms > WAIT_MS_MAX ? WAIT_MS_MAX : wait_ms;
            }
            case PG_DONE:
                on_done(hk);
                break;
            case PG_FAILED:
                on_failed(hk, &err);
                break;
            }
        }
    }
}

/* ------------------------------------------------------------------------------------- life */

struct pg_session_options housekeeper_session_options(void)
{
    struct pg_session_options options = pg_session_options_default();
    options.application_name = "attemptd housekeeper";
    options.statement_timeout_ms = 30 * 60 * 1000;
    options.lock_timeout_ms = 2000;
    options.idle_in_transaction_ms = 2 * CONFIRM_TIMEOUT_MS;
    return options;
}

struct housekeeper *housekeeper_new(const struct housekeeper_options *options)
{
    struct housekeeper *hk = calloc(1, sizeof *hk);
    if (!hk)
        return NULL;
    hk->options = *options;
    if (hk->options.interval_ms <= 0)
        hk->options.interval_ms = INTERVAL_MS;
    if (hk->options.confirm_timeout_ms <= 0)
        hk->options.confirm_timeout_ms = CONFIRM_TIMEOUT_MS;
    if (hk->options.months_ahead <= 0)
        hk->options.months_ahead = MONTHS_AHEAD;
    hk->backoff = (struct backoff){ .base_ms = BACKOFF_BASE_MS, .cap_ms = BACKOFF_CAP_MS };
    hk->rng = (struct rng){ options->seed };
    hk->rest_until_ms = INT64_MIN;
    hk->partitions_at_ms = INT64_MIN;
    pg_params_init(&hk->params);
    hk->session = pg_session_new(&hk->options.session);
    if (!hk->session) {
        housekeeper_free(hk);
        return NULL;
    }
    return hk;
}

void housekeeper_free(struct housekeeper *hk)
{
    if (!hk)
        return;
    pg_session_free(hk->session);
    pg_params_release(&hk->params);
    free(hk);
}

void housekeeper_confirmed(struct housekeeper *hk, uint64_t number)
{
    if (number == hk->news_number)
        hk->confirmed = true;
}

void housekeeper_wake(struct housekeeper *hk)
{
    if (hk->phase == RESTING && pg_session_connected(hk->session))
        hk->rest_until_ms = INT64_MIN;
}

bool housekeeper_is_idle(const struct housekeeper *hk)
{
    return hk->phase == RESTING || hk->phase == CONNECTING;
}

/* Nobody reads the session while it rests: what the server says then is found in the next round. */
static bool session_works(const struct housekeeper *hk)
{
    return hk->phase != RESTING && hk->phase != PUBLISHING_CHANGES && hk->phase != PUBLISHING_VIEW;
}

int housekeeper_fd(const struct housekeeper *hk)
{
    return session_works(hk) ? pg_session_fd(hk->session) : -1;
}

short housekeeper_events(const struct housekeeper *hk)
{
    return session_works(hk) ? pg_session_events(hk->session) : 0;
}
