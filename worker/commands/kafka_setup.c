#include "worker/commands/kafka_setup.h"

#include <stdio.h>
#include <stdlib.h>

#define SILENT_MS 1000 /* shorter waits are nobody's concern */

static char *join(const struct conf_pair *pair)
{
    char *text = NULL;
    return asprintf(&text, "%s=%s", pair->name, pair->value) < 0 ? NULL : text;
}

void kafka_setup_release(struct kafka_setup *setup)
{
    for (size_t i = 0; setup->properties != NULL && i < setup->options.property_count; i++)
        free(setup->properties[i]);
    free(setup->properties);
    *setup = (struct kafka_setup){ 0 };
}

bool kafka_setup_init(struct kafka_setup *setup, const struct settings *settings, struct err *err)
{
    *setup = (struct kafka_setup){ 0 };
    if (!kafka_names_init(&setup->names, settings->topic_prefix, err))
        return false;
    setup->properties = calloc(settings->property_count + 1, sizeof *setup->properties);
    bool good = setup->properties != NULL;
    while (good && setup->options.property_count < settings->property_count) {
        size_t i = setup->options.property_count;
        setup->properties[i] = join(&settings->properties[i]);
        good = setup->properties[i] != NULL;
        setup->options.property_count += good;
    }
    if (!good) {
        kafka_setup_release(setup);
        return err_set(err, ERR_RESOURCE, "ENOMEM", "out of memory");
    }
    setup->options.bootstrap_servers = settings->kafka_brokers;
    setup->options.group = settings->group;
    setup->options.names = &setup->names;
    setup->options.properties = (const char *const *)setup->properties;
    return true;
}

static bool finds_brokers(struct kafka_admin *admin, const char *address, int timeout_ms,
                          struct kafka_cluster *ret, struct err *err)
{
    struct err why;
    struct kafka_cluster cluster;
    if (!kafka_admin_cluster(admin, timeout_ms, &cluster, &why))
        return err_set(
            err, why.action, why.code,
            "nothing from Kafka at %.60s: %.130s; is KAFKA_BOOTSTRAP_SERVERS right and the "
            "broker up?",
            address, why.text);
    if (cluster.broker_count == 0)
        return err_set(
            err, ERR_RETRY, "no_brokers",
            "Kafka at %.60s answers, but says that it has no brokers: its controller has "
            "fenced them all. If it stays so, see in the brokers' logs why their "
            "heartbeats do not reach the controller",
            address);
    *ret = cluster;
    return true;
}

bool kafka_setup_wait(struct kafka_admin *admin, const char *address, struct kafka_cluster *ret,
                      struct err *err)
{
    if (finds_brokers(admin, address, SILENT_MS, ret, err))
        return true;
    const int rest_ms = KAFKA_ADMIN_TIMEOUT_MS - SILENT_MS;
    (void)fprintf(stderr,
                  "attemptd: waiting %d s more for Kafka at %s: is the broker up, is the address "
                  "right (KAFKA_BOOTSTRAP_SERVERS), does nothing stand in the way (firewall, TLS, "
                  "SASL)?\n",
                  rest_ms / 1000, address);
    return finds_brokers(admin, address, rest_ms, ret, err);
}

struct kafka_admin *kafka_setup_reach(const struct kafka_setup *setup, struct err *err)
{
    struct kafka_cluster cluster;
    struct kafka_admin *admin = kafka_admin_new(&setup->options, err);
    if (admin == NULL || kafka_setup_wait(admin, setup->options.bootstrap_servers, &cluster, err))
        return admin;
    kafka_admin_free(admin);
    return NULL;
}
