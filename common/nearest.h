/*
 * "Did you mean ...?": the known word nearest to what somebody typed.
 */
#ifndef COMMON_NEAREST_H
#define COMMON_NEAREST_H

#include <stddef.h>

struct nearest {
    const char *typed;
    const char *word;  /* the best so far; NULL when nothing is near enough to be worth saying */
    unsigned distance; /* of `word` */
};

/*
 * Start with { .typed = text }, offer every known word, read `word`. A word is near when at most a
 * third of what was typed differs (insert, delete, replace, each counting 1), or when it begins
 * with all of what was typed.
 */
void nearest_offer(struct nearest *nearest, const char *word);

#endif
