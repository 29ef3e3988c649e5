#include "worker/commands/status.h"
#include "worker/commands/command.h"
#include "worker/commands/document.h"
#include "worker/commands/facts.h"
#include "worker/commands/kafka_setup.h"
#include "worker/commands/withheld.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

const char status_help[] =
    "Shows where everything stands, once: the ledger and its lag behind the logs, outcomes,\n"
    "attempts, rejected writes, dead letters, views. What PostgreSQL says is the truth about\n"
    "progress, whichever workers run. Reads from DATABASE_REPLICA_URL if there is one. It takes some\n"
    "milliseconds however large the tables are: beyond 10,000, attempts and submits are the server's\n"
    "estimate ('about'), letters and changes are counted up to 10,000. LOG END is the high watermark:\n"
    "what a producer's open transaction holds back counts as lag. A line that begins with ! is about\n"
    "a partition that stands still, and where to look next.\n"
    "\n"
    "Options:\n"
    "  --json    as one JSON document\n"
    "\n"
    "Exits with 69 when PostgreSQL or Kafka does not answer, with 78 when one of them refuses\n"
    "(a wrong password, missing tables or rights), after showing what it could.\n"
    "\n"
    "Examples:\n"
    "  attemptd status\n"
    "  attemptd status --json | jq '.lag'\n";

static const char *text(const json_t *object, const char *key)
{
    return document_text(object, key, "-");
}

/* ---------------------------------------------------------------------------------- gathering */

static json_t *ask_database(const struct settings *settings, struct err *err)
{
    struct pg_client *client = facts_connect(settings, true, err);
    if (client == NULL)
        return NULL;
    json_t *facts = facts_from_database(client, "status.sql", NULL, 0, err);
    pg_client_free(client);
    return facts;
}

static json_t *ask_topics(const struct settings *settings, struct kafka_admin *admin,
                          struct err *err)
{
    json_t *topics = json_array();
    bool whole = topics != NULL;
    for (int i = 0; whole && i < TOPIC_COUNT; i++) {
        json_t *topic = facts_from_topic(admin, settings->topics[i], true, err);
        if (topic == NULL) {
            json_decref(topics);
            return NULL;
        }
        document_item(&whole, topics, topic);
    }
    if (whole)
        return topics;
    json_decref(topics);
    (void)err_set(err, ERR_RESOURCE, "memory", "no memory for what Kafka says");
    return NULL;
}

static json_t *ask_kafka(const struct settings *settings, struct err *err)
{
    struct kafka_setup setup;
    if (!kafka_setup_init(&setup, settings, err))
        return NULL;
    struct kafka_admin *admin = kafka_setup_reach(&setup, err);
    json_t *topics = admin == NULL ? NULL : ask_topics(settings, admin, err);
    kafka_admin_free(admin);
    kafka_setup_release(&setup);
    return topics;
}

static json_t *find_row(const json_t *database, const char *topic, size_t partition)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(database, "partitions"), i, row)
    {
        if (strcmp(text(row, "topic"), topic) == 0 &&
            document_number(row, "partition") == (long long)partition)
            return row;
    }
    return NULL;
}

/*
 * Puts log ends and lags into the rows of the ledger; partitions without a row get one. False when
 * there is no memory for that.
 */
static bool join(json_t *database, const json_t *topics, const struct settings *settings,
                 json_int_t *ret_lag)
{
    size_t t, p;
    json_t *topic, *log;
    bool whole = true;
    *ret_lag = 0;
    json_array_foreach(topics, t, topic)
    {
        const char *name = text(topic, "topic");
        if (strcmp(name, settings->topics[TOPIC_REFRESH]) == 0)
            continue; /* not in the ledger */
        json_array_foreach(json_object_get(topic, "logs"), p, log)
        {
            json_t *row = find_row(database, name, p);
            if (row == NULL) {
                row = json_pack("{s:s, s:I, s:I}", "topic", name, "partition", (json_int_t)p,
                                "next_offset", (json_int_t)document_number(log, "low"));
                document_item(&whole, json_object_get(database, "partitions"), row);
            }
            json_int_t lag = document_number(log, "end") - document_number(row, "next_offset");
            *ret_lag += lag;
            document_member(&whole, row, "log_start", json_integer(document_number(log, "low")));
            document_member(&whole, row, "log_end", json_integer(document_number(log, "end")));
            document_member(&whole, row, "stable_end",
                            json_integer(document_number(log, "stable_end")));
            document_member(&whole, row, "lag", json_integer(lag));
        }
    }
    return whole;
}

/* ----------------------------------------------------------------------------------- showing */

