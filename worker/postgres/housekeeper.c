#include "worker/postgres/housekeeper.h"

#include "worker/postgres/housekeeper_rounds.h"

#include <stdlib.h>

#define INTERVAL_MS           1000
#define CONFIRM_TIMEOUT_MS    30000
#define MONTHS_AHEAD          2
#define BALANCE_INTERVAL_MS   30000
#define LOOK_INTERVAL_MS      5000
#define BALANCE_PAUSE         50 /* so many times as long as it took */
#define PARTITION_INTERVAL_MS (INT64_C(60) * 60 * 1000)
#define PARTITION_RETRY_MS    1000
#define BACKOFF_BASE_MS       500
#define BACKOFF_CAP_MS        60000
#define WAIT_MS_MAX           60000

static void rest(struct housekeeper *hk, int64_t delay_ms)
{
    hk->phase = RESTING;
    hk->rest_until_ms = hk->now_ms + delay_ms;
}

/* ------------------------------------------------------------------------------------ notes */

static void tell(const struct housekeeper *hk, struct housekeeper_note note)
{
    if (hk->options.note)
        hk->options.note(hk->options.self, &note);
}

static struct bytes job_name(const struct housekeeper *hk)
{
    return hk->options.jobs == HOUSEKEEPER_NEWS ? BYTES("news") : BYTES("views");
}

static void tell_trouble(struct housekeeper *hk, const struct err *err, int64_t delay_ms)
{
    hk->troubled = true;
    tell(hk,
         (struct housekeeper_note){
             .kind = HOUSEKEEPER_TROUBLE, .name = job_name(hk), .err = err, .number = delay_ms });
}

static void all_well(struct housekeeper *hk)
{
    backoff_reset(&hk->backoff);
    if (hk->troubled)
        tell(hk, (struct housekeeper_note){ .kind = HOUSEKEEPER_WELL, .name = job_name(hk) });
    hk->troubled = false;
}

/* ------------------------------------------------------------------------------- publishing */

static bool publish(struct housekeeper *hk, struct housekeeper_news news,
                    enum housekeeper_phase phase)
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
        round_undo(hk);
}

static void publish_submits(struct housekeeper *hk)
{
    struct housekeeper_news news = { .submits = hk->submits, .submit_count = hk->submit_count };
    if (!publish(hk, news, PUBLISHING_SUBMITS))
        round_undo(hk);
}

static void publish_view(struct housekeeper *hk)
{
    struct refreshed_view view = { round_name(hk), hk->refreshes, hk->finished_at_us };
    if (!publish(hk, (struct housekeeper_news){ .view = &view }, PUBLISHING_VIEW))
        rest(hk, hk->options.interval_ms);
}

static bool is_publishing(const struct housekeeper *hk)
{
    return hk->phase == PUBLISHING_CHANGES || hk->phase == PUBLISHING_SUBMITS ||
           hk->phase == PUBLISHING_VIEW;
}

/* False: still waiting. */
static bool step_publishing(struct housekeeper *hk)
{
    bool holds_rows = hk->phase != PUBLISHING_VIEW;
    if (hk->confirmed && hk->phase == PUBLISHING_CHANGES) {
        round_delete_changes(hk);
    } else if (hk->confirmed && hk->phase == PUBLISHING_SUBMITS) {
        round_finish_submits(hk);
    } else if (hk->confirmed) {
        round_mark_view(hk);
    } else if (hk->now_ms < hk->confirm_until_ms) {
        return false;
    } else {
        tell(hk, (struct housekeeper_note){ .kind = HOUSEKEEPER_UNCONFIRMED });
        hk->news_number++; /* its confirmation comes too late from now on */
        if (holds_rows)
            round_undo(hk);
        else
            rest(hk, hk->options.interval_ms);
    }
    return true;
}

/* -------------------------------------------------------------------------------- the steps */

static void after_balance(struct housekeeper *hk)
{
    if (hk->now_ms >= hk->partitions_at_ms)
        round_make_partition(hk);
    else
        rest(hk, hk->options.interval_ms);
}

static void after_views(struct housekeeper *hk)
{
    if (hk->now_ms < hk->balance_at_ms) {
        after_balance(hk);
        return;
    }
    hk->balance_at_ms = hk->now_ms;
    round_weigh(hk);
}

