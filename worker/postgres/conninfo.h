/*
 * Can libpq read a connection string at all? Asked before every connect, because libpq's own error
 * names the part that it cannot read, and that part may be the password.
 */
#ifndef WORKER_POSTGRES_CONNINFO_H
#define WORKER_POSTGRES_CONNINFO_H

#include <stdbool.h>

#define CONNINFO_UNREADABLE                                                                        \
    "libpq cannot read the connection string of the database: check DATABASE_URL (in a name or "   \
    "password, characters like % @ : / are written %25 %40 %3A %2F; behind a ? stand only words "  \
    "that libpq knows, as sslmode)"

/* NULL and a bare name of a database are fine. */
bool conninfo_valid(const char *conninfo);

#endif
