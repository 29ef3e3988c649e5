#include "common/nearest.h"

#include <string.h>

#define WORD_MAX 40

/* Levenshtein's distance, one row of the table at a time; long words are never near. */
static unsigned distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > WORD_MAX || b_len > WORD_MAX)
        return WORD_MAX;
    unsigned row[WORD_MAX + 1];
    for (size_t j = 0; j <= b_len; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b_len];
}

void nearest_offer(struct nearest *nearest, const char *word)
{
    size_t typed_len = strlen(nearest->typed);
    unsigned far = distance(nearest->typed, word);
    if (typed_len >= 2 && strncmp(nearest->typed, word, typed_len) == 0)
        far = 1;
    if (far > (typed_len + 2) / 3)
        return;
    if (nearest->word == NULL || far < nearest->distance) {
        nearest->word = word;
        nearest->distance = far;
    }
}
