/*
 * Can libpq read a connection string at all? Asked before every connect, because libpq's own error
 * names the part that it cannot read, and that part may be the password.
 */
#ifndef WORKER_POSTGRES_CONNINFO_H
#define WORKER_POSTGRES_CONNINFO_H

#include <stdbool.h>

#define CONNINFO_UNREADABLE                                                                        \
    "the connection string of the database cannot be read: check DATABASE_URL (characters like "   \
    "% @ : / in a name or password are written %25 %40 %3A %2F)"

/* NULL and a bare name of a database are fine. */
bool conninfo_valid(const char *conninfo);

#endif
