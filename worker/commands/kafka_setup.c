#include "worker/commands/kafka_setup.h"

#include <stdio.h>
#include <stdlib.h>

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

struct kafka_admin *kafka_setup_reach(const struct kafka_setup *setup, struct err *err)
{
    struct kafka_cluster cluster;
    struct err why;
    struct kafka_admin *admin = kafka_admin_new(&setup->options, err);
    if (admin == NULL || kafka_admin_cluster(admin, &cluster, &why))
        return admin;
    kafka_admin_free(admin);
    (void)err_set(err, why.action, why.code,
                  "no answer from Kafka at %s (KAFKA_BOOTSTRAP_SERVERS): %s",
                  setup->options.bootstrap_servers, why.text);
    return NULL;
}
