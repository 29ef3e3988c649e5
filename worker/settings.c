#include "worker/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define FIELD(member) offsetof(struct settings, member)

static const struct conf_entry entries[] = {
    { .name = "DATABASE_URL",
      .flag = "database-url",
      .groups = SETTINGS_DATABASE,
      .offset = FIELD(database_url),
      .secrecy = CONF_URL,
      .help = "PostgreSQL to write to; without it libpq's PG* variables say where" },
    { .name = "DATABASE_REPLICA_URL",
      .flag = "database-replica-url",
      .groups = SETTINGS_DATABASE,
      .offset = FIELD(database_replica_url),
      .secrecy = CONF_URL,
      .help = "a replica that one-shot reads may use" },
    { .name = "ATTEMPTD_SCHEMA",
      .flag = "schema",
      .groups = SETTINGS_DATABASE,
      .offset = FIELD(schema),
      .fallback = "public",
      .help = "the schema of the tables" },
    { .name = "KAFKA_BOOTSTRAP_SERVERS",
      .alias = "KAFKA_BROKERS",
      .flag = "kafka-bootstrap-servers",
      .groups = SETTINGS_KAFKA,
      .offset = FIELD(kafka_brokers),
      .fallback = "localhost:9092",
      .help = "brokers, host:port, separated by commas" },
    { .name = "KAFKA_SECURITY_PROTOCOL",
      .flag = "kafka-security-protocol",
      .groups = SETTINGS_KAFKA,
      .offset = FIELD(kafka_security_protocol),
      .choices = "plaintext|ssl|sasl_plaintext|sasl_ssl|PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL",
      .help = "the property security.protocol" },
    { .name = "KAFKA_SASL_MECHANISM",
      .flag = "kafka-sasl-mechanism",
      .groups = SETTINGS_KAFKA,
      .offset = FIELD(kafka_sasl_mechanism),
      .help = "the property sasl.mechanism" },
    { .name = "KAFKA_SASL_USERNAME",
      .flag = "kafka-sasl-username",
      .groups = SETTINGS_KAFKA,
      .offset = FIELD(kafka_sasl_username),
      .help = "the property sasl.username" },
    { .name = "KAFKA_SASL_PASSWORD",
      .flag = "kafka-sasl-password",
      .groups = SETTINGS_KAFKA,
      .offset = FIELD(kafka_sasl_password),
      .secrecy = CONF_SECRET,
      .help = "the property sasl.password; better as KAFKA_SASL_PASSWORD_FILE" },
    { .name = "KAFKA_SSL_CA_LOCATION",
      .flag = "kafka-ssl-ca-location",
      .groups = SETTINGS_KAFKA,
      .offset = FIELD(kafka_ssl_ca_location),
      .help = "the property ssl.ca.location" },
    { .name = "ATTEMPTD_GROUP",
      .flag = "group",
      .groups = SETTINGS_KAFKA,
      .offset = FIELD(group),
      .fallback = "attemptd",
      .help = "the consumer group, which shares the partitions among all workers" },
    { .name = "ATTEMPTD_TOPIC_PREFIX",
      .flag = "topic-prefix",
      .groups = SETTINGS_KAFKA,
      .offset = FIELD(topic_prefix),
      .fallback = "",
      .help = "put in front of every topic's name" },
    { .name = "ATTEMPTD_PARTITIONS",
      .flag = "partitions",
      .groups = SETTINGS_TOPICS,
      .type = CONF_NUMBER,
      .offset = FIELD(partitions),
      .fallback = "12",
      .min = 1,
      .max = 10000,
      .help = "partitions of the topics that doctor --fix creates" },
    { .name = "ATTEMPTD_WORKERS",
      .flag = "workers",
      .groups = SETTINGS_RUN,
      .type = CONF_NUMBER,
      .offset = FIELD(workers),
      .fallback = "1",
      .min = 1,
      .max = 256,
      .help = "worker processes; above 1 a supervisor starts and restarts them" },
    { .name = "ATTEMPTD_LINGER_MS",
      .flag = "linger-ms",
      .groups = SETTINGS_RUN,
      .type = CONF_NUMBER,
      .offset = FIELD(linger_ms),
      .fallback = "200",
      .min = 0,
      .max = 60000,
      .help = "how long a save waits for company before it is written" },
    { .name = "ATTEMPTD_BATCH_EVENTS",
      .flag = "batch-events",
      .groups = SETTINGS_RUN,
      .type = CONF_NUMBER,
      .offset = FIELD(batch_events),
      .fallback = "200000",
      .min = 1,
      .max = 1000000,
      .help = "records in one transaction at most" },
    { .name = "ATTEMPTD_MEMORY_MB",
      .flag = "memory-mb",
      .groups = SETTINGS_RUN,
      .type = CONF_NUMBER,
      .offset = FIELD(memory_mb),
      .fallback = "256",
      .min = 1,
      .max = 1048576,
      .help = "memory of one worker process: two batches and what is prefetched" },
    { .name = "ATTEMPTD_ACTIVITY_MONTHS",
      .flag = "activity-months",
      .groups = SETTINGS_RUN,
      .type = CONF_NUMBER,
      .offset = FIELD(activity_months),
      .fallback = "0",
      .min = 0,
      .max = 1200,
      .help = "activity is kept for so many months besides the present one; 0: for ever" },
    { .name = "ATTEMPTD_RETRIES",
      .flag = "retries",
      .groups = SETTINGS_RUN,
      .type = CONF_NUMBER,
      .offset = FIELD(retries),
      .fallback = "3",
      .min = 0,
      .max = 1000,
      .help = "tries of a transaction before it waits for the breaker" },
    { .name = "ATTEMPTD_BREAKER_FAILURES",
      .flag = "breaker-failures",
      .groups = SETTINGS_RUN,
      .type = CONF_NUMBER,
      .offset = FIELD(breaker_failures),
      .fallback = "5",
      .min = 1,
      .max = 1000,
      .help = "failures in a row that open the circuit breaker" },
    { .name = "ATTEMPTD_BREAKER_OPEN_MS",
      .flag = "breaker-open-ms",
      .groups = SETTINGS_RUN,
      .type = CONF_NUMBER,
      .offset = FIELD(breaker_open_ms),
      .fallback = "60000",
      .min = 500,
      .max = 3600000,
      .help = "the longest pause between two probes of an open breaker" },
    { .name = "ATTEMPTD_MAX_VALUE_BYTES",
      .flag = "max-value-bytes",
      .groups = SETTINGS_LIMITS,
      .type = CONF_NUMBER,
      .offset = FIELD(max_value_bytes),
      .fallback = "1048576",
      .min = 1024,
      .max = 31457280, /* what is longer than 32 MiB with key and headers is not read */
      .help = "a longer record is dead (limits)" },
    { .name = "ATTEMPTD_MAX_VERSION_JUMP",
      .flag = "max-version-jump",
      .groups = SETTINGS_LIMITS,
      .type = CONF_NUMBER,
      .offset = FIELD(max_version_jump),
      .fallback = "1000000",
      .min = 1,
      .max = INT64_MAX - 1,
      .help = "an event further ahead of its row is dead (version_jump)" },
    { .name = "ATTEMPTD_MAX_DEPTH",
      .flag = "max-depth",
      .groups = SETTINGS_LIMITS,
      .type = CONF_NUMBER,
      .offset = FIELD(max_depth),
      .fallback = "32",
      .min = 2,
      .max = 1000,
      .help = "deeper data is dead (depth)" },
    { .name = "ATTEMPTD_MAX_ANSWER_KEYS",
      .flag = "max-answer-keys",
      .groups = SETTINGS_LIMITS,
      .type = CONF_NUMBER,
      .offset = FIELD(max_answer_keys),
      .fallback = "5000",
      .min = 1,
      .max = 1000000,
      .help = "more answers in one event are dead (limits)" },
    { .name = "ATTEMPTD_MAX_NAME_BYTES",
      .flag = "max-name-bytes",
      .groups = SETTINGS_LIMITS,
      .type = CONF_NUMBER,
      .offset = FIELD(max_name_bytes),
      .fallback = "256",
      .min = 1,
      .max = 2000, /* attempt_answers has an index on it: a third of a page */
      .help = "longer answer keys and event types are dead (limits)" },
    { .name = "ATTEMPTD_MAX_ACTIVITY_EVENTS",
      .flag = "max-activity-events",
      .groups = SETTINGS_LIMITS,
      .type = CONF_NUMBER,
      .offset = FIELD(max_activity_events),
      .fallback = "1000",
      .min = 1,
      .max = 100000,
      .help = "more activity events in one record are dead (limits)" },
    { .name = "ATTEMPTD_MAX_NUMBER_DIGITS",
      .flag = "max-number-digits",
      .groups = SETTINGS_LIMITS,
      .type = CONF_NUMBER,
      .offset = FIELD(max_number_digits),
      .fallback = "1000",
      .min = 1,
      .max = 16000, /* PostgreSQL's numeric ends at 16,383 digits after the point */
      .help = "longer numbers are dead (number)" },
    { .name = "ATTEMPTD_MAX_NUMBER_EXPONENT",
      .flag = "max-number-exponent",
      .groups = SETTINGS_LIMITS,
      .type = CONF_NUMBER,
      .offset = FIELD(max_number_exponent),
      .fallback = "1000",
      .min = 0,
      .max = 16000,
      .help = "numbers with a larger exponent are dead (number)" },
    { .name = "ATTEMPTD_HTTP",
      .flag = "http",
      .groups = SETTINGS_RUN,
      .offset = FIELD(http),
      .fallback = "127.0.0.1:9464",
      .help = "address:port of /livez /readyz /metrics /status.json, or off" },
    { .name = "ATTEMPTD_LOG",
      .flag = "log",
      .groups = SETTINGS_ALWAYS,
      .offset = FIELD(log),
      .choices = "human|json",
      .help = "form of the log on stderr; without it human on a terminal, else json" },
    { .name = "ATTEMPTD_LOG_LEVEL",
      .flag = "log-level",
      .groups = SETTINGS_ALWAYS,
      .offset = FIELD(log_level),
      .fallback = "info",
      .choices = "debug|info|warn|error",
      .help = "the least important line to be logged" },
    { .name = "ATTEMPTD_CONFIG",
      .flag = "config",
      .groups = SETTINGS_ALWAYS,
      .offset = FIELD(config),
      .help = "a file of settings, one `key = value` a line" },
    { .name = "ATTEMPTD_ACCEPT_SETTINGS",
      .flag = "accept-settings",
      .groups = SETTINGS_RUN,
      .type = CONF_SWITCH,
      .offset = FIELD(accept_settings),
      .fallback = "false",
      .help = "store this worker's --max-* in the database, for all workers" },
    { .name = "ATTEMPTD_PRINT_CONFIG",
      .flag = "print-config",
      .groups = SETTINGS_ALWAYS,
      .type = CONF_SWITCH,
      .offset = FIELD(print_config),
      .fallback = "false",
      .help = "print what is in force and where it came from, then end" },
};

