#include "worker/postgres/refresh.h"

#include <stdio.h>
#include <stdlib.h>

#define NUMBER_BYTES 24

/* What a refresh that begins now will reflect, as text for the record. */
struct news {
    char position[NUMBER_BYTES], taken[NUMBER_BYTES], requests[NUMBER_BYTES];
};

static bool take(struct pg_client *client, const char *view, struct news *ret, struct err *err)
{
    struct pg_rows *rows = NULL;
    if (!pg_client_run(client, "housekeeper_view_take_named.sql", &view, 1, &rows, err))
        return false;
    bool known = pg_rows_count(rows) > 0;
    pg_rows_free(rows);
    if (!known)
        return err_set(err, ERR_REJECT, "VIEW",
                       "'%s' is not in view_schedules: see 'attemptd refresh --list'", view);
    if (!pg_client_run(client, "housekeeper_news.sql", &view, 1, &rows, err))
        return false;
    (void)snprintf(ret->position, NUMBER_BYTES, "%s", pg_rows_text(rows, 0, 0, "0"));
    (void)snprintf(ret->taken, NUMBER_BYTES, "%s", pg_rows_text(rows, 0, 1, "0"));
    (void)snprintf(ret->requests, NUMBER_BYTES, "%s", pg_rows_text(rows, 0, 2, "0"));
    pg_rows_free(rows);
    return true;
}

/* Keeps `cause` whatever becomes of the record. */
static bool record_failure(struct pg_client *client, const char *view, const struct err *cause,
                           struct err *err)
{
    const char *params[] = { view, cause->text };
    bool ok = pg_client_run(client, "housekeeper_rollback_to.sql", NULL, 0, NULL, NULL) &&
              pg_client_run(client, "housekeeper_view_failed.sql", params, 2, NULL, NULL);
    (void)pg_client_run(client, ok ? "housekeeper_commit.sql" : "housekeeper_rollback.sql", NULL, 0,
                        NULL, NULL);
    return err_set(err, cause->action, cause->code, "%s", cause->text);
}

static bool record(struct pg_client *client, const char *view, const struct news *news,
                   struct refresh *ret, struct err *err)
{
    const char *params[] = { view, news->position, news->taken, news->requests };
    struct pg_rows *rows = NULL;
    if (!pg_client_run(client, "housekeeper_view_record.sql", params, 4, &rows, err))
        return false;
    struct refresh refresh = { .refreshes = pg_rows_int(rows, 0, 0),
                               .duration_ms = pg_rows_int(rows, 0, 2),
                               .position = strtoll(news->position, NULL, 10) };
    pg_rows_free(rows);
    if (!pg_client_run(client, "housekeeper_commit.sql", NULL, 0, NULL, err))
        return false;
    *ret = refresh;
    return true;
}

bool refresh_view(struct pg_client *client, const char *view, struct refresh *ret, struct err *err)
{
    struct news news;
    struct err cause = { 0 };
    if (!pg_client_run(client, "housekeeper_begin.sql", NULL, 0, NULL, err))
        return false;
    if (take(client, view, &news, err) &&
        pg_client_run(client, "housekeeper_savepoint.sql", NULL, 0, NULL, err)) {
        if (!pg_client_run(client, "housekeeper_view_refresh.sql", &view, 1, NULL, &cause) ||
            !pg_client_run(client, "housekeeper_release.sql", NULL, 0, NULL, &cause))
            return record_failure(client, view, &cause, err);
        if (record(client, view, &news, ret, err))
            return true;
    }
    (void)pg_client_run(client, "housekeeper_rollback.sql", NULL, 0, NULL, NULL);
    return false;
}
