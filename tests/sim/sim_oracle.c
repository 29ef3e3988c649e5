#include "tests/sim/sim_oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text after `"name":` in a flat JSON object; NULL when there is none. */
static const char *member(const char *json, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = strchr(json, '"'); at != NULL; at = strchr(at + 1, '"'))
        if (strncmp(at + 1, name, len) == 0 && at[1 + len] == '"' && at[2 + len] == ':')
            return at + len + 3 + (at[len + 3] == ' ');
    return NULL;
}

static int64_t member_number(const char *json, const char *name)
{
    const char *at = member(json, name);
    return at != NULL && *at != 'n' ? strtoll(at, NULL, 10) : -1;
}

static bool member_is(const char *json, const char *name, const char *text)
{
    const char *at = member(json, name);
    return at != NULL && *at == '"' && strncmp(at + 1, text, strlen(text)) == 0 &&
           at[1 + strlen(text)] == '"';
}

static int id_in(const char *text, enum sim_id kind, int bound)
{
    struct uuid uuid;
    if (strlen(text) < UUID_TEXT_LEN || !uuid_parse((struct bytes){ text, UUID_TEXT_LEN }, &uuid))
        return -1;
    int64_t number = sim_uuid_number(kind, &uuid);
    return number < bound ? (int)number : -1;
}

static void offered_attempt(struct sim_oracle *oracle, const char *key, const char *json,
                            struct telling *telling)
{
    struct sim *sim = oracle->sim;
    telling->kind = TELL_ATTEMPT;
    telling->attempt = id_in(key + strlen("attempt:"), ID_ATTEMPT, SIM_ATTEMPTS);
    telling->revision = member_number(json, "revision");
    if (telling->attempt < 0) {
        sim_violate(sim, "invalidation of an attempt that nobody sent");
        return;
    }
    const struct db_attempt *row = &oracle->db->attempts[telling->attempt];
    if (!row->row.exists || telling->revision > row->revision ||
        member_number(json, "version") > row->row.version)
        sim_violate(sim, "attempt %d: revision %lld published before its commit", telling->attempt,
                    (long long)telling->revision);
    if (telling->revision < 1 || member_number(json, "version") < 1)
        sim_violate(sim, "attempt %d: invalidation without version or revision", telling->attempt);
    if (telling->revision == oracle->revision_offered[telling->attempt])
        sim_cover(sim, COVER_REPUBLISHED);
    oracle->revision_offered[telling->attempt] = telling->revision;
}

static void offered_invalidation(struct sim_oracle *oracle, const char *json,
                                 struct telling *telling)
{
    const char *key = member(json, "key");
    if (member_is(json, "scope", "all")) {
        telling->kind = TELL_ALL;
        sim_cover(oracle->sim, COVER_ALL_DROPPED);
        if (!oracle->may_drop_all)
            sim_violate(oracle->sim, "all caches dropped without need");
    } else if (key != NULL && strncmp(key, "\"attempt:", 9) == 0) {
        offered_attempt(oracle, key + 1, json, telling);
    } else if (key != NULL && strncmp(key, "\"exam:", 6) == 0) {
        telling->kind = TELL_EXAM;
        telling->exam = id_in(key + 6, ID_EXAM, SIM_EXAMS);
        if (telling->exam < 0)
            sim_violate(oracle->sim, "invalidation of an exam that nobody named");
    } else {
        sim_violate(oracle->sim, "an invalidation that cannot be read: %.100s", json);
    }
}

/* The number between slashes at *at, which is moved behind it. */
static bool take_number(const char **at, int64_t *ret)
{
    if (**at != '/')
        return false;
    char *end;
    *ret = strtoll(*at + 1, &end, 10);
    bool any = end > *at + 1;
    *at = end;
    return any;
}

static bool read_place(const char *id, int *ret_topic, int64_t *ret_partition, int64_t *ret_offset)
{
    const char *at = strchr(id, '/');
    if (at == NULL)
        return false;
    *ret_topic = -1;
    for (int topic = 0; topic < TOPIC_COUNT; topic++) {
        const char *name = sim_topic_name((enum topic)topic);
        if (strlen(name) == (size_t)(at - id) && memcmp(name, id, strlen(name)) == 0)
            *ret_topic = topic;
    }
    int64_t generation;
    return *ret_topic >= 0 && take_number(&at, ret_partition) && take_number(&at, &generation) &&
           take_number(&at, ret_offset) && *at == '\0';
}