static const struct conf_table table = { .entries = entries,
                                         .count = sizeof entries / sizeof *entries,
                                         .config_flag = "config",
                                         .pair_prefix = "kafka." };

/* ------------------------------------------------------------------- what one line cannot say */

static bool refuse(const struct settings *settings, const char *name, const char *value,
                   const char *allowed, struct err *err)
{
    const char *origin = conf_origin(settings->conf, name);
    const char *code = strncmp(origin, "flag", 4) == 0 ? CONF_ERR_USAGE : CONF_ERR_CONFIG;
    return err_set(err, ERR_HALT, code, "%s cannot be '%.60s' (%s): %s", name, value, origin,
                   allowed);
}

/* address:port, [v6]:port, :port, or off. */
static bool read_http(struct settings *settings, struct err *err)
{
    const char *text = settings->http;
    if (strcmp(text, "off") == 0)
        return true;
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    long port = colon == NULL ? -1 : strtol(colon + 1, &end, 10);
    if (colon == NULL || end == colon + 1 || *end != '\0' || port < 0 || port > 65535)
        return refuse(settings, "ATTEMPTD_HTTP", text, "allowed is address:port or off", err);
    const char *host = text;
    size_t len = (size_t)(colon - text);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    if (len >= sizeof settings->http_host)
        return refuse(settings, "ATTEMPTD_HTTP", text, "the address is too long", err);
    (void)snprintf(settings->http_host, sizeof settings->http_host, "%.*s", len == 0 ? 9 : (int)len,
                   len == 0 ? "127.0.0.1" : host);
    settings->http_port = (uint16_t)port;
    settings->http_on = true;
    return true;
}

