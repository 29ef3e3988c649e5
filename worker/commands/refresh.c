#include "worker/commands/refresh.h"

#include "worker/commands/command.h"
#include "worker/commands/document.h"
#include "worker/commands/facts.h"
#include "worker/postgres/refresh.h"

#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <sysexits.h>
#include <unistd.h>

const char refresh_help[] =
    "Refreshes the named views now, due or not; without a name all of view_schedules. Readers do\n"
    "not notice (REFRESH … CONCURRENTLY). If a worker or somebody else is refreshing the same view,\n"
    "it waits for that first. The result is recorded in view_schedules; a running worker publishes\n"
    "the invalidation within seconds.\n"
    "\n"
    "Options:\n"
    "  --if-stale  leave those alone that nothing has changed since (view_freshness)\n"
    "  --list      only say which views there are\n"
    "  --json      the result as JSON\n"
    "\n"
    "Exit codes: 0 all refreshed (or fresh), 65 a view is not known, 69 or 78 one could not be\n"
    "refreshed (the others were).\n"
    "\n"
    "Examples:\n"
    "  attemptd refresh\n"
    "  attemptd refresh exam_attempt_stats --json\n";

struct job {
    struct pg_client *client;
    bool json, list, if_stale;
    json_t *results;
    bool whole; /* false: memory was short, and `results` has not all of them */
    int code;
};

static void report(struct job *job, const char *view, const struct refresh *refresh)
{
    if (job->json) {
        json_t *item =
            json_pack("{s:s, s:I, s:I, s:I}", "view", view, "refreshes",
                      (json_int_t)refresh->refreshes, "position", (json_int_t)refresh->position,
                      "duration_ms", (json_int_t)refresh->duration_ms);
        document_item(&job->whole, job->results, item);
    } else {
        (void)printf("%s refreshed in %" PRId64 " ms\n", view, refresh->duration_ms);
        (void)fflush(stdout);
    }
}

/* Also when nobody knows: then the refresh itself says what is wrong. */
static bool is_stale(struct job *job, const char *view)
{
    struct pg_rows *rows = NULL;
    if (!pg_client_run(job->client, "view_stale.sql", &view, 1, &rows, NULL))
        return true;
    bool stale = pg_rows_count(rows) == 0 || pg_rows_bool(rows, 0, 0);
    pg_rows_free(rows);
    return stale;
}

static void report_fresh(struct job *job, const char *view)
{
    if (job->json)
        document_item(&job->whole, job->results, json_pack("{s:s, s:b}", "view", view, "fresh", 1));
    else
        (void)printf("%s is fresh\n", view);
}

static void refresh_one(struct job *job, const char *view)
{
    struct refresh refresh = { 0 };
    struct err err = { 0 };
    if (job->if_stale && !job->list && !is_stale(job, view)) {
        report_fresh(job, view);
        return;
    }
    if (job->list) {
        (void)printf("%s\n", view);
        return;
    }
    if (!job->json && isatty(STDERR_FILENO))
        (void)fprintf(stderr, "refreshing %s ...\n", view);
    if (refresh_view(job->client, view, &refresh, &err)) {
        report(job, view, &refresh);
        return;
    }
    facts_explain_missing(&err, pg_client_schema(job->client));
    const struct err why = err;
    if (why.action != ERR_REJECT) /* that names it */
        (void)err_set(&err, why.action, why.code, "%.60s: %s", view, why.text);
    job->code = command_fail("refresh", &err);
    if (job->json) {
        json_t *item =
            json_pack("{s:s, s:s, s:s}", "view", view, "error", err.text, "code", err.code);
        document_item(&job->whole, job->results, item);
    }
}

static void refresh_all(struct job *job)
{
    struct pg_rows *rows = NULL;
    struct err err = { 0 };
    if (!facts_run(job->client, "housekeeper_views.sql", NULL, 0, &rows, &err)) {
        job->code = command_fail("refresh", &err);
        return;
    }
    for (size_t i = 0; i < pg_rows_count(rows); i++)
        refresh_one(job, pg_rows_text(rows, i, 0, ""));
    pg_rows_free(rows);
}

/* EX_OK, or the exit code. */
static int parse(int argc, char **argv, struct job *ret)
{
    static const struct option options[] = {
        { "json", no_argument, NULL, 'j' },
        { "list", no_argument, NULL, 'l' },
        { "if-stale", no_argument, NULL, 's' },
        { 0 },
    };
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'j')
            ret->json = true;
        else if (option == 'l')
            ret->list = true;
        else if (option == 's')
            ret->if_stale = true;
        else
            return command_usage("refresh", "there is no option '%s'", argv[optind - 1]);
    }
    return EX_OK;
}

int refresh_command(const struct settings *settings, int argc, char **argv)
{
    struct job job = { .whole = true };
    int code = parse(argc, argv, &job);
    if (code != EX_OK)
        return code;
    struct pg_client_options options = {
        .url = settings->database_url,
        .schema = settings->schema,
        .application_name = "attemptd refresh",
    };
    struct err err = { 0 };
    if (!pg_client_connect(&options, &job.client, &err))
        return command_fail("refresh", &err);
    job.results = json_array();
    if (job.list || optind == argc)
        refresh_all(&job);
    for (int i = optind; i < argc && !job.list; i++)
        refresh_one(&job, argv[i]);
    if (job.json && !job.list) {
        code = document_print("refresh", job.whole ? job.results : NULL,
                              JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    }
    json_decref(job.results);
    pg_client_free(job.client);
    return job.code != EX_OK ? job.code : code;
}
