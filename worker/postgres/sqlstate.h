/*
 * What may be done about an error of PostgreSQL: one table from SQLSTATE to enum err_action.
 *
 * The failure policy of the worker hangs on this table alone (DESIGN 2.5): lost connections are
 * made again, conflicts are repeated, full disks are waited for, refused data is isolated, and
 * what only people can mend halts. What the table does not know is a bug, because guessing
 * "retry" would spin for ever and guessing "reject" would throw somebody's answers away.
 */
#ifndef WORKER_POSTGRES_SQLSTATE_H
#define WORKER_POSTGRES_SQLSTATE_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

#define SQLSTATE_LEN 5

/* One row: the longest prefix that fits a SQLSTATE decides. */
struct sqlstate_rule {
    const char *prefix;
    enum err_action action;
    const char *why;
};

extern const struct sqlstate_rule sqlstate_rules[];
extern const size_t sqlstate_rule_count;

/*
 * `sqlstate` may be NULL or empty: libpq failed without a word from the server, which means that
 * the connection is gone unless `connected` says otherwise.
 */
enum err_action sqlstate_action(const char *sqlstate, bool connected);

/*
 * What a person does about it, beyond what its message says: a piece of a sentence without an end,
 * or NULL. Takes what is no SQLSTATE, too.
 */
const char *sqlstate_advice(const char *sqlstate);

/* A connection that libpq gave up because the server takes no writes has this, and says so. */
#define SQLSTATE_READ_ONLY "25006"
bool sqlstate_is_read_only(const char *message);

/*
 * The SQLSTATE inside the text of a failed connection attempt, where libpq has no other way to
 * tell it ("FATAL:  53300: sorry, ..."; needs PQERRORS_VERBOSE). The last one wins when several
 * hosts were tried. False when there is none.
 */
bool sqlstate_find(const char *message, char ret_sqlstate[static SQLSTATE_LEN + 1]);

#endif
