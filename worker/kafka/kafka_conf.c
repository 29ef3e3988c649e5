#include "worker/kafka/kafka_conf.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>

struct fixed_property {
    const char *name, *value;
    const char *in_force; /* as librdkafka reads it back, where that differs */
};

/* Every client of ours. */
static const struct fixed_property fixed_for_all[] = {
    { "allow.auto.create.topics", "false", NULL },
    { "socket.keepalive.enable", "true", NULL },
    { NULL, NULL, NULL },
};

/* Everything that reads. */
static const struct fixed_property fixed_for_reading[] = {
    { "auto.offset.reset", "error", NULL }, /* never move over a hole in silence */
    { "enable.auto.commit", "false", NULL },
    { "enable.auto.offset.store", "false", NULL },
    { "check.crcs", "true", NULL }, /* off by default: a flipped byte would be an answer */
    { "isolation.level", "read_committed", NULL },
    { "enable.partition.eof", "true", NULL },
    { NULL, NULL, NULL },
};

static const struct fixed_property fixed_for_watching[] = {
    { "auto.offset.reset", "error", NULL },
    { "enable.auto.commit", "false", NULL },
    { "isolation.level", "read_uncommitted", NULL },
    { NULL, NULL, NULL },
};

static const struct fixed_property fixed_for_publishing[] = {
    { "message.timeout.ms", "30000", NULL }, /* then we hear why, and send it again */
    { "acks", "all", "-1" },
    { "partitioner", "murmur2_random", NULL },
    { "enable.idempotence", "false", NULL },
    { NULL, NULL, NULL },
};

static const struct fixed_property fixed_for_producing[] = {
    { "acks", "all", "-1" },
    { "partitioner", "murmur2_random", NULL },
    { "enable.idempotence", "true", NULL },
    { NULL, NULL, NULL },
};

static const struct fixed_property *fixed_for(enum kafka_role role)
{
    switch (role) {
    case KAFKA_PUBLISHER:
        return fixed_for_publishing;
    case KAFKA_PRODUCER:
        return fixed_for_producing;
    case KAFKA_WATCHER:
        return fixed_for_watching;
    case KAFKA_CONSUMER:
    case KAFKA_READER:
        break;
    }
    return fixed_for_reading;
}

static bool is_producer(enum kafka_role role)
{
    return role == KAFKA_PUBLISHER || role == KAFKA_PRODUCER;
}

#define FETCH_BYTES_MAX 1048576 /* of one partition: librdkafka's own */

#define TEXT(number)    TEXT_OF(number)
#define TEXT_OF(number) #number

/* What we choose, and -X may choose otherwise. */
static const struct fixed_property chosen[] = {
    { "partition.assignment.strategy", "range,roundrobin", NULL },
    /* A killed worker's partitions wait so long, and while the group finds out, all others do. */
    { "session.timeout.ms", TEXT(KAFKA_SESSION_TIMEOUT_MS), NULL },
    /* So long all wait for a member that is alive and does not come to a rebalance; ours come
     * within a turn of the loop, whatever the database does. */
    { "max.poll.interval.ms", "60000", NULL },
    { "topic.metadata.refresh.interval.ms", "10000", NULL }, /* new partitions within 20 s */
    { "topic.metadata.propagation.max.ms", "5000", NULL },   /* then a missing topic is told */
    { NULL, NULL, NULL },
};

/* The same for who reads; the second has its name since librdkafka 2.2. See
 * kafka_prefetch_kbytes(). */
static const struct fixed_property chosen_for_reading[] = {
    { "fetch.wait.max.ms", "100", NULL },
    { NULL, NULL, NULL },
};
static const struct fixed_property chosen_if_known[] = {
    { "fetch.queue.backoff.ms", "50", NULL },
    { NULL, NULL, NULL },
};

/*
 * librdkafka sends a request for each partition, and as many as there are, a million of them in
 * flight; a broker carries out those of one connection in turn. A flush of ten events is two dozen
 * requests: they would wait in the socket, a second and more behind the rows. With a few in flight
 * the messages wait here instead, where those of one partition become one request.
 */
static const struct fixed_property chosen_for_publishing[] = {
    { "max.in.flight.requests.per.connection", "5", NULL },
    { NULL, NULL, NULL },
};