/* It counts all that was rejected or is dead: the more there is, the more seldom. */
static void on_weighed(struct housekeeper *hk)
{
    int64_t pause_ms = (hk->now_ms - hk->balance_at_ms) * BALANCE_PAUSE;
    if (pause_ms < hk->options.balance_interval_ms)
        pause_ms = hk->options.balance_interval_ms;
    hk->balance_at_ms = hk->now_ms + pause_ms;
    after_balance(hk);
}

/* A step at a time, so that views are not late because much has to be sorted out. */
static void rest_from_partitions(struct housekeeper *hk, int64_t delay_ms)
{
    hk->partitions_at_ms = hk->now_ms + delay_ms;
    rest(hk, delay_ms == 0 ? 0 : hk->options.interval_ms);
}

static void on_partition_step(struct housekeeper *hk)
{
    if (hk->found && strcmp(hk->name, "busy") == 0) {
        rest_from_partitions(hk, PARTITION_RETRY_MS);
    } else if (hk->found) {
        if (strcmp(hk->name, "moving") != 0)
            tell(hk, (struct housekeeper_note){ .kind = HOUSEKEEPER_PARTITION,
                                                .name = round_name(hk) });
        rest_from_partitions(hk, 0);
    } else if (hk->options.months_kept > 0) {
        round_drop_partition(hk);
    } else {
        rest_from_partitions(hk, PARTITION_INTERVAL_MS);
    }
}

static void start_round(struct housekeeper *hk)
{
    if (hk->options.jobs == HOUSEKEEPER_VIEWS)
        round_find_view(hk);
    else
        round_take_changes(hk);
}

/* Before all that may take long: it finds out that the database was put back. */
static void look_or_start_round(struct housekeeper *hk)
{
    if (hk->options.jobs != HOUSEKEEPER_VIEWS && hk->now_ms >= hk->look_at_ms)
        round_look(hk);
    else
        start_round(hk);
}

/* The round of this phase has ended well. */
static void on_done(struct housekeeper *hk)
{
    switch (hk->phase) {
    case CONNECTING:
        hk->look_at_ms = hk->now_ms; /* behind a new session there may be another server */
        look_or_start_round(hk);
        break;
    case LOOKING:
        tell(hk, (struct housekeeper_note){ .kind = HOUSEKEEPER_LOOKED, .asked_ms = hk->asked_ms });
        hk->look_at_ms = hk->now_ms + hk->options.ledger_interval_ms;
        start_round(hk);
        break;
    case TAKING_CHANGES:
        if (hk->change_count > 0) {
            publish_changes(hk);
        } else {
            round_take_submits(hk);
        }
        break;
    case TAKING_SUBMITS:
        if (hk->submit_count > 0)
            publish_submits(hk);
        else if (hk->options.jobs == HOUSEKEEPER_NEWS)
            round_close_news(hk);
        else
            round_find_view(hk);
        break;
    case FINISHING_SUBMITS:
        tell(hk, (struct housekeeper_note){ .kind = HOUSEKEEPER_SUBMITS,
                                            .number = (int64_t)hk->submit_count });
        round_take_changes(hk);
        break;
    case CLOSING_NEWS:
        all_well(hk);
        rest(hk, hk->options.interval_ms);
        break;
    case DELETING_CHANGES:
        tell(hk, (struct housekeeper_note){ .kind = HOUSEKEEPER_CHANGES,
                                            .number = (int64_t)hk->change_count });
        round_take_changes(hk);
        break;
    case FINDING_VIEW:
        if (hk->found)
            publish_view(hk);
        else
            round_take_view(hk);
        break;
    case TAKING_VIEW:
        if (hk->found) {
            round_refresh_view(hk);
        } else {
            round_close_views(hk);
        }
        break;
    case CLOSING_VIEWS:
        all_well(hk);
        after_views(hk);
        break;
    case WEIGHING:
        on_weighed(hk);
        break;
    case REFRESHING_VIEW:
        tell(hk, (struct housekeeper_note){ .kind = HOUSEKEEPER_REFRESHED,
                                            .name = round_name(hk),
                                            .number = hk->refreshes,
                                            .duration_ms = hk->duration_ms });
        publish_view(hk);
        break;
    case RECORDING_FAILURE:
        round_take_view(hk);
        break;
    case MARKING_VIEW:
        start_round(hk);
        break;
    case MAKING_PARTITION:
        on_partition_step(hk);
        break;
    case DROPPING_PARTITION:
        if (hk->found) {
            tell(hk,
                 (struct housekeeper_note){ .kind = HOUSEKEEPER_DROPPED, .name = round_name(hk) });
            rest_from_partitions(hk, 0);
        } else {
            round_expire_activity(hk);
        }
        break;
    case EXPIRING_ACTIVITY:
        rest_from_partitions(hk, hk->expired == EXPIRE_MAX ? 0 : PARTITION_INTERVAL_MS);
        break;
    case UNDOING:
        rest(hk, hk->rest_until_ms > hk->now_ms ? hk->rest_until_ms - hk->now_ms
                                                : hk->options.interval_ms);
        break;
    case RESTING:
    case PUBLISHING_CHANGES:
    case PUBLISHING_SUBMITS:
    case PUBLISHING_VIEW:
        break;
    }
}