static bool name_topics(struct settings *settings, struct err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "._-";
    const char *prefix = settings->topic_prefix;
    if (strlen(prefix) > 200 || strspn(prefix, letters) != strlen(prefix))
        return refuse(settings, "ATTEMPTD_TOPIC_PREFIX", prefix,
                      "allowed are at most 200 of a-z A-Z 0-9 . _ -", err);
    static const char *const names[TOPIC_COUNT] = { [TOPIC_WRITES] = "attempt.writes",
                                                    [TOPIC_ACTIVITY] = "attempt.activity",
                                                    [TOPIC_REFRESH] = "view.refresh" };
    for (int i = 0; i < TOPIC_COUNT; i++)
        (void)snprintf(settings->topics[i], sizeof settings->topics[i], "%s%s", prefix, names[i]);
    (void)snprintf(settings->invalidations_topic, sizeof settings->invalidations_topic,
                   "%scache.invalidations", prefix);
    (void)snprintf(settings->outcomes_topic, sizeof settings->outcomes_topic, "%sattempt.outcomes",
                   prefix);
    return true;
}

/* libpq would take any other word for the name of a database on this host. The value is not shown:
 * what is no URL cannot be masked. */
static bool check_url(const struct settings *settings, const char *name, const char *value,
                      struct err *err)
{
    if (value == NULL || *value == '\0' || strncmp(value, "postgresql://", 13) == 0 ||
        strncmp(value, "postgres://", 11) == 0 ||
        (strstr(value, "://") == NULL && strchr(value, '=') != NULL))
        return true;
    return refuse(settings, name, "...",
                  "allowed is postgresql://USER@HOST:PORT/DATABASE, or libpq's words "
                  "(host=... dbname=...)",
                  err);
}

