/*
 * rejected: the saves and submits that came too late, to be looked at. There is nothing to settle:
 * their producers were told, and send again what still matters.
 */
#include "worker/commands/rejected.h"

#include "common/uuid.h"
#include "worker/commands/command.h"
#include "worker/commands/document.h"
#include "worker/commands/escape.h"
#include "worker/commands/facts.h"

#include <getopt.h>
#include <string.h>
#include <sysexits.h>

const char rejected_help[] =
    "Rejected writes are saves and submits that were stale (another writer was first) or late (the\n"
    "attempt was submitted already), kept whole in rejected_writes. Their producers were told by an\n"
    "outcome message; nothing has to be done here. To put a student's late answer into a submitted\n"
    "attempt all the same there is maintain_attempt(), which is audited.\n"
    "\n"
    "  list      the newest first\n"
    "  show ID   one with its whole event\n"
    "\n"
    "Options:\n"
    "  --topic TOPIC      list: only of this topic (its full name)\n"
    "  --partition N      list: only of this partition\n"
    "  --outcome OUTCOME  list: only stale, or only late\n"
    "  --reason CODE      list: only overtaken, or only after_submit\n"
    "  --attempt UUID     list: only of this attempt\n"
    "  --limit N          list: at most so many (50)\n"
    "  --json             the result as JSON\n"
    "\n"
    "Exit codes: 0 done, 65 there is no such write, 69 PostgreSQL does not answer.\n"
    "\n"
    "Examples:\n"
    "  attemptd rejected list --outcome late --reason after_submit\n"
    "  attemptd rejected show 17\n";

struct words {
    const char *topic, *partition, *outcome, *reason, *attempt, *limit, *what, *id;
    bool json;
};

static int read_options(struct words *words, int argc, char **argv)
{
    static const struct option options[] = {
        { "topic", required_argument, NULL, 't' },   { "partition", required_argument, NULL, 'p' },
        { "outcome", required_argument, NULL, 'o' }, { "reason", required_argument, NULL, 'r' },
        { "attempt", required_argument, NULL, 'a' }, { "limit", required_argument, NULL, 'l' },
        { "json", no_argument, NULL, 'j' },          { 0 },
    };
    struct uuid uuid;
    optind = 0;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 't':
            words->topic = optarg;
            break;
        case 'p':
            words->partition = optarg;
            break;
        case 'o':
            words->outcome = optarg;
            break;
        case 'r':
            words->reason = optarg;
            break;
        case 'a':
            words->attempt = optarg;
            break;
        case 'l':
            words->limit = optarg;
            break;
        case 'j':
            words->json = true;
            break;
        default:
            return command_usage("rejected", "unknown option or missing value: %s",
                                 argv[optind - 1]);
        }
    }
    if (words->partition != NULL && !command_is_number(words->partition))
        return command_usage("rejected", "--partition %s: a number is needed", words->partition);
    if (words->limit != NULL && !command_is_number(words->limit))
        return command_usage("rejected", "--limit %s: a number is needed", words->limit);
    if (words->outcome != NULL && strcmp(words->outcome, "stale") != 0 &&
        strcmp(words->outcome, "late") != 0)
        return command_usage("rejected", "--outcome %s: it is stale or late", words->outcome);
    if (words->attempt != NULL && !uuid_parse(bytes_of(words->attempt), &uuid))
        return command_usage("rejected", "--attempt %s: it is a UUID in lower case",
                             words->attempt);
    words->what = argc > optind ? argv[optind] : "";
    words->id = argc > optind + 1 ? argv[optind + 1] : NULL;
    if (argc > optind + 2)
        return command_usage("rejected", "'%s' is one word too many", argv[optind + 2]);
    return EX_OK;
}

/* ------------------------------------------------------------------------------------ list */

static const char *text(const json_t *object, const char *key)
{
    return document_text(object, key, "-");
}