/* Refused in -X, each with what to do instead. */
static const struct refused_property {
    const char *name, *instead;
} refused[] = {
    { "bootstrap.servers", "set KAFKA_BOOTSTRAP_SERVERS" },
    { "metadata.broker.list", "set KAFKA_BOOTSTRAP_SERVERS" },
    { "group.id", "set ATTEMPTD_GROUP" },
    { "group.instance.id",
      "members are dynamic: a static one does not leave on a clean stop, and two "
      "workers with one id throw each other out" },
    { "auto.offset.reset", "it is always `error`: the ledger says where to read" },
    { "enable.auto.commit", "it is always false: offsets are committed with the rows" },
    { "auto.commit.enable", "it is always false: offsets are committed with the rows" },
    { "enable.auto.offset.store", "it is always false: offsets are committed with the rows" },
    { "offset.store.method", "offsets are committed with the rows" },
    { "check.crcs", "it is always true" },
    { "isolation.level", "it is always read_committed" },
    { "allow.auto.create.topics",
      "it is always false: create topics with 'attemptd doctor --fix'" },
    { "enable.partition.eof", "it is always true" },
    { "socket.keepalive.enable", "it is always true" },
    { "acks", "it is always `all`" },
    { "request.required.acks", "it is always `all`" },
    { "partitioner", "it is always murmur2_random, as the contract with producers says" },
    { "message.timeout.ms", "messages are sent until they are delivered" },
    { "delivery.timeout.ms", "messages are sent until they are delivered" },
    { "enable.idempotence", "each client of ours has its own" },
    { "transactional.id", "the worker does not use Kafka transactions" },
    { "queued.max.messages.kbytes", "set ATTEMPTD_MEMORY_MB" },
    { "queued.min.messages", "low values stall the fetcher; set ATTEMPTD_MEMORY_MB" },
    { "group.protocol", "the worker assigns partitions itself, which needs the classic protocol" },
    { NULL, NULL },
};

/* ------------------------------------------------------------------------------------- names */

static bool name_put(char *ret, const char *prefix, const char *name, struct err *err)
{
    int length = snprintf(ret, KAFKA_TOPIC_NAME_MAX + 1, "%s%s", prefix ? prefix : "", name);
    if (length > KAFKA_TOPIC_NAME_MAX)
        return err_set(err, ERR_HALT, "topic_name",
                       "the topic prefix is too long: a Kafka topic's name has at most %d "
                       "characters; choose a shorter ATTEMPTD_TOPIC_PREFIX",
                       KAFKA_TOPIC_NAME_MAX);
    for (const char *c = ret; *c != '\0'; c++) {
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
        if (!letter && !(*c >= '0' && *c <= '9') && strchr("._-", *c) == NULL)
            return err_set(err, ERR_HALT, "topic_name",
                           "ATTEMPTD_TOPIC_PREFIX may have letters, digits and . _ - only, since "
                           "Kafka takes no others in the name of a topic");
    }
    return true;
}

bool kafka_names_init(struct kafka_names *names, const char *prefix, struct err *err)
{
    static const char *const topics[TOPIC_COUNT] = {
        [TOPIC_WRITES] = "attempt.writes",
        [TOPIC_ACTIVITY] = "attempt.activity",
        [TOPIC_REFRESH] = "view.refresh",
    };
    static const char *const outlets[OUTLET_COUNT] = {
        [OUTLET_INVALIDATIONS] = "cache.invalidations",
        [OUTLET_OUTCOMES] = "attempt.outcomes",
    };
    for (size_t i = 0; i < TOPIC_COUNT; i++)
        if (!name_put(names->topics[i], prefix, topics[i], err))
            return false;
    for (size_t i = 0; i < OUTLET_COUNT; i++)
        if (!name_put(names->outlets[i], prefix, outlets[i], err))
            return false;
    return true;
}

/* ------------------------------------------------------------------------------- -X properties */

#define PROPERTY_NAME_MAX 127

/* Splits "name=value"; the value is the rest of the string, which may be empty. */
static bool property_split(const char *property, char name[static PROPERTY_NAME_MAX + 1],
                           const char **ret_value, struct err *err)
{
    const char *equals = strchr(property, '=');
    if (equals == NULL || equals == property || equals - property > PROPERTY_NAME_MAX)
        return err_set(err, ERR_HALT, "property",
                       "-X wants property=value, with a name of librdkafka's CONFIGURATION.md");
    size_t length = (size_t)(equals - property);
    memcpy(name, property, length);
    name[length] = '\0';
    *ret_value = equals + 1;
    return true;
}

