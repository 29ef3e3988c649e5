#include "worker/commands/accept_gap.h"
#include "worker/commands/audit.h"
#include "worker/commands/bench.h"
#include "worker/commands/command.h"
#include "worker/commands/dlq.h"
#include "worker/commands/doctor.h"
#include "worker/commands/migrate.h"
#include "worker/commands/produce.h"
#include "worker/commands/refresh.h"
#include "worker/commands/rejected.h"
#include "worker/commands/run.h"
#include "worker/commands/show.h"
#include "worker/commands/simulate.h"
#include "worker/commands/stats.h"
#include "worker/commands/status.h"

#define DATABASE (SETTINGS_ALWAYS | SETTINGS_DATABASE)
#define KAFKA    (SETTINGS_ALWAYS | SETTINGS_KAFKA)

const struct command command_table[] = {
    { "run", "[--workers N] [--drain]", "the worker: from Kafka to PostgreSQL", run_help,
      SETTINGS_ALWAYS | SETTINGS_DATABASE | SETTINGS_KAFKA | SETTINGS_LIMITS | SETTINGS_RUN,
      run_command },
    { "migrate", "up | down | status | validate | reset | new NAME",
      "keep the database's schema at this program's version", migrate_help, DATABASE,
      migrate_command },
    { "refresh", "[--json] [VIEW...]", "refresh materialized views now", refresh_help, DATABASE,
      refresh_command },
    { "produce", "[OPTIONS] [FILE | -]", "send events from JSON lines", produce_help,
      KAFKA | SETTINGS_LIMITS, produce_command },
    { "simulate", "[OPTIONS]", "play a realistic exam into Kafka", simulate_help, KAFKA,
      simulate_command },
    { "audit", "[--replay] [--json]", "prove that nothing was lost or doubled", audit_help,
      DATABASE | KAFKA | SETTINGS_LIMITS, audit_command },
    { "accept-gap", "TOPIC PARTITION --reason TEXT [OPTIONS]",
      "let a halted partition go on with the log as it is", accept_gap_help, DATABASE | KAFKA,
      accept_gap_command },
    { "dlq",
      "list | show ID | replay ID... | discard ID... | accept TOPIC PARTITION OFFSET [OPTIONS]",
      "dead letters: look at them, send them again, discard or accept them", dlq_help,
      DATABASE | KAFKA, dlq_command },
    { "rejected", "list | show ID [OPTIONS]", "stale and late writes: look at them", rejected_help,
      DATABASE, rejected_command },
    { "status", "[--json]", "where everything stands, once", status_help, DATABASE | KAFKA,
      status_command },
    { "show", "[--json] ATTEMPT", "all that is known of one attempt", show_help, DATABASE,
      show_command },
    { "stats", "[--live | --view] [--json] EXAM", "the statistics of an exam", stats_help, DATABASE,
      stats_command },
    { "doctor", "[--fix] [--json]", "look at everything that a worker needs", doctor_help,
      DATABASE | KAFKA | SETTINGS_TOPICS | SETTINGS_LIMITS, doctor_command },
    { "bench", "[--folding F] [--workers N] [--json]",
      "how fast it is on your Kafka and PostgreSQL, in a schema and topics of its own", bench_help,
      DATABASE | KAFKA | SETTINGS_RUN | SETTINGS_TOPICS, bench_command },
    { "help", "[COMMAND | settings | --man]", "explain a command, or the settings", help_help,
      SETTINGS_ALWAYS, help_command },
    { 0 },
};
