/*
 * Where the statements of an SQL script begin and end.
 *
 * Knows strings, quoted names, dollar quotes and both kinds of comments, which is all that can hide
 * a semicolon from PostgreSQL 14 on, except a function body written as BEGIN ATOMIC (our
 * migrations write RETURN instead). Views into the script; nothing is allocated.
 */
#ifndef WORKER_POSTGRES_SQL_TEXT_H
#define WORKER_POSTGRES_SQL_TEXT_H

#include "common/bytes.h"

/*
 * The next statement at or after `*at` (begin with 0), without comments before it and without its
 * semicolon. False when there is none.
 */
bool sql_text_next(struct bytes script, size_t *at, struct bytes *ret_statement);

/* The number of the line that byte `at` is on, from 1. */
size_t sql_text_line(const char *script, size_t at);

#endif
