#include "tests/sim/sim_source.h"

#include <string.h>

void sim_source_init(struct sim_source *source, struct sim *sim, struct sim_log *log,
                     struct sim_db *db)
{
    *source = (struct sim_source){ .sim = sim, .log = log, .db = db };
}

void sim_source_add_news(struct sim_source *source, struct sim_news news)
{
    /* In the order of the telling; a member that is deaf for long forgets the oldest. */
    if (source->news_count == SOURCE_NEWS) {
        memmove(source->news, source->news + 1, (SOURCE_NEWS - 1) * sizeof source->news[0]);
        source->news_count--;
    }
    if (source->news_count > 0 && source->news[source->news_count - 1].at_ms > news.at_ms)
        news.at_ms = source->news[source->news_count - 1].at_ms;
    source->news[source->news_count++] = news;
}

void sim_source_assign_news(struct sim_source *source, unsigned tps, int64_t delay_ms)
{
    int64_t at = source->sim->now_ms + delay_ms;
    sim_source_add_news(source, (struct sim_news){ .kind = SOURCE_REVOKED, .at_ms = at, .tp = -1 });
    sim_source_add_news(
        source, (struct sim_news){ .kind = SOURCE_ASSIGNED, .at_ms = at, .tps = tps, .tp = -1 });
}

/* --------------------------------------------------------------------------------------- news */

/* A new assignment is claimed from nothing but what the group and the ledger know. */
static void forget(struct sim_source *source)
{
    for (int i = 0; i < SIM_TPS; i++)
        if (source->log->tps[i].remembered_by == source->owner)
            source->log->tps[i].remembered_by = 0;
}

static void give_assigned(struct sim_source *source, unsigned tps, struct source_event *ret)
{
    source->assigned = tps;
    source->reading = 0;
    ret->tp_count = 0;
    for (int i = 0; i < SIM_TPS; i++)
        if (tps & 1u << i)
            source->tps[ret->tp_count++] = sim_tp(i);
    ret->tps = source->tps;
}

static void give_survey(struct sim_source *source, struct source_event *ret)
{
    source->surveying = false;
    if (source->survey_fails) {
        sim_cover(source->sim, COVER_SURVEY_FAILED);
        ret->kind = SOURCE_SURVEY_FAILED;
        err_set(&ret->err, ERR_RETRY, "_TIMED_OUT", "simulated");
        return;
    }
    ret->kind = SOURCE_SURVEYED;
    ret->fact_count = 0;
    for (int i = 0; i < SIM_TPS; i++) {
        if (!(source->surveyed & 1u << i))
            continue;
        const struct sim_partition *partition = &source->log->tps[i];
        source->facts[ret->fact_count++] =
            (struct log_facts){ .tp = sim_tp(i),
                                .low = partition->low,
                                .high = partition->high,
                                .has_committed = partition->has_committed,
                                .committed = partition->committed,
                                .witness = partition->witness };
    }
    ret->facts = source->facts;
}

static void source_next(void *self, struct source_event *ret)
{
    struct sim_source *source = self;
    *ret = (struct source_event){ .kind = SOURCE_NOTHING };
    source->on_call(source->worker);
    if (*source->crashed)
        return;
    if (source->surveying && source->survey_ms <= source->sim->now_ms) {
        give_survey(source, ret);
        return;
    }
    if (source->news_count == 0 || source->news[0].at_ms > source->sim->now_ms)
        return;
    struct sim_news news = source->news[0];
    memmove(source->news, source->news + 1,
            (size_t)(--source->news_count) * sizeof source->news[0]);
    ret->kind = news.kind;
    if (news.tp >= 0) {
        ret->has_tp = true;
        ret->tp = sim_tp(news.tp);
    }
    ret->offset = news.offset;
    if (news.kind == SOURCE_ASSIGNED || news.kind == SOURCE_REVOKED)
        forget(source);
    if (news.kind == SOURCE_ASSIGNED)
        give_assigned(source, news.tps, ret);
    if (news.kind == SOURCE_REVOKED)
        source->assigned = source->reading = 0;
    if (news.kind == SOURCE_TROUBLE || news.kind == SOURCE_STOPPED)
        err_set(&ret->err, news.kind == SOURCE_STOPPED ? ERR_HALT : ERR_RETRY,
                news.corrupt                  ? "corrupt"
                : news.kind == SOURCE_STOPPED ? "OFFSET_OUT_OF_RANGE"
                                              : "_ALL_BROKERS_DOWN",
                "simulated");
}

