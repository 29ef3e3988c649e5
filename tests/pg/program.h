/* The program itself, run by a test: `build/attemptd`, or that of the folder ATTEMPTD_BUILD names.
 */
#ifndef TESTS_PG_PROGRAM_H
#define TESTS_PG_PROGRAM_H

#include "tests/pg/private_pg.h"

#include <libpq-fe.h>
#include <stddef.h>
#include <sys/types.h>

#define PROGRAM_TEXT_BYTES 65536

/* What its tests share: a migrated database of their own on the group's server, and a session. */
struct program_fixture {
    char url[PRIVATE_PG_URL_BYTES];
    PGconn *db;
};

/* For cmocka; *state becomes a struct program_fixture. */
int program_set_up(void **state);
int program_tear_down(void **state);

/*
 * Runs `attemptd ARGUMENTS` with that DATABASE_URL and without Kafka; what it wrote on both of its
 * outputs goes into `ret_text` (PROGRAM_TEXT_BYTES). Returns its exit code.
 */
int program_run(const char *url, const char *arguments, char *ret_text);

/* The same, and fails the running test unless it ends with that code and has written that. */
void program_says(const char *url, const char *arguments, int code, const char *says);

/* Starts it and does not wait; its process id. What it writes goes to `file` (NULL: nowhere). */
pid_t program_start(const char *url, const char *arguments, const char *file);

#endif
