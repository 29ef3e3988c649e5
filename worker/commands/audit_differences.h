/*
 * What the audit found to be different, for people: the table, whose row, what was expected, what
 * is there. Ids, versions and codes, never answers.
 *
 * All are counted, the first thousand kept. Those about an attempt can be taken back, when it turns
 * out later that it cannot be compared.
 */
#ifndef WORKER_COMMANDS_AUDIT_DIFFERENCES_H
#define WORKER_COMMANDS_AUDIT_DIFFERENCES_H

#include "common/uuid.h"

#include <stdint.h>

#define DIFFERENCES_KEPT_MAX  1000
#define DIFFERENCES_SHOWN_MAX 20

struct difference {
    const char *table; /* a literal */
    char key[96];
    char expected[64], found[200];
    bool about_order; /* explained if the order of its events is not known */
    bool has_attempt;
    struct uuid attempt_id;
};

/* All zero is none. */
struct differences {
    struct difference *items;
    size_t kept;
    uint64_t count;
};

void differences_release(struct differences *differences);

/* Counts one more; NULL when it is not kept (memory, or there are enough). */
struct difference *differences_add(struct differences *differences, const char *table);

/* The same, filled in. */
struct difference *differences_put(struct differences *differences, const char *table,
                                   const char *key, const char *expected, const char *found);

/* Two numbers that should be equal: nothing happens when they are. */
void differences_compare(struct differences *differences, const char *table, const char *key,
                         int64_t expected, int64_t found);

/* Takes back those that `excused` says are explained. */
void differences_excuse(struct differences *differences,
                        bool (*excused)(void *self, const struct difference *difference),
                        void *self);

#endif
