/* Which of the named letters are still to be settled, and settling them without sending them. */
#include "worker/commands/command.h"
#include "worker/commands/dlq_work.h"
#include "worker/commands/document.h"
#include "worker/commands/facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const char *why_not(const char *state)
{
    if (strcmp(state, "unknown") == 0)
        return "there is no such letter";
    if (strcmp(state, "erased") == 0)
        return "its attempt was erased, and its bytes with it";
    return strcmp(state, "replayed") == 0 ? "it was sent again before (--again repeats it)"
                                          : "it was discarded before";
}

static void pass_over(struct dlq *dlq, json_t *skipped, int64_t id, const char *state)
{
    bool whole = true;
    (void)fprintf(stderr, "attemptd dlq: letter %" PRId64 " is passed over: %s\n", id,
                  why_not(state));
    document_item(&whole, skipped, json_pack("{s:I, s:s}", "id", (json_int_t)id, "state", state));
    dlq->unreported = dlq->unreported || !whole;
}

bool dlq_sift(struct dlq *dlq, bool again, json_t *skipped, size_t *ret_left, struct err *err)
{
    struct pg_rows *rows;
    const char *params[] = { dlq->ids };
    if (!facts_run(dlq->db, "dlq_states.sql", params, 1, &rows, err))
        return false;
    *ret_left = 0;
    for (size_t i = 0; i < pg_rows_count(rows); i++) {
        const char *state = pg_rows_text(rows, i, 1, "");
        int64_t id = pg_rows_int(rows, i, 0);
        bool passes = strcmp(state, "open") == 0 ||
                      (again && strcmp(state, "unknown") != 0 && strcmp(state, "erased") != 0);
        *ret_left += passes;
        if (!passes)
            pass_over(dlq, skipped, id, state);
    }
    pg_rows_free(rows);
    return true;
}

static bool has_unknown(const json_t *skipped)
{
    size_t i;
    const json_t *item;
    json_array_foreach(skipped, i, item)
    {
        const char *state = json_string_value(json_object_get(item, "state"));
        if (state != NULL && (strcmp(state, "unknown") == 0 || strcmp(state, "erased") == 0))
            return true;
    }
    return false;
}

static int discard(struct dlq *dlq, json_t *skipped, struct err *err)
{
    size_t left;
    struct pg_rows *rows;
    const char *params[] = { dlq->ids, dlq->reason };
    if (!dlq_connect(dlq, false, err) || !dlq_sift(dlq, false, skipped, &left, err) ||
        !facts_run(dlq->db, "dlq_discard.sql", params, 2, &rows, err))
        return command_fail("dlq", err);
    json_t *ids = json_array();
    bool whole = !dlq->unreported;
    for (size_t i = 0; i < pg_rows_count(rows); i++)
        document_item(&whole, ids, json_integer(pg_rows_int(rows, i, 0)));
    size_t count = pg_rows_count(rows);
    pg_rows_free(rows);
    json_t *result = json_pack("{s:o, s:O}", "discarded", ids, "skipped", skipped);
    int code = EX_OK;
    if (dlq->json || !whole)
        code = document_print("dlq", whole ? result : NULL, JSON_COMPACT);
    else
        (void)printf("%zu discarded, %zu passed over; kept in audit_log\n", count,
                     json_array_size(skipped));
    json_decref(result);
    return code == EX_OK && has_unknown(skipped) ? EX_DATAERR : code;
}

int dlq_discard(struct dlq *dlq)
{
    struct err err;
    if (dlq->word_count == 0)
        return command_usage("dlq", "discard needs IDs; 'attemptd dlq list' has them");
    if (dlq->reason == NULL || *dlq->reason == '\0')
        return command_usage("dlq", "discard needs --reason TEXT: it is kept in audit_log");
    json_t *skipped = json_array();
    if (skipped == NULL)
        return document_no_memory("dlq");
    int code = discard(dlq, skipped, &err);
    json_decref(skipped);
    return code;
}
