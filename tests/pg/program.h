/* The program itself, run by a test: `build/attemptd`, or that of the folder ATTEMPTD_BUILD names.
 */
#ifndef TESTS_PG_PROGRAM_H
#define TESTS_PG_PROGRAM_H

#include <stddef.h>
#include <sys/types.h>

#define PROGRAM_TEXT_BYTES 65536

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
