/*
 * An error is a value that says what may be done about it.
 *
 * It lives on the caller's stack and needs no allocation, so that the error path can neither fail
 * nor leak. A function that can fail returns false, takes `struct err *err` last and touches it
 * only on failure; its results are set only on success. Only the top floors print errors.
 */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include <stdbool.h>

enum err_action {
    ERR_NONE,     /* nothing failed */
    ERR_RETRY,    /* this try failed (deadlock, timeout, ...): the same work may succeed at once */
    ERR_RESOURCE, /* something is full or short: retry slowly, and tell somebody */
    ERR_LOST,     /* the connection is gone; what was in flight has an unknown outcome */
    ERR_REJECT,   /* this input was refused and always will be */
    ERR_HALT,     /* schema, privilege, configuration: somebody must mend it; then it goes on */
    ERR_BUG       /* should not happen: stop this work and say so */
};

struct err {
    enum err_action action;
    char code[32];  /* SQLSTATE, librdkafka's error name, errno's name, or a word of ours */
    char text[256]; /* one sentence for people: what happened, where; never a payload */
};

/* Fills `err` (which may be NULL) and returns false, so that a leaf can `return err_set(...)`. */
bool err_set(struct err *err, enum err_action action, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The word for an action, for logs: "retry", "lost", ... */
const char *err_action_name(enum err_action action);

#endif
