/*
 * Sending letters again: a page is locked, sent, confirmed by Kafka, noted and committed, before
 * the next. The note comes after the confirmation, so that no letter counts as sent that is not;
 * and the lock is held until then, so that two operators do not send the same one.
 */
#include "worker/commands/command.h"
#include "worker/commands/confirm.h"
#include "worker/commands/dlq_work.h"
#include "worker/commands/document.h"
#include "worker/commands/facts.h"
#include "worker/commands/kafka_setup.h"
#include "worker/commands/letter.h"
#include "worker/kafka/kafka_producer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define EXIT_NOT_CONFIRMED 1
#define FLUSH_TIMEOUT_MS   60000
#define PAGE_LETTERS       KAFKA_TAGS /* each has a tag of its own, so that each is known to be sent */

struct replay {
    struct dlq *dlq;
    struct kafka_setup kafka;
    struct kafka_admin *admin;
    struct kafka_producer *producer;
    char topic[TOPIC_NAME_MAX + 1]; /* the last one that was looked for */
    int32_t partition_count;
    int64_t after, last;
    bool quiet; /* too many to name each */
    json_t *sent, *skipped;
};

/* A letter's partition may be gone; without this, that would show after minutes. */
static bool check_place(struct replay *replay, const struct letter *letter, struct err *err)
{
    struct kafka_topic topic;
    if (strcmp(replay->topic, letter->topic) != 0) {
        if (!kafka_admin_topic(replay->admin, letter->topic, &topic, err))
            return false;
        (void)snprintf(replay->topic, sizeof replay->topic, "%s", letter->topic);
        replay->partition_count = topic.exists ? topic.partition_count : 0;
    }
    if (letter->record.tp.partition < replay->partition_count)
        return true;
    return err_set(err, ERR_HALT, "partition",
                   "letter %" PRId64 " belongs to %.80s[%d], which Kafka does not have (any more): "
                   "make it, or discard the letter",
                   letter->id, letter->topic, (int)letter->record.tp.partition);
}

static bool send_letter(struct replay *replay, struct bytes text, unsigned tag, int64_t *ret_id,
                        struct err *err)
{
    struct letter letter;
    if (!letter_read(&letter, text, err))
        return false;
    *ret_id = letter.id;
    const struct record *record = &letter.record;
    const struct kafka_outgoing outgoing = { .topic = letter.topic,
                                             .partition = record->tp.partition,
                                             .key = record->key,
                                             .value = record->value,
                                             .headers = record->headers,
                                             .header_count = record->header_count,
                                             .tag = tag };
    bool ok =
        check_place(replay, &letter, err) && kafka_producer_send(replay->producer, &outgoing, err);
    letter_release(&letter);
    return ok;
}

/* ------------------------------------------------------------------------------ one page */

static bool take_page(struct replay *replay, struct pg_rows **ret, struct err *err)
{
    char after[24], last[24], count[8];
    const struct dlq *dlq = replay->dlq;
    const char *params[] = { dlq->ids, dlq->reason, after, dlq->again ? "t" : "f", last, count };
    (void)snprintf(after, sizeof after, "%" PRId64, replay->after);
    (void)snprintf(last, sizeof last, "%" PRId64, replay->last);
    (void)snprintf(count, sizeof count, "%d", PAGE_LETTERS);
    return pg_client_execute(dlq->db, "begin",
                             "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0;"
                             "SET LOCAL statement_timeout = 0",
                             err) &&
           facts_run(replay->dlq->db, "dlq_take.sql", params, 6, ret, err);
}

static void note_sent(struct replay *replay, const char *list)
{
    bool whole = true;
    for (const char *at = list; *at != '\0' && *at != '}';) {
        char *end;
        long long id = strtoll(at + 1, &end, 10);
        document_item(&whole, replay->sent, json_integer(id));
        if (!replay->quiet && !replay->dlq->json)
            (void)printf("letter %lld was sent again\n", id);
        at = end;
    }
    replay->dlq->unreported = replay->dlq->unreported || !whole;
}

/* Those that Kafka has confirmed, whatever became of the others. */
static bool keep_page(struct replay *replay, const int64_t *ids, size_t count,
                      const struct kafka_counts *before, struct err *err)
{
    char list[PAGE_LETTERS * 24];
    size_t len = 0;
    struct kafka_counts now = kafka_producer_counts(replay->producer);
    for (size_t i = 0; i < count; i++)
        if (now.delivered_by[i] > before->delivered_by[i])
            len += (size_t)snprintf(list + len, sizeof list - len, "%c%" PRId64,
                                    len == 0 ? '{' : ',', ids[i]);
    if (len == 0)
        return pg_client_execute(replay->dlq->db, "commit", "COMMIT", err);
    (void)snprintf(list + len, sizeof list - len, "}");
    const char *params[] = { list };
    struct err why;
    if (!facts_run(replay->dlq->db, "dlq_replayed.sql", params, 1, NULL, &why) ||
        !pg_client_execute(replay->dlq->db, "commit", "COMMIT", &why))
        return err_set(err, why.action, why.code,
                       "the letters %s were sent, but that could not be noted, and the next replay "
                       "sends them once more (harmless: they count as duplicates): %.100s",
                       list, why.text);
    note_sent(replay, list);
    return true;
}

