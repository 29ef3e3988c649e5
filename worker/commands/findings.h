/*
 * What doctor has found: a list of sentences, each ok, a warning or a failure, with its next step.
 */
#ifndef WORKER_COMMANDS_FINDINGS_H
#define WORKER_COMMANDS_FINDINGS_H

#include <jansson.h>
#include <stdbool.h>

enum finding_level { FINDING_OK, FINDING_FIXED, FINDING_WARN, FINDING_FAIL };

struct findings {
    json_t *list; /* of {"level","area","what","next_step"} */
    int fails, warns;
    bool whole; /* false: memory was short, and `list` has not all of them */
    int code;   /* exit code of the worst failure: EX_UNAVAILABLE or EX_CONFIG */
};

bool findings_init(struct findings *findings);
void findings_release(struct findings *findings);

/* `next_step` may be NULL. `area` is "kafka", "postgresql", "settings". */
void finding_add(struct findings *findings, enum finding_level level, const char *area,
                 const char *next_step, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* A failure whose exit code is EX_UNAVAILABLE: nobody answers. */
void finding_unreachable(struct findings *findings, const char *area, const char *text);

void findings_print(const struct findings *findings);

/* EX_OK, or EX_OSERR without memory. */
int findings_print_json(const struct findings *findings);

/* EX_OK when nothing failed. */
int findings_exit_code(const struct findings *findings);

#endif