static void print_list(const json_t *document)
{
    size_t i;
    const json_t *item, *list = json_object_get(document, "rejected");
    if (json_array_size(list) == 0) {
        (void)puts("no rejected writes");
        return;
    }
    (void)printf("%8s  %-7s %-13s %-20s %-36s %8s %8s  %s\n", "ID", "OUTCOME", "REASON",
                 "REJECTED AT", "ATTEMPT", "EXPECTED", "ROW WAS", "RECORD");
    json_array_foreach(list, i, item)
    {
        bool erased = json_is_true(json_object_get(item, "erased"));
        (void)printf("%8lld  %-7s %-13s %-20s %-36s %8lld %8lld  %s[%lld]@%lld\n",
                     document_number(item, "id"), text(item, "outcome"), text(item, "reason"),
                     text(item, "rejected_at"), erased ? "(erased)" : text(item, "attempt_id"),
                     document_number(item, "expected_version"),
                     document_number(item, "row_version"), text(item, "topic"),
                     document_number(item, "partition"), document_number(item, "record_offset"));
    }
    long long total = document_number(document, "total"), shown = (long long)json_array_size(list);
    if (total > shown)
        (void)printf("... and %lld older ones (--limit)\n", total - shown);
}

static int list(const struct words *words, struct pg_client *db)
{
    struct err err;
    const char *params[] = { words->topic,   words->partition,
                             words->outcome, words->reason,
                             words->attempt, words->limit != NULL ? words->limit : "50" };
    json_t *document = facts_from_database(db, "rejected_list.sql", params, 6, &err);
    if (document == NULL)
        return command_fail("rejected", &err);
    int code = EX_OK;
    if (words->json)
        code = document_print("rejected", document, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    else
        print_list(document);
    json_decref(document);
    return code;
}

/* ------------------------------------------------------------------------------------ show */

static void print_write(const struct pg_rows *rows, const char *id)
{
    (void)printf("rejected write %s: %s %s\n", id, pg_rows_text(rows, 0, 1, ""),
                 pg_rows_text(rows, 0, 2, ""));
    (void)printf("%-12s %s\n", "record", pg_rows_text(rows, 0, 7, ""));
    (void)printf("%-12s %s\n", "rejected at", pg_rows_text(rows, 0, 8, ""));
    (void)printf("%-12s expected %s, the row was at %s\n", "version", pg_rows_text(rows, 0, 5, "?"),
                 pg_rows_text(rows, 0, 6, "?"));
    if (pg_rows_bool(rows, 0, 10)) {
        (void)puts("Its attempt was erased, and its contents with it.");
        return;
    }
    (void)printf("%-12s %s\n%-12s %s\n", "attempt", pg_rows_text(rows, 0, 3, "-"), "event",
                 pg_rows_text(rows, 0, 4, "-"));
    escape_print_json(pg_rows_bytes(rows, 0, 9));
}

static int show(const struct words *words, struct pg_client *db)
{
    struct err err;
    struct pg_rows *rows;
    const char *params[] = { words->id };
    if (!facts_run(db, "rejected_show.sql", params, 1, &rows, &err))
        return command_fail("rejected", &err);
    int code = EX_OK;
    if (pg_rows_count(rows) == 0) {
        (void)err_set(&err, ERR_REJECT, "unknown",
                      "there is no rejected write %s; 'attemptd rejected list' has them",
                      words->id);
        code = command_fail("rejected", &err);
    } else if (words->json) {
        escape_print_json(pg_rows_bytes(rows, 0, 0));
    } else {
        print_write(rows, words->id);
    }
    pg_rows_free(rows);
    return code;
}

int rejected_command(const struct settings *settings, int argc, char **argv)
{
    struct words words = { 0 };
    struct err err;
    int code = read_options(&words, argc, argv);
    if (code != EX_OK)
        return code;
    bool shows = strcmp(words.what, "show") == 0;
    if (!shows && strcmp(words.what, "list") != 0)
        return command_usage("rejected", "it is list or show");
    if (shows != (words.id != NULL) || (shows && !command_is_number(words.id)))
        return command_usage("rejected", shows ? "show needs the ID of one; 'attemptd rejected "
                                                 "list' has them"
                                               : "list takes options only");
    struct pg_client *db = facts_connect(settings, true, &err);
    if (db == NULL)
        return command_fail("rejected", &err);
    code = shows ? show(&words, db) : list(&words, db);
    pg_client_free(db);
    return code;
}