/* ------------------------------------------------------------------------------------ reading */

static enum read_result source_read(void *self, struct tp tp, struct record *ret_record,
                                    int64_t *ret_end)
{
    struct sim_source *source = self;
    source->on_call(source->worker);
    int i = sim_tp_index(tp);
    if (*source->crashed || !(source->reading & 1u << i) ||
        source->sim->now_ms < source->down_until)
        return READ_NOTHING;
    struct sim_partition *partition = &source->log->tps[i];
    int64_t *position = &source->position[i];
    if (*position < partition->low) {
        source->reading &= ~(1u << i);
        sim_source_add_news(source, (struct sim_news){ .kind = SOURCE_STOPPED,
                                                       .at_ms = source->sim->now_ms,
                                                       .tp = i,
                                                       .offset = *position });
        return READ_NOTHING;
    }
    int64_t readable = sim_log_readable(partition);
    while (*position < readable && !partition->records[*position].present)
        (*position)++;
    if (*position == readable && readable < partition->high) {
        sim_cover(source->sim, COVER_CORRUPT);
        source->reading &= ~(1u << i);
        sim_source_add_news(source, (struct sim_news){ .kind = SOURCE_STOPPED,
                                                       .at_ms = source->sim->now_ms,
                                                       .tp = i,
                                                       .offset = *position,
                                                       .corrupt = true });
        return READ_NOTHING;
    }
    if (*position < partition->high) {
        if (!(*source->group_assigned & 1u << i))
            sim_cover(source->sim, COVER_ZOMBIE_READ);
        source->ended[i] = false;
        *ret_record = partition->records[(*position)++].wire;
        return READ_RECORD;
    }
    if (source->ended[i] && source->end[i] == partition->high)
        return READ_NOTHING;
    source->ended[i] = true;
    source->end[i] = partition->high;
    *ret_end = partition->high;
    return READ_END;
}

static bool source_assign(void *self, const struct position *positions, size_t count,
                          struct err *err)
{
    struct sim_source *source = self;
    source->on_call(source->worker);
    if (*source->crashed)
        return err_set(err, ERR_LOST, "crashed", "simulated");
    if (sim_strikes(source->sim, 40)) {
        sim_cover(source->sim, COVER_ASSIGN_FAILED);
        return err_set(err, ERR_RETRY, "_STATE", "simulated");
    }
    source->reading = 0;
    for (size_t k = 0; k < count; k++) {
        int i = sim_tp_index(positions[k].tp);
        if (!(source->assigned & 1u << i)) {
            sim_violate(source->sim, "assign: tp %d is not part of the last assignment", i);
            continue;
        }
        const struct sim_partition *partition = &source->log->tps[i];
        source->ended[i] = false;
        source->position[i] = positions[k].offset;
        if (positions[k].offset < partition->low || positions[k].offset > partition->high) {
            sim_source_add_news(source, (struct sim_news){ .kind = SOURCE_STOPPED,
                                                           .at_ms = source->sim->now_ms,
                                                           .tp = i,
                                                           .offset = positions[k].offset });
            continue;
        }
        source->reading |= 1u << i;
    }
    return true;
}

static bool source_survey(void *self, const struct tp *tps, size_t count, struct err *err)
{
    struct sim_source *source = self;
    struct sim *sim = source->sim;
    source->on_call(source->worker);
    if (*source->crashed)
        return err_set(err, ERR_LOST, "crashed", "simulated");
    if (source->surveying)
        sim_violate(sim, "protocol: two surveys at a time");
    source->surveying = true;
    source->survey_ms = sim->now_ms + (sim_one_in(sim, 2) ? 0 : sim_below(sim, 30)) +
                        (sim_strikes(sim, 20) ? sim_below(sim, 5000) : 0);
    source->survey_fails = sim_strikes(sim, 12);
    source->surveyed = 0;
    for (size_t k = 0; k < count; k++)
        source->surveyed |= 1u << sim_tp_index(tps[k]);
    return true;
}