static bool check_words(const struct settings *settings, struct err *err)
{
    if (!check_url(settings, "DATABASE_URL", settings->database_url, err) ||
        !check_url(settings, "DATABASE_REPLICA_URL", settings->database_replica_url, err))
        return false;
    const char *schema = settings->schema;
    size_t len = strlen(schema);
    if (len == 0 || len > 63 || strspn(schema, "abcdefghijklmnopqrstuvwxyz0123456789_") != len ||
        (schema[0] >= '0' && schema[0] <= '9'))
        return refuse(settings, "ATTEMPTD_SCHEMA", schema,
                      "allowed are 1 to 63 of a-z 0-9 _, not beginning with a digit", err);
    if (*settings->group == '\0' || strlen(settings->group) > 255)
        return refuse(settings, "ATTEMPTD_GROUP", settings->group, "allowed are 1 to 255 bytes",
                      err);
    if (*settings->kafka_brokers == '\0')
        return refuse(settings, "KAFKA_BOOTSTRAP_SERVERS", "", "at least one host:port is needed",
                      err);
    return true;
}

/* The few properties that have variables of their own; an explicit -X is stronger. */
static bool name_properties(struct settings *settings, struct err *err)
{
    const struct {
        const char *value, *property, *name;
    } named[] = {
        { settings->kafka_security_protocol, "security.protocol", "KAFKA_SECURITY_PROTOCOL" },
        { settings->kafka_sasl_mechanism, "sasl.mechanism", "KAFKA_SASL_MECHANISM" },
        { settings->kafka_sasl_username, "sasl.username", "KAFKA_SASL_USERNAME" },
        { settings->kafka_sasl_password, "sasl.password", "KAFKA_SASL_PASSWORD" },
        { settings->kafka_ssl_ca_location, "ssl.ca.location", "KAFKA_SSL_CA_LOCATION" },
    };
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        if (named[i].value != NULL &&
            !conf_set_pair(settings->conf, named[i].property, named[i].value, CONF_DEFAULT,
                           conf_origin(settings->conf, named[i].name), err))
            return false;
    }
    settings->properties = conf_pairs(settings->conf, &settings->property_count);
    return true;
}