/* False ends the replay; *ret_done when nothing is left. */
static bool replay_page(struct replay *replay, bool *ret_done, struct err *err)
{
    struct pg_rows *rows = NULL;
    int64_t ids[PAGE_LETTERS];
    size_t count = 0;
    if (!take_page(replay, &rows, err))
        return false;
    struct kafka_counts before = kafka_producer_counts(replay->producer);
    size_t wanted = pg_rows_count(rows);
    bool ok = true;
    while (ok && count < wanted) {
        ok = send_letter(replay, pg_rows_bytes(rows, count, 0), (unsigned)count, &ids[count], err);
        count += ok;
    }
    pg_rows_free(rows);
    if (count > 0) {
        struct err unsent, unkept;
        bool flushed = kafka_producer_flush(replay->producer, FLUSH_TIMEOUT_MS, &unsent);
        replay->after = ids[count - 1];
        bool kept = keep_page(replay, ids, count, &before, &unkept);
        if (!flushed || !kept)
            *err = flushed ? unkept : unsent;
        ok = ok && flushed && kept;
    }
    *ret_done = wanted < PAGE_LETTERS;
    return ok;
}

/* ------------------------------------------------------------------------------ all pages */

static bool find_last(struct replay *replay, struct err *err)
{
    struct pg_rows *rows;
    if (!facts_run(replay->dlq->db, "dlq_last.sql", NULL, 0, &rows, err))
        return false;
    replay->last = pg_rows_int(rows, 0, 0);
    pg_rows_free(rows);
    return true;
}

static bool open_kafka(struct replay *replay, struct err *err)
{
    if (!kafka_setup_init(&replay->kafka, replay->dlq->settings, err))
        return false;
    replay->admin = kafka_setup_reach(&replay->kafka, err);
    if (replay->admin != NULL)
        replay->producer = kafka_producer_new(&replay->kafka.options, err);
    return replay->producer != NULL;
}

static bool count_letters(struct replay *replay, size_t *ret_count, struct err *err)
{
    struct dlq *dlq = replay->dlq;
    struct pg_rows *rows;
    const char *params[] = { dlq->reason };
    if (dlq->ids != NULL)
        return dlq_sift(dlq, dlq->again, replay->skipped, ret_count, err);
    if (!facts_run(dlq->db, "dlq_count.sql", params, 1, &rows, err))
        return false;
    *ret_count = (size_t)pg_rows_int(rows, 0, 0);
    pg_rows_free(rows);
    return true;
}

static int report(const struct replay *replay, int code)
{
    size_t sent = json_array_size(replay->sent), skipped = json_array_size(replay->skipped), i;
    json_t *item;
    int shown = EX_OK;
    if (replay->dlq->unreported) {
        shown = document_no_memory("dlq");
    } else if (replay->dlq->json) {
        json_t *result = json_pack("{s:O, s:O, s:b}", "replayed", replay->sent, "skipped",
                                   replay->skipped, "complete", code == EX_OK);
        shown = document_print("dlq", result, JSON_COMPACT);
        json_decref(result);
    } else {
        (void)printf("%zu sent again, %zu passed over%s\n", sent, skipped,
                     sent > 0 ? "; what becomes of them: 'attemptd dlq list', 'attemptd status'"
                              : "");
    }
    json_array_foreach(replay->skipped, i, item)
    {
        const char *state = json_string_value(json_object_get(item, "state"));
        if (state != NULL && (strcmp(state, "unknown") == 0 || strcmp(state, "erased") == 0))
            return code == EX_OK ? EX_DATAERR : code;
    }
    return code == EX_OK ? shown : code;
}

static int replay_all(struct replay *replay)
{
    struct dlq *dlq = replay->dlq;
    struct err err;
    size_t count;
    char question[80];
    if (!dlq_connect(dlq, false, &err) || !find_last(replay, &err) ||
        !count_letters(replay, &count, &err))
        return command_fail("dlq", &err);
    (void)snprintf(question, sizeof question, "Send %zu dead letters again?", count);
    if (count > 0 && dlq->ids == NULL && !dlq->yes && !confirm("attemptd dlq replay", question))
        return EXIT_NOT_CONFIRMED;
    if (count > 0 && !open_kafka(replay, &err))
        return command_fail("dlq", &err);
    replay->quiet = dlq->ids == NULL;
    int code = EX_OK;
    for (bool done = count == 0; !done && code == EX_OK;)
        if (!replay_page(replay, &done, &err))
            code = command_fail("dlq", &err);
    return report(replay, code);
}

int dlq_replay(struct dlq *dlq)
{
    int ways = (dlq->ids != NULL) + (dlq->reason != NULL) + dlq->all;
    if (ways != 1)
        return command_usage("dlq", "replay needs IDs, or --reason CODE, or --all");
    if (dlq->again && dlq->ids == NULL)
        return command_usage("dlq", "--again needs the IDs of the letters");
    struct replay replay = { .dlq = dlq, .sent = json_array(), .skipped = json_array() };
    int code = replay.sent == NULL || replay.skipped == NULL ? document_no_memory("dlq")
                                                             : replay_all(&replay);
    kafka_producer_free(replay.producer);
    kafka_admin_free(replay.admin);
    kafka_setup_release(&replay.kafka);
    json_decref(replay.sent);
    json_decref(replay.skipped);
    return code;
}
