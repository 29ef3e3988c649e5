#include "worker/commands/audit_differences.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void differences_release(struct differences *differences)
{
    free(differences->items);
    *differences = (struct differences){ 0 };
}

struct difference *differences_add(struct differences *differences, const char *table)
{
    differences->count++;
    if (differences->items == NULL)
        differences->items = calloc(DIFFERENCES_KEPT_MAX, sizeof *differences->items);
    if (differences->items == NULL || differences->kept == DIFFERENCES_KEPT_MAX)
        return NULL;
    struct difference *difference = &differences->items[differences->kept++];
    *difference = (struct difference){ .table = table };
    return difference;
}

struct difference *differences_put(struct differences *differences, const char *table,
                                   const char *key, const char *expected, const char *found)
{
    struct difference *difference = differences_add(differences, table);
    if (difference == NULL)
        return NULL;
    (void)snprintf(difference->key, sizeof difference->key, "%s", key);
    (void)snprintf(difference->expected, sizeof difference->expected, "%s", expected);
    (void)snprintf(difference->found, sizeof difference->found, "%s", found);
    return difference;
}

void differences_compare(struct differences *differences, const char *table, const char *key,
                         int64_t expected, int64_t found)
{
    char texts[2][24];
    if (expected == found)
        return;
    (void)snprintf(texts[0], sizeof texts[0], "%" PRId64, expected);
    (void)snprintf(texts[1], sizeof texts[1], "%" PRId64, found);
    (void)differences_put(differences, table, key, texts[0], texts[1]);
}

void differences_excuse(struct differences *differences,
                        bool (*excused)(void *self, const struct difference *difference),
                        void *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < differences->kept; i++) {
        const struct difference *difference = &differences->items[i];
        if (excused(self, difference))
            differences->count--;
        else
            differences->items[kept++] = *difference;
    }
    differences->kept = kept;
}
