/*
 * From the operator's settings to the Kafka adapter's options.
 */
#ifndef WORKER_COMMANDS_KAFKA_SETUP_H
#define WORKER_COMMANDS_KAFKA_SETUP_H

#include "worker/kafka/kafka_admin.h"
#include "worker/kafka/kafka_conf.h"
#include "worker/settings.h"

/* Must not move while `options` is in use. */
struct kafka_setup {
    struct kafka_names names;
    struct kafka_options options;
    char **properties; /* "name=value" */
};

/* False leaves nothing to release. `settings` must outlive the setup. */
bool kafka_setup_init(struct kafka_setup *setup, const struct settings *settings, struct err *err);
void kafka_setup_release(struct kafka_setup *setup);

/*
 * Waits until Kafka answers and has brokers, for KAFKA_ADMIN_TIMEOUT_MS at most; what it waits for
 * stands on stderr as soon as that takes more than a second. `address` is for people: `err` names
 * it.
 */
bool kafka_setup_wait(struct kafka_admin *admin, const char *address, struct kafka_cluster *ret,
                      struct err *err);

/* A client of a cluster that was waited for in this way; NULL with `err`. */
struct kafka_admin *kafka_setup_reach(const struct kafka_setup *setup, struct err *err);

#endif