static void show_partitions(const json_t *database)
{
    size_t i;
    const json_t *row;
    const json_t *rows = json_object_get(database, "partitions");
    (void)printf("%-24s %4s %10s %10s %10s %8s %9s %9s %7s %7s %7s\n", "TOPIC", "PART", "NEXT",
                 "PUBLISHED", "LOG END", "LAG", "APPLIED", "DUPLICATE", "STALE", "LATE", "DEAD");
    json_array_foreach(rows, i, row)
    {
        bool known = json_object_get(row, "log_end") != NULL;
        char end[24] = "?", lag[24] = "?";
        if (known) {
            (void)snprintf(end, sizeof end, "%lld", document_number(row, "log_end"));
            (void)snprintf(lag, sizeof lag, "%lld", document_number(row, "lag"));
        }
        (void)printf("%-24s %4lld %10lld %10lld %10s %8s %9lld %9lld %7lld %7lld %7lld\n",
                     text(row, "topic"), document_number(row, "partition"),
                     document_number(row, "next_offset"), document_number(row, "published_offset"),
                     end, lag, document_number(row, "applied"), document_number(row, "duplicate"),
                     document_number(row, "stale"), document_number(row, "late"),
                     document_number(row, "dead"));
    }
    if (json_array_size(rows) == 0)
        (void)puts("(nothing yet)");
}

#define IDLE_MAX_S 60 /* a partition in which records wait is settled far more often */

static void show_withheld(const char *topic, long long partition, long long stable, long long end)
{
    char step[WITHHELD_STEP_MAX];
    withheld_next_step(step, topic, partition, stable);
    (void)printf(
        "!  %s %lld: all is settled up to %lld, where a producer's transaction begins that "
        "is still open; %lld records wait behind it, and no reader gets them. If it stays "
        "so: %s\n",
        topic, partition, stable, end - stable, step);
}

/* What a number in the table means for whoever was woken, and where to look next. */
static void show_concern(const json_t *row)
{
    long long next = document_number(row, "next_offset"), end = document_number(row, "log_end"),
              low = document_number(row, "log_start"), idle_s = document_number(row, "idle_s"),
              stable = document_number(row, "stable_end"),
              untold = next - document_number(row, "published_offset");
    const char *topic = text(row, "topic");
    long long partition = document_number(row, "partition");
    if (next > end)
        (void)printf("!  %s %lld: the ledger is at %lld, but the log ends at %lld: halted "
                     "(log_end), see 'attemptd help accept-gap'\n",
                     topic, partition, next, end);
    else if (next < low)
        (void)printf("!  %s %lld: the ledger is at %lld, but the log begins at %lld: halted "
                     "(log_start), see 'attemptd help accept-gap'\n",
                     topic, partition, next, low);
    else if (next == stable && stable < end)
        show_withheld(topic, partition, stable, end);
    else if (next < end && json_object_get(row, "owner") == NULL)
        (void)printf("!  %s %lld: %lld records wait, and no worker has ever had it: does one "
                     "run, and what does its log say?\n",
                     topic, partition, end - next);
    else if (next < end && idle_s > IDLE_MAX_S)
        (void)printf("!  %s %lld: %lld records wait, and nothing was settled for %lld s; worker %s "
                     "had it last: does it run, and what does its log say?\n",
                     topic, partition, end - next, idle_s, text(row, "owner"));
    else if (json_object_get(row, "owner") != NULL && untold > 0 && idle_s > IDLE_MAX_S)
        (void)printf("!  %s %lld: %lld records are settled, but caches and producers have not been "
                     "told: does a worker run, and are the topics of invalidations and outcomes "
                     "there ('attemptd doctor')?\n",
                     topic, partition, untold);
}

static void show_concerns(const json_t *database)
{
    size_t i;
    const json_t *row;
    json_array_foreach(json_object_get(database, "partitions"), i, row)
    {
        if (json_object_get(row, "log_end") != NULL)
            show_concern(row);
    }
}

/* Beyond some thousands it is the server's estimate. */
static const char *about(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key)) ? "about " : "";
}