static bool property_check(const char *name, const char *value, struct err *err)
{
    for (const struct refused_property *r = refused; r->name != NULL; r++)
        if (strcmp(r->name, name) == 0)
            return err_set(err, ERR_HALT, "property", "-X %s cannot be set: %s", name, r->instead);
    if (strcmp(name, "partition.assignment.strategy") == 0 && strstr(value, "cooperative") != NULL)
        return err_set(err, ERR_HALT, "property",
                       "-X %s: the cooperative assignors of librdkafka before 2.10 lose positions "
                       "and hang; use range or roundrobin",
                       name);
    return true;
}

bool kafka_options_check(const struct kafka_options *options, struct err *err)
{
    for (size_t i = 0; i < options->property_count; i++) {
        char name[PROPERTY_NAME_MAX + 1];
        const char *value;
        if (!property_split(options->properties[i], name, &value, err) ||
            !property_check(name, value, err))
            return false;
    }
    return true;
}

bool kafka_property_is_secret(const char *name)
{
    static const char *const words[] = { "password", "secret", "oauthbearer.config", "key.pem",
                                         NULL };
    for (const char *const *word = words; *word != NULL; word++)
        if (strstr(name, *word) != NULL)
            return true;
    return false;
}

/* ------------------------------------------------------------------------------ configuration */

static bool conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *err)
{
    char text[512];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK)
        return true;
    /* librdkafka's text may quote the value */
    if (kafka_property_is_secret(name))
        return err_set(err, ERR_HALT, "property", "librdkafka refused the value of %s", name);
    return err_set(err, ERR_HALT, "property", "librdkafka refused %s: %s", name, text);
}

static bool conf_set_all(rd_kafka_conf_t *conf, const struct fixed_property *properties,
                         struct err *err)
{
    for (const struct fixed_property *p = properties; p->name != NULL; p++)
        if (!conf_set(conf, p->name, p->value, err))
            return false;
    return true;
}

static void conf_set_if_known(rd_kafka_conf_t *conf, const struct fixed_property *properties)
{
    char text[512];
    for (const struct fixed_property *p = properties; p->name != NULL; p++)
        (void)rd_kafka_conf_set(conf, p->name, p->value, text, sizeof text);
}

static bool conf_set_prefetch(rd_kafka_conf_t *conf, int kbytes, struct err *err)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%d", kbytes);
    if (!conf_set(conf, "queued.max.messages.kbytes", text, err))
        return false;
    (void)snprintf(text, sizeof text, "%d", kbytes < 1024 ? kbytes * 1024 : FETCH_BYTES_MAX);
    return conf_set(conf, "fetch.message.max.bytes", text, err);
}

static bool conf_set_own(rd_kafka_conf_t *conf, const struct kafka_options *options,
                         struct err *err)
{
    for (size_t i = 0; i < options->property_count; i++) {
        char name[PROPERTY_NAME_MAX + 1];
        const char *value;
        if (!property_split(options->properties[i], name, &value, err) ||
            !property_check(name, value, err) || !conf_set(conf, name, value, err))
            return false;
    }
    return true;
}

/* librdkafka prints to stderr; what people must know comes as an error, which we report once. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk, (void)level, (void)facility, (void)text;
}

bool kafka_options_debug(const struct kafka_options *options)
{
    for (size_t i = 0; i < options->property_count; i++)
        if (strncmp(options->properties[i], "debug=", 6) == 0)
            return true;
    return false;
}

/* The only sign of a topic that was deleted and made anew is a debug line (see kafka_source.h). */
static bool conf_add_debug_topic(rd_kafka_conf_t *conf, struct err *err)
{
    char own[512], all[sizeof own + 8];
    size_t size = sizeof own;
    if (rd_kafka_conf_get(conf, "debug", own, &size) != RD_KAFKA_CONF_OK)
        *own = '\0';
    (void)snprintf(all, sizeof all, "%s%stopic", own, *own ? "," : "");
    return conf_set(conf, "debug", all, err);
}

