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

bool kafka_setup_wait(struct kafka_admin *admin, const char *address, struct err *err)
{
    struct kafka_cluster cluster;
    if (kafka_admin_cluster(admin, SILENT_MS, &cluster, err))
        return true;
    const int rest_ms = KAFKA_ADMIN_TIMEOUT_MS - SILENT_MS;
    (void)fprintf(stderr,
                  "attemptd: waiting %d s more for Kafka at %s: is the broker up, is the address "
                  "right (KAFKA_BOOTSTRAP_SERVERS), does nothing stand in the way (firewall, TLS, "
                  "SASL)?\n",
                  rest_ms / 1000, address);
    return kafka_admin_cluster(admin, rest_ms, &cluster, err);
}

struct kafka_admin *kafka_setup_reach(const struct kafka_setup *setup, struct err *err)
{
    struct err why;
    struct kafka_admin *admin = kafka_admin_new(&setup->options, err);
    if (admin == NULL || kafka_setup_wait(admin, setup->options.bootstrap_servers, &why))
        return admin;
    kafka_admin_free(admin);
    (void)err_set(err, why.action, why.code,
                  "no answer from Kafka at %s (KAFKA_BOOTSTRAP_SERVERS): %s",
                  setup->options.bootstrap_servers, why.text);
    return NULL;
}