/* What the session cannot do on must be made anew; else the transaction is rolled back. */
static void give_up_round(struct housekeeper *hk, int64_t delay_ms)
{
    rest(hk, delay_ms);
    if (pg_session_connected(hk->session))
        round_undo(hk);
}

static void on_failed(struct housekeeper *hk, const struct err *err)
{
    bool connected = pg_session_connected(hk->session);
    bool weighing = hk->phase == WEIGHING;
    if (weighing) /* the partitions have their turn in the next cycle */
        hk->balance_at_ms = hk->now_ms + hk->options.balance_interval_ms;
    bool partitions = hk->phase == MAKING_PARTITION || hk->phase == DROPPING_PARTITION ||
                      hk->phase == EXPIRING_ACTIVITY;
    if (connected && hk->phase == REFRESHING_VIEW) {
        tell(hk, (struct housekeeper_note){
                     .kind = HOUSEKEEPER_REFRESH_FAILED, .name = round_name(hk), .err = err });
        round_record_failure(hk, err);
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
            tell(hk, (struct housekeeper_note){ .kind = HOUSEKEEPER_TROUBLE,
                                                .name = BYTES("partitions"),
                                                .err = err,
                                                .number = retry_ms });
        give_up_round(hk, hk->options.interval_ms);
        return;
    }
    if (connected && weighing)
        tell(hk, (struct housekeeper_note){ .kind = HOUSEKEEPER_TROUBLE,
                                            .name = BYTES("balance"),
                                            .err = err,
                                            .number = hk->options.balance_interval_ms });
    else
        tell_trouble(hk, err, delay_ms);
    give_up_round(hk, delay_ms);
}

static void start_cycle(struct housekeeper *hk)
{
    if (pg_session_connected(hk->session)) {
        look_or_start_round(hk);
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
        } else if (is_publishing(hk)) {
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
    if (hk->options.balance_interval_ms <= 0)
        hk->options.balance_interval_ms = BALANCE_INTERVAL_MS;
    if (hk->options.ledger_interval_ms <= 0)
        hk->options.ledger_interval_ms = LOOK_INTERVAL_MS;
    if (hk->options.months_ahead <= 0)
        hk->options.months_ahead = MONTHS_AHEAD;
    hk->backoff = (struct backoff){ .base_ms = BACKOFF_BASE_MS, .cap_ms = BACKOFF_CAP_MS };
    hk->rng = (struct rng){ options->seed };
    hk->rest_until_ms = INT64_MIN;
    hk->partitions_at_ms = INT64_MIN;
    hk->balance_at_ms = INT64_MIN;
    pg_params_init(&hk->params);
    arena_init(&hk->scratch, DIGEST_BLOCK_SIZE, DIGEST_BYTES_MAX);
    buf_init(&hk->room, DIGEST_BYTES_MAX);
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
    arena_release(&hk->scratch);
    buf_release(&hk->room);
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

const struct pg_session *housekeeper_session(const struct housekeeper *hk)
{
    return hk->session;
}

/* Nobody reads the session while it rests: what the server says then is found in the next round. */
static bool session_works(const struct housekeeper *hk)
{
    return hk->phase != RESTING && !is_publishing(hk);
}

int housekeeper_fd(const struct housekeeper *hk)
{
    return session_works(hk) ? pg_session_fd(hk->session) : -1;
}

short housekeeper_events(const struct housekeeper *hk)
{
    return session_works(hk) ? pg_session_events(hk->session) : 0;
}
