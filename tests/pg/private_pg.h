/*
 * A PostgreSQL server of the test's own: made in a temporary folder, gone when the test program is.
 *
 * A guardian process holds one end of a pipe; when the other end closes (private_pg_stop(), or the
 * test died) it stops the server and removes the folder. One server serves all tests of a program
 * (start it in the group's setup); private_pg_database() gives each test an empty, migrated
 * database in some 50 ms. `compose/postgres` does the work, so the tests run from the project's
 * root, and as root too.
 */
#ifndef TESTS_PG_PRIVATE_PG_H
#define TESTS_PG_PRIVATE_PG_H

#include "common/err.h"

#include <stddef.h>
#include <sys/types.h>

#define PRIVATE_PG_URL_BYTES 256

struct private_pg {
    char dir[64];
    char owner_url[PRIVATE_PG_URL_BYTES];     /* of the empty database attemptd, as its owner */
    char superuser_url[PRIVATE_PG_URL_BYTES]; /* the same as superuser */
    int guardian_pipe;
    pid_t guardian;
    int databases; /* made so far */
};

/* Takes about two seconds. On failure nothing is left behind. */
bool private_pg_start(struct private_pg *pg, struct err *err);
void private_pg_stop(struct private_pg *pg);

/* Stops (`mode`: fast, immediate or kill) and starts the server: to test lost connections. */
bool private_pg_restart(struct private_pg *pg, const char *mode, struct err *err);

/* How much longer than usual to wait for a server: PATIENCE in the environment (valgrind), else 1.
 */
int private_pg_patience(void);

/*
 * A new database, owned by the role attemptd, into `url` (PRIVATE_PG_URL_BYTES). With `migrated` it
 * has all migrations. `as_superuser` chooses whose URL it is.
 */
bool private_pg_database(struct private_pg *pg, bool migrated, bool as_superuser, char *url,
                         struct err *err);

/* -------------------------------------------------------------- cmocka's fixtures, of a group */

/* One server for all tests of a program; hash_init() too. */
int pg_group_start(void **state);
int pg_group_stop(void **state);
struct private_pg *pg_group_server(void);

/* Of a test: *state is a connection to a migrated database of its own, a superuser's who acts as
 * the owner (RESET ROLE for more). */
int pg_test_open(void **state);
int pg_test_close(void **state);

#endif