static void offered_outcome(struct sim_oracle *oracle, const struct message *message,
                            const char *json, struct telling *telling)
{
    struct sim *sim = oracle->sim;
    telling->kind = TELL_OUTCOME;
    char id[128];
    size_t len = message->id.len < sizeof id ? message->id.len : sizeof id - 1;
    memcpy(id, message->id.ptr, len);
    id[len] = '\0';
    int which;
    int64_t partition, offset;
    if (!read_place(id, &which, &partition, &offset)) {
        sim_violate(sim, "an outcome whose id is not topic/partition/generation/offset: %s", id);
        return;
    }
    if (which == TOPIC_REFRESH) {
        telling->kind = TELL_OTHER;
        return;
    }
    struct tp tp = { (enum topic)which, (int32_t)partition };
    struct sim_record *record =
        partition >= 0 && partition < SIM_PARTITIONS ? sim_log_at(oracle->log, tp, offset) : NULL;
    if (record == NULL || !record->fate.settled) {
        sim_violate(sim, "%s: outcome published before its commit", id);
        return;
    }
    telling->tp = sim_tp_index(tp);
    telling->offset = offset;
    const struct fate *fate = &record->fate;
    bool either = !fate->outcome_known && (member_is(json, "outcome", "applied") ||
                                           member_is(json, "outcome", "duplicate"));
    if (!either && !member_is(json, "outcome", outcome_name(fate->outcome)))
        sim_violate(sim, "%s: told as %.40s, but it is %s", id, member(json, "outcome"),
                    outcome_name(fate->outcome));
    int64_t version = member_number(json, "version");
    if (fate->outcome == OUTCOME_DEAD                  ? version != -1
        : fate->outcome == OUTCOME_DUPLICATE || either ? version < fate->version
                                                       : version != fate->version)
        sim_violate(sim, "%s: told with version %lld, but it is %lld", id, (long long)version,
                    (long long)fate->version);
    if (fate->late_reason != NULL && !member_is(json, "reason", fate->late_reason))
        sim_violate(sim, "%s: late, but not told why", id);
    if (fate->outcome_known && fate->outcome == OUTCOME_APPLIED &&
        member_number(json, "missing") != fate->missing)
        sim_violate(sim, "%s: told with %lld missing versions, but it skipped %lld", id,
                    (long long)member_number(json, "missing"), (long long)fate->missing);
}

struct telling oracle_offered(struct sim_oracle *oracle, const struct message *message)
{
    struct telling telling = { .kind = TELL_OTHER, .commit = oracle->sim->commit_serial };
    char json[2048];
    size_t len = message->value.len < sizeof json ? message->value.len : sizeof json - 1;
    memcpy(json, message->value.ptr, len);
    json[len] = '\0';
    if (message->outlet == OUTLET_INVALIDATIONS)
        offered_invalidation(oracle, json, &telling);
    else
        offered_outcome(oracle, message, json, &telling);
    return telling;
}

void oracle_confirmed(struct sim_oracle *oracle, const struct telling *telling)
{
    switch (telling->kind) {
    case TELL_ATTEMPT:
        if (telling->revision > oracle->revision_told[telling->attempt])
            oracle->revision_told[telling->attempt] = telling->revision;
        break;
    case TELL_EXAM:
        if (telling->commit > oracle->exam_told[telling->exam])
            oracle->exam_told[telling->exam] = telling->commit;
        break;
    case TELL_ALL:
        if (telling->commit > oracle->all_told)
            oracle->all_told = telling->commit;
        break;
    case TELL_OUTCOME: {
        struct sim_record *record = sim_log_at(oracle->log, sim_tp(telling->tp), telling->offset);
        if (record != NULL)
            record->fate.told = true;
        break;
    }
    case TELL_OTHER:
        break;
    }
}

void oracle_check_published(struct sim_oracle *oracle, int tp, int64_t from, int64_t to,
                            int64_t next)
{
    struct sim *sim = oracle->sim;
    if (to > next)
        sim_violate(sim, "tp %d: published_offset %lld is beyond next_offset %lld", tp,
                    (long long)to, (long long)next);
    /* Of an earlier generation nothing is told again but that all caches are to be dropped. */
    int64_t first = oracle->db->progress[tp].first;
    for (int64_t offset = from < first ? first : from; offset < to && !sim_broken(sim); offset++) {
        const struct sim_record *record = sim_log_at(oracle->log, sim_tp(tp), offset);
        if (record == NULL)
            continue;
        const struct fate *fate = &record->fate;
        bool dropped = oracle->all_told >= fate->commit && fate->settled;
        bool excused = dropped && offset < oracle->log->tps[tp].low;
        if (!fate->settled)
            sim_violate(sim, "tp %d@%lld: marked as published but not settled", tp,
                        (long long)offset);
        else if (fate->wants_outcome && !fate->told && !excused)
            sim_violate(sim,
                        "tp %d@%lld: marked as published, but its outcome (%s) was not "
                        "confirmed",
                        tp, (long long)offset, outcome_name(fate->outcome));
        else if (fate->revision > 0 && !dropped &&
                 oracle->revision_told[record->meaning.attempt] < fate->revision)
            sim_violate(sim,
                        "tp %d@%lld: marked as published, but revision %lld of attempt %d was "
                        "not confirmed",
                        tp, (long long)offset, (long long)fate->revision, record->meaning.attempt);
        else if (fate->revision > 0 && fate->exam >= 0 && !dropped &&
                 oracle->exam_told[fate->exam] < fate->commit)
            sim_violate(sim,
                        "tp %d@%lld: marked as published, but the statistics of exam %d were "
                        "not invalidated",
                        tp, (long long)offset, fate->exam);
    }
}
