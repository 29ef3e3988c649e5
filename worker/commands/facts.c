#include "worker/commands/facts.h"

#include "worker/commands/document.h"

#include <string.h>

#define CONNECT_TIMEOUT_S    5
#define STATEMENT_TIMEOUT_MS 30000

struct pg_client *facts_connect(const struct settings *settings, bool replica_ok, struct err *err)
{
    const char *replica = settings->database_replica_url;
    bool use_replica = replica_ok && replica != NULL && *replica != '\0';
    struct pg_client *client = NULL;
    struct pg_client_options options = {
        .url = use_replica ? replica : settings->database_url,
        .schema = settings->schema,
        .application_name = "attemptd",
        .standby_ok = use_replica,
        .connect_timeout_s = CONNECT_TIMEOUT_S,
        .statement_timeout_ms = STATEMENT_TIMEOUT_MS,
    };
    return pg_client_connect(&options, &client, err) ? client : NULL;
}

void facts_explain_missing(struct err *err, const char *schema)
{
    if (strcmp(err->code, "42P01") == 0 || strcmp(err->code, "3F000") == 0 ||
        strcmp(err->code, "42703") == 0 || strcmp(err->code, "42883") == 0)
        (void)err_set(err, ERR_HALT, "schema",
                      "the tables in schema '%s' are missing or older than this program: run "
                      "'attemptd migrate up' (or check DATABASE_URL and --schema)",
                      schema);
    if (strcmp(err->code, "42501") == 0) {
        const struct err refusal = *err;
        (void)err_set(err, ERR_HALT, "42501",
                      "PostgreSQL does not allow it: %.120s; 'attemptd doctor' prints the GRANT "
                      "that is missing in schema '%s'",
                      refusal.text, schema);
    }
}

bool facts_run(struct pg_client *client, const char *file, const char *const *params, size_t count,
               struct pg_rows **ret_rows, struct err *err)
{
    if (pg_client_run(client, file, params, count, ret_rows, err))
        return true;
    facts_explain_missing(err, pg_client_schema(client));
    return false;
}

json_t *facts_from_database(struct pg_client *client, const char *file, const char *const *params,
                            size_t param_count, struct err *err)
{
    struct pg_rows *rows = NULL;
    if (!facts_run(client, file, params, param_count, &rows, err))
        return NULL;
    json_t *document = json_loads(pg_rows_text(rows, 0, 0, ""), 0, NULL);
    pg_rows_free(rows);
    if (document == NULL)
        (void)err_set(err, ERR_BUG, "json", "%s gave no JSON document", file);
    return document;
}

static bool add_logs(json_t *facts, struct kafka_admin *admin, const char *topic, int32_t count,
                     struct err *err)
{
    json_t *logs = json_array();
    json_int_t records = 0;
    bool whole = true;
    for (int32_t p = 0; p < count; p++) {
        struct kafka_log_ends ends;
        if (!kafka_admin_ends(admin, topic, p, &ends, err)) {
            json_decref(logs);
            return false;
        }
        records += ends.high - ends.low;
        document_item(&whole, logs,
                      json_pack("{s:I, s:I, s:I}", "low", (json_int_t)ends.low, "stable_end",
                                (json_int_t)ends.stable, "end", (json_int_t)ends.high));
    }
    document_member(&whole, facts, "records", json_integer(records));
    document_member(&whole, facts, "logs", logs);
    return whole || err_set(err, ERR_RESOURCE, "memory", "no memory for the log of %s", topic);
}

json_t *facts_from_topic(struct kafka_admin *admin, const char *topic, bool logs, struct err *err)
{
    struct kafka_topic t;
    if (!kafka_admin_topic(admin, topic, &t, err))
        return NULL;
    int count = t.exists ? t.partition_count : 0;
    json_t *facts =
        json_pack("{s:s, s:b, s:i, s:i}", "topic", topic, "exists", (int)t.exists, "partitions",
                  count, "replication_factor", t.exists ? t.replication_factor : 0);
    if (facts == NULL) {
        (void)err_set(err, ERR_RESOURCE, "memory", "no memory");
        return NULL;
    }
    if (!logs || add_logs(facts, admin, topic, count, err))
        return facts;
    json_decref(facts);
    return NULL;
}
