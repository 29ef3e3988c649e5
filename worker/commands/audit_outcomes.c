#include "worker/commands/audit_outcomes.h"

#include "worker/commands/facts.h"
#include <inttypes.h>
#include <stdio.h>

#define PAGE_ROWS 2000 /* as in audit_records.sql */

void audit_outcomes_init(struct audit_outcomes *outcomes, struct pg_client *db,
                         const struct audit_partition *partition)
{
    *outcomes = (struct audit_outcomes){ .db = db, .partition = partition };
}

void audit_outcomes_release(struct audit_outcomes *outcomes)
{
    pg_rows_free(outcomes->page);
    outcomes->page = NULL;
}

static bool next_page(struct audit_outcomes *outcomes, struct err *err)
{
    char numbers[3][24];
    const struct audit_partition *partition = outcomes->partition;
    (void)snprintf(numbers[0], sizeof numbers[0], "%d", (int)partition->partition);
    (void)snprintf(numbers[1], sizeof numbers[1], "%" PRId64, partition->generation);
    (void)snprintf(numbers[2], sizeof numbers[2], "%" PRId64, outcomes->next_from);
    const char *params[] = { partition->topic, numbers[0], numbers[1], numbers[2] };
    audit_outcomes_release(outcomes);
    if (!facts_run(outcomes->db, "audit_records.sql", params, 4, &outcomes->page, err))
        return false;
    size_t count = pg_rows_count(outcomes->page);
    outcomes->row = 0;
    outcomes->last_page = count < PAGE_ROWS;
    if (count > 0)
        outcomes->next_from = pg_rows_int(outcomes->page, count - 1, 0) + 1;
    return true;
}

static enum outcome outcome_of(const char *name)
{
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        if (strcmp(name, outcome_name((enum outcome)i)) == 0)
            return (enum outcome)i;
    }
    return OUTCOME_DEAD;
}

bool audit_outcomes_peek(struct audit_outcomes *outcomes, bool *ret_found,
                         struct audit_outcome *ret, struct err *err)
{
    while (outcomes->page == NULL || outcomes->row == pg_rows_count(outcomes->page)) {
        if (outcomes->page != NULL && outcomes->last_page) {
            *ret_found = false;
            return true;
        }
        if (!next_page(outcomes, err))
            return false;
    }
    const struct pg_rows *page = outcomes->page;
    size_t row = outcomes->row;
    *ret_found = true;
    *ret = (struct audit_outcome){ .offset = pg_rows_int(page, row, 0),
                                   .outcome = outcome_of(pg_rows_text(page, row, 1, "")),
                                   .reason = pg_rows_text(page, row, 2, ""),
                                   .event_id = pg_rows_text(page, row, 3, ""),
                                   .row_version = pg_rows_int(page, row, 4),
                                   .key_hash = pg_rows_bytes(page, row, 5),
                                   .value_hash = pg_rows_bytes(page, row, 6),
                                   .erased = pg_rows_bool(page, row, 7) };
    return true;
}

void audit_outcomes_pass(struct audit_outcomes *outcomes)
{
    outcomes->row++;
}
