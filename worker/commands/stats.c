#include "worker/commands/stats.h"
#include "worker/commands/document.h"

#include "common/uuid.h"
#include "worker/commands/command.h"
#include "worker/commands/facts.h"

#include <getopt.h>
#include <string.h>
#include <sysexits.h>

const char stats_help[] =
    "The statistics of an exam: attempts, submits, answers, durations; and where they come from. As\n"
    "long as nothing is new since its last refresh that is the view exam_attempt_stats, which costs\n"
    "nothing. Is it behind, or does it not have the exam yet, they are counted now\n"
    "(get_attempt_statistics). Reads from DATABASE_REPLICA_URL if there is one, and is then as old as\n"
    "the replica.\n"
    "\n"
    "Options:\n"
    "  --live    count now in any case\n"
    "  --view    take what the view has, however old (for an exam that it has)\n"
    "  --json    as one JSON document, durations in seconds\n"
    "\n"
    "Exit codes: 0 done, 65 there is no such exam, 69 PostgreSQL does not answer, 78 it refuses.\n"
    "\n"
    "Examples:\n"
    "  attemptd stats 7f3c2a10-9b1e-4c58-8d0f-2f6a5b9c1e44\n"
    "  attemptd stats --json 7f3c2a10-9b1e-4c58-8d0f-2f6a5b9c1e44 | jq .statistics.submitted\n";

struct words {
    const char *exam;
    const char *way; /* "live", "view", or "" */
    bool json;
};

static int read_words(struct words *words, int argc, char **argv)
{
    static const struct option options[] = { { "json", no_argument, NULL, 'j' },
                                             { "live", no_argument, NULL, 'l' },
                                             { "view", no_argument, NULL, 'v' },
                                             { 0 } };
    struct uuid uuid;
    optind = 0;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        const char *way = option == 'l' ? "live" : option == 'v' ? "view" : NULL;
        if (option == 'j')
            words->json = true;
        else if (way == NULL)
            return command_usage("stats", "there is no option '%s'", argv[optind - 1]);
        else if (words->way[0] != '\0' && strcmp(words->way, way) != 0)
            return command_usage("stats", "--live and --view exclude each other");
        else
            words->way = way;
    }
    if (optind == argc)
        return command_usage("stats", "say which exam: its UUID");
    words->exam = argv[optind];
    if (!uuid_parse(bytes_of(words->exam), &uuid))
        return command_usage("stats", "'%s': an exam is a UUID in lower case", words->exam);
    if (optind + 1 < argc)
        return command_usage("stats", "'%s' is one word too many", argv[optind + 1]);
    return EX_OK;
}

static const char *text(const json_t *object, const char *key)
{
    return document_text(object, key, "-");
}

static double fraction(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void print_source(const json_t *document)
{
    const json_t *view = json_object_get(document, "view");
    const char *why = text(document, "why_live");
    if (strcmp(text(document, "source"), "view") == 0) {
        (void)printf("from        the view exam_attempt_stats, as of %s, ", text(view, "as_of"));
        if (json_is_true(json_object_get(view, "stale")))
            (void)printf("%lld s and %lld records behind\n", document_number(view, "behind_s"),
                         document_number(view, "behind_records"));
        else
            (void)puts("nothing is new since");
        return;
    }
    (void)printf("from        the attempts themselves, as of now");
    if (strcmp(why, "stale") == 0)
        (void)printf(": the view is %lld s and %lld records behind\n",
                     document_number(view, "behind_s"), document_number(view, "behind_records"));
    else if (strcmp(why, "missing") == 0)
        (void)puts(": the view does not have this exam");
    else
        (void)puts("");
}

/* A title is anybody's text: nothing in it may move the cursor. */
static void print_title(const char *title)
{
    for (const char *at = title; at != NULL && *at != '\0'; at++)
        (void)putchar((unsigned char)*at < ' ' || *at == 0x7f ? '?' : *at);
}

static void print_document(const json_t *document)
{
    const json_t *s = json_object_get(document, "statistics");
    (void)printf("exam        %s  ", text(document, "exam_id"));
    print_title(json_string_value(json_object_get(document, "title")));
    (void)putchar('\n');
    (void)printf("attempts    %lld: %lld in progress, %lld submitted (%lld after the deadline)\n",
                 document_number(s, "attempts"), document_number(s, "in_progress"),
                 document_number(s, "submitted"), document_number(s, "after_deadline"));
    if (document_number(s, "attempts") > 0)
        (void)printf("answered    %.1f questions on average\n", fraction(s, "answered_avg"));
    (void)printf("times       the first started %s, the last submitted %s\n",
                 text(s, "first_started_at"), text(s, "last_submitted_at"));
    if (json_is_number(json_object_get(s, "duration_p50_s")))
        (void)printf("duration    half within %.0f s, nine tenths within %.0f s\n",
                     fraction(s, "duration_p50_s"), fraction(s, "duration_p90_s"));
    print_source(document);
}

static int print(const struct words *words, const json_t *document)
{
    if (!json_is_true(json_object_get(document, "known"))) {
        struct err err;
        (void)err_set(&err, ERR_REJECT, "unknown",
                      "there is no exam %s: no attempt was started in it, and nobody described it",
                      words->exam);
        return command_fail("stats", &err);
    }
    if (words->json)
        return document_print("stats", document, JSON_INDENT(2));
    print_document(document);
    return EX_OK;
}

int stats_command(const struct settings *settings, int argc, char **argv)
{
    struct words words = { .way = "" };
    struct err err;
    int code = read_words(&words, argc, argv);
    if (code != EX_OK)
        return code;
    struct pg_client *client = facts_connect(settings, true, &err);
    if (client == NULL)
        return command_fail("stats", &err);
    const char *params[] = { words.exam, words.way };
    json_t *document = facts_from_database(client, "stats.sql", params, 2, &err);
    code = document == NULL ? command_fail("stats", &err) : print(&words, document);
    json_decref(document);
    pg_client_free(client);
    return code;
}