/* ----------------------------------------------------------------------------- group offsets */

static void check_refresh_offset(struct sim_source *source, int i, int64_t offset)
{
    for (int64_t at = 0; at < offset; at++) {
        const struct sim_record *record = sim_log_at(source->log, sim_tp(i), at);
        if (record == NULL)
            continue;
        bool done = record->meaning.poison
                        ? record->fate.letter
                        : source->db->view_requested[record->meaning.view] > record->appended_after;
        if (!done)
            sim_violate(source->sim,
                        "view.refresh/%d@%lld: group offset passes a request that was "
                        "not recorded",
                        i % SIM_PARTITIONS, (long long)at);
    }
}

/*
 * What is committed to the group has been seen in the ledger, unless that was put back since. Who
 * lived through that and does not yet know that another owns the partition may still tell of a
 * generation that is gone: its offset means nothing to those who come later.
 */
static void check_witness(struct sim_source *source, const struct group_offset *offset)
{
    int i = sim_tp_index(offset->tp);
    const struct db_progress *row = &source->db->progress[i];
    const struct sim_partition *partition = &source->log->tps[i];
    if (partition->put_back)
        return;
    const struct witness *witness = &offset->witness;
    if (offset->offset > row->next && witness->generation == row->generation)
        sim_violate(source->sim, "tp %d: the group's offset %lld is ahead of the ledger's %lld", i,
                    (long long)offset->offset, (long long)row->next);
    if (!witness->present || witness->generation > row->generation ||
        (witness->generation == row->generation && witness->next_offset > row->next))
        sim_violate(source->sim, "tp %d: the group is told of a ledger that nobody has seen", i);
}

/*
 * The client joins anew only after the worker has heard that its partitions are gone, so what a
 * worker commits before it hears of its assignment has a generation that is over.
 */
static bool may_commit(const struct sim_source *source, int tp)
{
    for (int i = 0; i < source->news_count; i++)
        if (source->news[i].kind == SOURCE_ASSIGNED)
            return false;
    return (*source->group_assigned & 1u << tp) != 0;
}

static void source_commit(void *self, const struct group_offset *offsets, size_t count)
{
    struct sim_source *source = self;
    struct sim *sim = source->sim;
    source->on_call(source->worker);
    if (*source->crashed)
        return;
    for (size_t k = 0; k < count; k++) {
        int i = sim_tp_index(offsets[k].tp);
        struct sim_partition *partition = &source->log->tps[i];
        if (offsets[k].tp.topic == TOPIC_REFRESH)
            check_refresh_offset(source, i, offsets[k].offset);
        else
            check_witness(source, &offsets[k]);
        /* Best effort, and only members may. */
        if (sim_strikes(sim, 5) || !may_commit(source, i))
            continue;
        partition->has_committed = true;
        partition->committed = offsets[k].offset;
        partition->witness = offsets[k].witness;
    }
}

struct source sim_source_port(struct sim_source *source)
{
    return (struct source){ .self = source,
                            .next = source_next,
                            .read = source_read,
                            .assign = source_assign,
                            .survey = source_survey,
                            .commit = source_commit };
}

bool sim_source_has_news(const struct sim_source *source)
{
    int64_t now = source->sim->now_ms;
    if ((source->news_count > 0 && source->news[0].at_ms <= now) ||
        (source->surveying && source->survey_ms <= now))
        return true;
    if (now < source->down_until)
        return false;
    for (int i = 0; i < SIM_TPS; i++) {
        const struct sim_partition *partition = &source->log->tps[i];
        if ((source->reading & 1u << i) && (source->position[i] < partition->high ||
                                            !source->ended[i] || source->end[i] != partition->high))
            return true;
    }
    return false;
}

int64_t sim_source_due_ms(const struct sim_source *source)
{
    int64_t due = INT64_MAX;
    if (source->news_count > 0)
        due = source->news[0].at_ms;
    if (source->surveying && source->survey_ms < due)
        due = source->survey_ms;
    if (source->down_until > source->sim->now_ms && source->down_until < due)
        due = source->down_until;
    return due;
}