static bool conf_fill(rd_kafka_conf_t *conf, const struct kafka_options *options,
                      enum kafka_role role, struct err *err)
{
    if (options->bootstrap_servers == NULL || *options->bootstrap_servers == '\0')
        return err_set(err, ERR_HALT, "bootstrap",
                       "no Kafka broker is named: set KAFKA_BOOTSTRAP_SERVERS to host:port");
    if (!is_producer(role)) {
        conf_set_if_known(conf, chosen_if_known);
        if (!conf_set_all(conf, chosen_for_reading, err))
            return false;
    }
    if (role == KAFKA_CONSUMER && options->prefetch_kbytes > 0 &&
        !conf_set_prefetch(conf, options->prefetch_kbytes, err))
        return false;
    if (role == KAFKA_PUBLISHER && !conf_set_all(conf, chosen_for_publishing, err))
        return false;
    if (!conf_set_all(conf, chosen, err) || !conf_set_own(conf, options, err) ||
        !conf_set_all(conf, fixed_for_all, err) || !conf_set_all(conf, fixed_for(role), err))
        return false;
    if (!conf_set(conf, "bootstrap.servers", options->bootstrap_servers, err) ||
        !conf_set(conf, "client.id", options->client_id ? options->client_id : "attemptd", err))
        return false;
    /* a reader is in no group, but librdkafka wants a name for every consumer */
    if (!is_producer(role) &&
        !conf_set(conf, "group.id", options->group ? options->group : "attemptd", err))
        return false;
    if (!kafka_options_debug(options))
        rd_kafka_conf_set_log_cb(conf, on_log);
    return role != KAFKA_CONSUMER || conf_add_debug_topic(conf, err);
}

struct rd_kafka_conf_s *kafka_conf_new(const struct kafka_options *options, enum kafka_role role,
                                       struct err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (conf_fill(conf, options, role, err))
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}

static bool compare_all(const rd_kafka_conf_t *conf, const struct fixed_property *properties,
                        struct err *err)
{
    for (const struct fixed_property *p = properties; p->name != NULL; p++) {
        char value[128];
        size_t size = sizeof value;
        const char *wanted = p->in_force ? p->in_force : p->value;
        if (rd_kafka_conf_get(conf, p->name, value, &size) != RD_KAFKA_CONF_OK)
            return err_set(err, ERR_BUG, "property", "librdkafka %s cannot tell its %s",
                           rd_kafka_version_str(), p->name);
        if (strcmp(value, wanted) != 0)
            return err_set(err, ERR_BUG, "property",
                           "librdkafka %s runs with %s=%s although %s was set: not started, since "
                           "events could be lost",
                           rd_kafka_version_str(), p->name, value, wanted);
    }
    return true;
}

struct rd_kafka_s *kafka_client_start(struct rd_kafka_conf_s *conf, enum kafka_role role,
                                      struct err *err)
{
    char text[512];
    rd_kafka_t *rk = rd_kafka_new(is_producer(role) ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf,
                                  text, sizeof text);
    if (rk == NULL) {
        /* threads that are refused or come too late say nothing against the settings */
        bool scarce = rd_kafka_last_error() == RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
        rd_kafka_conf_destroy(conf); /* it is still ours when rd_kafka_new() fails */
        (void)err_set(err, scarce ? ERR_RESOURCE : ERR_HALT, scarce ? "thread" : "property",
                      "librdkafka cannot start: %s", text);
        return NULL;
    }
    const rd_kafka_conf_t *in_force = rd_kafka_conf(rk);
    if (compare_all(in_force, fixed_for_all, err) && compare_all(in_force, fixed_for(role), err))
        return rk;
    rd_kafka_destroy(rk);
    return NULL;
}

/* ------------------------------------------------------------------------------------- memory */

bool kafka_prefetch_kbytes(size_t budget_bytes, size_t partitions, int *ret_kbytes, struct err *err)
{
    size_t payload_kbytes = budget_bytes / KAFKA_PREFETCH_OVERHEAD / 1024;
    size_t share_kbytes = payload_kbytes / (partitions ? partitions : 1);
    if (share_kbytes < KAFKA_PREFETCH_KBYTES_MIN) {
        size_t mbytes = (kafka_prefetch_bytes_min(partitions) + (1 << 20) - 1) >> 20;
        return err_set(err, ERR_HALT, "memory",
                       "%zu partitions need %zu MB for records read ahead, and the budget leaves "
                       "%zu MB: raise ATTEMPTD_MEMORY_MB by %zu, or run more workers",
                       partitions, mbytes, budget_bytes >> 20, mbytes - (budget_bytes >> 20));
    }
    *ret_kbytes =
        share_kbytes > KAFKA_PREFETCH_KBYTES_MAX ? KAFKA_PREFETCH_KBYTES_MAX : (int)share_kbytes;
    return true;
}