static void show_totals(const json_t *database)
{
    const json_t *outcomes = json_object_get(database, "outcomes");
    const json_t *attempts = json_object_get(database, "attempts");
    const json_t *rejected = json_object_get(database, "rejected_writes");
    (void)printf("\nrecords   %lld = %lld applied + %lld duplicate + %lld stale + %lld late + %lld "
                 "dead  (%lld gaps)\n",
                 document_number(outcomes, "records"), document_number(outcomes, "applied"),
                 document_number(outcomes, "duplicate"), document_number(outcomes, "stale"),
                 document_number(outcomes, "late"), document_number(outcomes, "dead"),
                 document_number(outcomes, "gaps"));
    (void)printf("attempts  %s%lld in %lld exams, %s%lld submitted, %lld without a start\n",
                 about(attempts, "attempts_estimated"), document_number(attempts, "attempts"),
                 document_number(database, "exams"), about(attempts, "submitted_estimated"),
                 document_number(attempts, "submitted"),
                 document_number(attempts, "without_start"));
    (void)printf("activity  about %lld events\n",
                 document_number(database, "activity_events_estimate"));
    (void)printf("rejected  %lld stale, %lld late\n", document_number(rejected, "stale"),
                 document_number(rejected, "late"));
    const json_t *letters = json_object_get(database, "dead_letters");
    long long open = 0;
    const char *reason;
    json_t *count;
    json_object_foreach((json_t *)(uintptr_t)letters, reason, count) open +=
        json_integer_value(count);
    (void)printf("letters   %lld open", open);
    json_object_foreach((json_t *)(uintptr_t)letters, reason, count)(void)
        printf(", %s %lld", reason, (long long)json_integer_value(count));
    (void)printf("\nforeign   %lld changes to be published\n",
                 document_number(database, "foreign_changes"));
}

static void show_views(const json_t *database)
{
    size_t i;
    const json_t *view;
    (void)printf("\n%-26s %-21s %8s %10s  %s\n", "VIEW", "AS OF", "BEHIND", "RECORDS", "STATE");
    json_array_foreach(json_object_get(database, "views"), i, view)
    {
        bool stale = json_is_true(json_object_get(view, "stale"));
        const char *error = json_string_value(json_object_get(view, "last_error"));
        (void)printf("%-26s %-21s %6lld s %10lld  %s\n", text(view, "view"), text(view, "as_of"),
                     document_number(view, "behind_s"), document_number(view, "behind_records"),
                     error != NULL ? error
                     : stale       ? "stale"
                                   : "fresh");
    }
}

static void show_topics(const json_t *topics)
{
    size_t i;
    const json_t *topic;
    json_array_foreach(topics, i, topic)
    {
        if (json_is_true(json_object_get(topic, "exists")))
            (void)printf("topic     %s: %lld partitions, %lld records\n", text(topic, "topic"),
                         document_number(topic, "partitions"), document_number(topic, "records"));
        else
            (void)printf("!  topic %s does not exist: 'attemptd doctor --fix --partitions N' makes "
                         "it\n",
                         text(topic, "topic"));
    }
}

static void show(const json_t *database, const json_t *topics)
{
    if (database != NULL) {
        show_partitions(database);
        show_concerns(database);
        show_totals(database);
        show_views(database);
        (void)putchar('\n');
    }
    if (topics != NULL)
        show_topics(topics);
}

static int show_json(json_t *database, json_t *topics, json_int_t lag, const char *database_error,
                     const char *kafka_error)
{
    bool both = database != NULL && topics != NULL;
    json_t *document =
        json_pack("{s:s, s:O?, s:O?, s:o, s:s?, s:s?}", "version", ATTEMPTD_VERSION, "database",
                  database, "topics", topics, "lag", both ? json_integer(lag) : json_null(),
                  "database_error", database_error, "kafka_error", kafka_error);
    int code = document_print("status", document, JSON_INDENT(2));
    json_decref(document);
    return code;
}

int status_command(const struct settings *settings, int argc, char **argv)
{
    static const struct option options[] = { { "json", no_argument, NULL, 'j' },
                                             { NULL, 0, NULL, 0 } };
    bool json = false;
    optind = 0;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option != 'j')
            return command_usage("status", "there is no option '%s'", argv[optind - 1]);
        json = true;
    }
    if (optind < argc)
        return command_usage("status", "'%s' is one word too many", argv[optind]);

    struct err database_err = { 0 }, kafka_err = { 0 };
    json_t *database = ask_database(settings, &database_err);
    json_t *topics = ask_kafka(settings, &kafka_err);
    int code = EX_OK;
    if (topics == NULL)
        code = json ? command_exit_code(&kafka_err) : command_fail("status", &kafka_err);
    if (database == NULL) {
        int other = json ? command_exit_code(&database_err) : command_fail("status", &database_err);
        code = code == EX_CONFIG ? code : other; /* waiting would not help: that comes first */
    }
    json_int_t lag = 0;
    int shown = EX_OK;
    if (database != NULL && topics != NULL && !join(database, topics, settings, &lag))
        shown = document_no_memory("status");
    else if (json)
        shown = show_json(database, topics, lag, database == NULL ? database_err.text : NULL,
                          topics == NULL ? kafka_err.text : NULL);
    else
        show(database, topics);
    json_decref(database);
    json_decref(topics);
    return code == EX_OK ? shown : code;
}
