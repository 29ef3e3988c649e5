/*
 * The reference: what one record does to one attempt, straight from DESIGN 1.4, one at a time.
 *
 * It shares no code with the engine and knows nothing of batches. Whatever the engine folds, the
 * rows and outcomes must be those of this function applied in the order of the log.
 */
#ifndef TESTS_SIM_SIM_MODEL_H
#define TESTS_SIM_SIM_MODEL_H

#include "tests/sim/sim_log.h"

#define MODEL_RECENT 16

struct model_row {
    bool exists, submitted, has_start;
    int64_t version;
    int exam, student; /* if has_start */
    int answers[SIM_KEYS];
    int auto_save;
    uint32_t recent[MODEL_RECENT]; /* oldest first */
    int recent_count;
    int64_t submit_expected, submit_missing; /* if submitted */
};

struct verdict {
    enum outcome outcome;
    enum reason reason;
    const char *late_reason;
    int64_t version; /* after it */
    int64_t missing;
    bool gap;
    bool changed; /* the row */
};

/* Judges a record of attempt.writes and carries it out on `row`. */
struct verdict model_judge(struct model_row *row, const struct meaning *meaning);

/* The parts that a store carries out; shared by the model and by nobody else of importance. */
void model_merge(struct model_row *row, const int answers[SIM_KEYS]);
void model_remember(struct model_row *row, uint32_t event);
bool model_remembers(const struct model_row *row, uint32_t event);

/* Equal in all that the log decides. Names the first difference in `*ret_what`. */
bool model_equal(const struct model_row *a, const struct model_row *b, const char **ret_what);

#endif