/* ------------------------------------------------------------------------------- life cycle */

struct settings *settings_load(int argc, char **argv, int *ret_argc, struct err *err)
{
    struct settings *settings = calloc(1, sizeof *settings);
    if (settings != NULL)
        settings->conf = conf_new(&table, settings);
    if (settings == NULL || settings->conf == NULL) {
        (void)err_set(err, ERR_RESOURCE, "memory", "no memory for the settings");
        settings_free(settings);
        return NULL;
    }
    if (!conf_load(settings->conf, argc, argv, ret_argc, err) || !check_words(settings, err) ||
        !read_http(settings, err) || !name_topics(settings, err) ||
        !name_properties(settings, err)) {
        settings_free(settings);
        return NULL;
    }
    return settings;
}

void settings_free(struct settings *settings)
{
    if (settings != NULL)
        conf_free(settings->conf);
    free(settings);
}

int settings_exit_code(const struct err *err)
{
    if (strcmp(err->code, CONF_ERR_USAGE) == 0)
        return EX_USAGE;
    if (strcmp(err->code, CONF_ERR_CONFIG) == 0)
        return EX_CONFIG;
    return err->action == ERR_BUG ? EX_SOFTWARE : EX_OSERR;
}

/* ---------------------------------------------------------------------------------- showing */

void settings_print(const struct settings *settings, FILE *to)
{
    conf_print(settings->conf, to);
    /* libpq reads these by itself; whoever looks for "which database?" needs to see them. */
    static const char *const libpq[] = { "PGHOST",    "PGHOSTADDR", "PGPORT",     "PGDATABASE",
                                         "PGUSER",    "PGPASSWORD", "PGPASSFILE", "PGSERVICE",
                                         "PGSSLMODE", "PGOPTIONS" };
    for (size_t i = 0; i < sizeof libpq / sizeof *libpq; i++) {
        const char *value = getenv(libpq[i]);
        if (value != NULL && *value != '\0')
            (void)fprintf(to, "%-32s = %-28s # environment, read by libpq\n", libpq[i],
                          strcmp(libpq[i], "PGPASSWORD") == 0 ? "***" : value);
    }
}

void settings_print_help(unsigned groups, FILE *to)
{
    conf_print_help(&table, groups, to);
    if ((groups & SETTINGS_KAFKA) != 0)
        (void)fputs("  -X PROPERTY=VALUE                any property of librdkafka\n", to);
}

struct decode_limits settings_limits(const struct settings *settings)
{
    return (struct decode_limits){
        .value_bytes_max = (size_t)settings->max_value_bytes,
        .depth_max = (unsigned)settings->max_depth,
        .answer_keys_max = (size_t)settings->max_answer_keys,
        .name_bytes_max = (size_t)settings->max_name_bytes,
        .activity_events_max = (size_t)settings->max_activity_events,
        .number_digits_max = (unsigned)settings->max_number_digits,
        .number_exponent_max = (unsigned)settings->max_number_exponent,
    };
}

/* Is `variable` (NAME=value) one of the table's, or one's _FILE? */
static bool is_known(const char *variable, size_t name_len)
{
    for (size_t i = 0; i < table.count; i++) {
        size_t len = strlen(entries[i].name);
        if (len > name_len || strncmp(variable, entries[i].name, len) != 0)
            continue;
        if (len == name_len || (len + 5 == name_len && entries[i].secrecy != CONF_PUBLIC &&
                                strncmp(variable + len, "_FILE", 5) == 0))
            return true;
    }
    return false;
}

const char *settings_unknown_variable(size_t *at)
{
    for (; environ[*at] != NULL; (*at)++) {
        const char *variable = environ[*at];
        if (strncmp(variable, "ATTEMPTD_", 9) == 0 && !is_known(variable, strcspn(variable, "="))) {
            (*at)++;
            return variable;
        }
    }
    return NULL;
}
