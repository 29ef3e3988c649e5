/* CONNECT: a session that is prepared, on a schema and with settings that we can work with. */
#include "worker/postgres/pg_store_steps.h"

#include "common/embedded.h"

#include <stdlib.h>
#include <string.h>

static const char *const statements[] = {
    "store_begin.sql",
    "store_commit.sql",
    "store_rollback.sql",
    "store_check_constraints.sql",
    "store_now.sql",
    "store_claim_new.sql",
    "store_lock_progress.sql",
    "store_claim.sql",
    "store_claim_refusals.sql",
    "store_resolve.sql",
    "store_mark.sql",
    "store_move.sql",
    "store_count.sql",
    "store_enter_exams.sql",
    "store_make_rows.sql",
    "store_fill_starts.sql",
    "store_write_rows.sql",
    "store_lock_rows.sql",
    "store_lock_rows_nowait.sql",
    "store_read_rows.sql",
    "store_activity.sql",
    "store_new_activity.sql",
    "store_savepoint.sql",
    "store_release.sql",
    "store_rollback_to.sql",
    "store_request_views.sql",
    "store_submissions.sql",
    "store_answers.sql",
    "store_rejected.sql",
    "store_letters.sql",
    "store_refresh_letters.sql",
    "store_recall_attempts.sql",
    "store_recall_outcomes.sql",
};

int64_t pg_schema_version(void)
{
    int64_t version = 0;
    for (const struct embedded_file *f = migrations_embedded; f->name != NULL; f++) {
        char *end = NULL;
        long long number = strtoll(f->name, &end, 10);
        if (end != f->name && *end == '_' && number > version)
            version = number;
    }
    return version;
}

static void put_settings(struct pg_store *store)
{
    const struct pg_store_options *o = &store->options;
    pg_params_clear(&store->params);
    pg_array_begin(&store->params, PG_TEXT);
    for (size_t i = 0; i < o->outcome_setting_count; i++)
        pg_array_text(&store->params, bytes_of(o->outcome_settings[i].name));
    pg_array_end(&store->params);
    pg_array_begin(&store->params, PG_TEXT);
    for (size_t i = 0; i < o->outcome_setting_count; i++)
        pg_array_text(&store->params, bytes_of(o->outcome_settings[i].value));
    pg_array_end(&store->params);
}

static bool on_version(void *self, const struct pg_result *result, struct err *err)
{
    (void)err;
    struct pg_store *store = self;
    store->schema_version = pg_get_int8(result, 0, 0);
    return true;
}

static bool on_differing(void *self, const struct pg_result *result, struct err *err)
{
    (void)err;
    struct pg_store *store = self;
    for (size_t i = 0; i < pg_row_count(result); i++)
        buf_printf(&store->differing, "%s%.*s (here %.*s, there %.*s)", i == 0 ? "" : ", ",
                   BYTES_FMT(pg_get_bytes(result, i, 0)), BYTES_FMT(pg_get_bytes(result, i, 1)),
                   BYTES_FMT(pg_get_bytes(result, i, 2)));
    return true;
}

static void begin_connect(struct pg_store *store)
{
    store->schema_version = 0;
    pg_session_connect(store->session);
}

static bool schema_fits(const struct pg_store *store, struct err *err)
{
    int64_t ours = pg_schema_version();
    if (store->schema_version == ours || store->schema_version == ours - 1)
        return true;
    return err_set(err, ERR_HALT, "schema",
                   "the schema has version %lld, this attemptd needs %lld: %s",
                   (long long)store->schema_version, (long long)ours,
                   store->schema_version < ours ? "'attemptd migrate up'"
                                                : "install the attemptd that migrated it");
}

/* The settings are only compared, not prepared: once a connection. */
static void send_preparation(struct pg_store *store)
{
    const struct pg_store_options *o = &store->options;
    buf_clear(&store->differing);
    if (o->outcome_setting_count > 0) {
        put_settings(store);
        pg_put_bool(&store->params, o->accept_settings && !store->settings_accepted);
        pg_session_send_once(store->session, "store_keep_settings.sql", &store->params, NULL, NULL);
        put_settings(store);
        pg_session_send_once(store->session, "store_compare_settings.sql", &store->params,
                             on_differing, store);
    }
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++)
        pg_session_prepare(store->session, statements[i]);
    pg_session_sync(store->session);
}

static bool settings_fit(struct pg_store *store, struct err *err)
{
    if (store->differing.len > 0)
        return err_set(err, ERR_HALT, "settings",
                       "settings that decide outcomes differ from the database's: %.*s; set them "
                       "as there, or 'attemptd run --accept-settings' once",
                       BYTES_FMT(buf_bytes(&store->differing)));
    store->settings_accepted = true;
    return true;
}

static bool connect_done(struct pg_store *store, bool *ret_more, struct err *err)
{
    switch (store->round) {
    case 0:
        pg_session_send_once(store->session, "store_schema_version.sql", NULL, on_version, store);
        pg_session_sync(store->session);
        *ret_more = true;
        return true;
    case 1:
        if (!schema_fits(store, err))
            return false;
        send_preparation(store);
        *ret_more = true;
        return true;
    default:
        return settings_fit(store, err);
    }
}

static bool connect_failed(struct pg_store *store, bool *ret_more, struct err *err)
{
    (void)ret_more;
    if (store->round == 1 && strcmp(err->code, "42P01") == 0)
        err_set(err, ERR_HALT, "schema",
                "there is no schema of attemptd in this database: 'attemptd migrate up' makes "
                "it (or check DATABASE_URL and --schema)");
    return false;
}

const struct pg_store_step pg_store_connect_step = { begin_connect, connect_done, connect_failed };
