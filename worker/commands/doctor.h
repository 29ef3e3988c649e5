/*
 * attemptd doctor: looks at everything that a worker needs before it is needed.
 */
#ifndef WORKER_COMMANDS_DOCTOR_H
#define WORKER_COMMANDS_DOCTOR_H

#include "worker/commands/findings.h"
#include "worker/settings.h"

int doctor_command(const struct settings *settings, int argc, char **argv);
extern const char doctor_help[];

/*
 * The two halves. With `fix` they create what is missing. The first returns what the ledger knows
 * of the logs (the caller's; NULL when it cannot be read), which the second compares with them.
 */
json_t *doctor_database(struct findings *findings, const struct settings *settings, bool fix);
void doctor_kafka(struct findings *findings, const struct settings *settings, const json_t *ledger,
                  bool fix);

#endif
