/*
 * What the operator decided: every setting of DESIGN 1.7, from flags, environment and file.
 *
 * Read once at start, never changed. One table (settings.c) is the source of the flags, the
 * variables, the help and --print-config. The struct and all texts in it live until
 * settings_free().
 */
#ifndef WORKER_SETTINGS_H
#define WORKER_SETTINGS_H

#include "common/conf.h"
#include "worker/events/decode.h"
#include "worker/events/record.h"

#include <stdbool.h>
#include <stdint.h>

#define TOPIC_NAME_MAX 249 /* Kafka's own limit */

struct settings {
    /* where */
    const char *database_url;         /* NULL: libpq's own PG* variables and defaults */
    const char *database_replica_url; /* NULL: none */
    const char *schema;
    const char *kafka_brokers;
    const char *group;
    const char *topic_prefix;
    const char *http; /* as given; see http_host */

    /* how much, how often */
    int64_t workers;
    int64_t linger_ms;
    int64_t batch_events;
    int64_t memory_mb;
    int64_t retries;
    int64_t breaker_failures;
    int64_t breaker_open_ms;
    int64_t activity_months; /* that activity is kept besides the present one; 0: for ever */
    int64_t partitions;      /* of topics that doctor --fix creates */

    /* what is accepted: these decide outcomes, so all workers must agree on them */
    int64_t max_value_bytes;
    int64_t max_version_jump;
    int64_t max_depth;
    int64_t max_answer_keys;
    int64_t max_name_bytes;
    int64_t max_activity_events;
    int64_t max_number_digits;
    int64_t max_number_exponent;

    const char *log;       /* "human", "json", or NULL: human on a terminal */
    const char *log_level; /* "debug", "info", "warn", "error" */
    const char *config;
    bool print_config;
    bool accept_settings;

    /* computed */
    bool http_on;
    char http_host[64]; /* without brackets */
    uint16_t http_port; /* 0 lets the system choose */
    char topics[TOPIC_COUNT][TOPIC_NAME_MAX + 1];
    char invalidations_topic[TOPIC_NAME_MAX + 1];
    char outcomes_topic[TOPIC_NAME_MAX + 1];
    const struct conf_pair *properties; /* for librdkafka, besides the brokers and the group */
    size_t property_count;

    const char *kafka_security_protocol, *kafka_sasl_mechanism; /* become properties */
    const char *kafka_sasl_username, *kafka_sasl_password, *kafka_ssl_ca_location;
    struct conf *conf;
};

/*
 * Takes the settings' flags out of argv (see conf_load) and reads the rest. NULL with `err` whose
 * code says which exit code fits: settings_exit_code().
 */
struct settings *settings_load(int argc, char **argv, int *ret_argc, struct err *err);
void settings_free(struct settings *settings);

/* EX_USAGE for a flag, EX_CONFIG for environment and file, EX_OSERR or EX_SOFTWARE for the rest. */
int settings_exit_code(const struct err *err);

/* Every setting, its value and origin; secrets masked. */
void settings_print(const struct settings *settings, FILE *to);

/* Which settings a command looks at. */
enum settings_group {
    SETTINGS_ALWAYS = 1,   /* config, log */
    SETTINGS_DATABASE = 2, /* where PostgreSQL is */
    SETTINGS_KAFKA = 4,    /* where Kafka is and what the topics are called */
    SETTINGS_LIMITS = 8,   /* what the decoder takes */
    SETTINGS_RUN = 16,     /* how the worker works */
    SETTINGS_TOPICS = 32   /* topics to be made */
};

/* The flags of those groups, for help texts. */
void settings_print_help(unsigned groups, FILE *to);

struct decode_limits settings_limits(const struct settings *settings);

/*
 * The next variable of the environment that begins with ATTEMPTD_ and is no setting (a typing
 * error, most likely); NULL after the last. Start with *at = 0.
 */
const char *settings_unknown_variable(size_t *at);

#endif
