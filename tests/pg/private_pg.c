#include "tests/pg/private_pg.h"

#include "common/embedded.h"
#include "common/hash.h"
#include "tests/pg/sql.h"

#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEMPLATE "attemptd_migrated"

static bool run(struct err *err, const char *what, const char *dir, const char *rest)
{
    char command[256];
    (void)snprintf(command, sizeof command, "compose/postgres %s %s %s >/dev/null </dev/null", what,
                   dir, rest);
    if (system(command) != 0)
        return err_set(err, ERR_HALT, "PRIVATE_PG", "'%s' failed", command);
    return true;
}

static bool read_url(const char *dir, const char *role, char *url, struct err *err)
{
    char command[256];
    (void)snprintf(command, sizeof command, "compose/postgres url %s %s", dir, role);
    FILE *output = popen(command, "r");
    bool ok = output && fgets(url, PRIVATE_PG_URL_BYTES, output) != NULL;
    if (output)
        ok = pclose(output) == 0 && ok;
    if (!ok)
        return err_set(err, ERR_HALT, "PRIVATE_PG", "'%s' printed no URL", command);
    url[strcspn(url, "\n")] = '\0';
    return true;
}

/* The guardian: waits for the end of its parent, then tidies up. Never returns. */
static void guard(const char *dir, int fd)
{
    (void)setsid(); /* a Ctrl-C at the tests must not stop it */
    char byte;
    ssize_t n;
    do {
        n = read(fd, &byte, 1);
    } while (n > 0 || (n < 0 && errno == EINTR));
    char command[256];
    (void)snprintf(command, sizeof command,
                   "compose/postgres stop %s immediate >/dev/null 2>&1 </dev/null; rm -rf %s", dir,
                   dir);
    int status = system(command);
    _exit(status == 0 ? 0 : 1);
}

static bool start_guardian(struct private_pg *pg, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_set(err, ERR_HALT, "PRIVATE_PG", "no pipe: %s", strerror(errno));
    pg->guardian = fork();
    if (pg->guardian == 0) {
        (void)close(ends[1]);
        guard(pg->dir, ends[0]);
    }
    (void)close(ends[0]);
    pg->guardian_pipe = ends[1];
    if (pg->guardian < 0) {
        (void)close(ends[1]);
        return err_set(err, ERR_HALT, "PRIVATE_PG", "no process: %s", strerror(errno));
    }
    return true;
}

bool private_pg_start(struct private_pg *pg, struct err *err)
{
    *pg = (struct private_pg){ .dir = "/tmp/attemptd-test-pg-XXXXXX" };
    if (!mkdtemp(pg->dir))
        return err_set(err, ERR_HALT, "PRIVATE_PG", "no folder: %s", strerror(errno));
    if (!start_guardian(pg, err)) {
        (void)rmdir(pg->dir);
        return false;
    }
    if (run(err, "start", pg->dir, "--fast") && read_url(pg->dir, "attemptd", pg->owner_url, err) &&
        read_url(pg->dir, "postgres", pg->superuser_url, err))
        return true;
    private_pg_stop(pg);
    return false;
}

void private_pg_stop(struct private_pg *pg)
{
    if (pg->guardian <= 0)
        return;
    (void)close(pg->guardian_pipe);
    (void)waitpid(pg->guardian, NULL, 0);
    pg->guardian = 0;
}

bool private_pg_restart(struct private_pg *pg, const char *mode, struct err *err)
{
    return run(err, "restart", pg->dir, mode);
}

/* `url` with its database, the part after the last slash, replaced by `name`. */
static void url_of_database(const char *url, const char *name, char *ret_url)
{
    size_t stem = (size_t)(strrchr(url, '/') - url) + 1;
    (void)snprintf(ret_url, PRIVATE_PG_URL_BYTES, "%.*s%s", (int)stem, url, name);
}

static bool execute(PGconn *conn, const char *sql, struct err *err)
{
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (!ok)
        (void)err_set(err, ERR_HALT, "PRIVATE_PG", "%s", PQerrorMessage(conn));
    PQclear(result);
    return ok;
}

static PGconn *connect_to(const char *url, struct err *err)
{
    PGconn *conn = PQconnectdb(url);
    if (PQstatus(conn) == CONNECTION_OK)
        return conn;
    (void)err_set(err, ERR_HALT, "PRIVATE_PG", "%s", PQerrorMessage(conn));
    PQfinish(conn);
    return NULL;
}

/* The up part of each migration, without the program's own code for it. */
static bool apply_migrations(const char *url, struct err *err)
{
    PGconn *conn = connect_to(url, err);
    bool ok = conn && execute(conn, "SET client_min_messages = warning", err);
    for (const struct embedded_file *file = migrations_embedded; ok && file->name; file++) {
        const char *down = strstr(file->text, "-- migrate:down");
        size_t len = down ? (size_t)(down - file->text) : strlen(file->text);
        char *up = strndup(file->text, len);
        ok = up && execute(conn, up, err);
        free(up);
    }
    PQfinish(conn);
    return ok;
}

bool private_pg_database(struct private_pg *pg, bool migrated, bool as_superuser, char *url,
                         struct err *err)
{
    PGconn *conn = connect_to(pg->superuser_url, err);
    if (!conn)
        return false;
    bool ok = true;
    PGresult *known =
        PQexec(conn, "SELECT FROM pg_database WHERE datname = '" TEMPLATE "' AND NOT datallowconn");
    if (migrated && PQntuples(known) == 0) {
        url_of_database(pg->owner_url, TEMPLATE, url);
        ok = execute(conn, "CREATE DATABASE " TEMPLATE " OWNER attemptd TEMPLATE template0", err) &&
             apply_migrations(url, err) &&
             execute(conn, "ALTER DATABASE " TEMPLATE " ALLOW_CONNECTIONS false", err);
    }
    PQclear(known);
    char name[32];
    char sql[160];
    (void)snprintf(name, sizeof name, "test_%d", ++pg->databases);
    (void)snprintf(sql, sizeof sql, "CREATE DATABASE %s OWNER attemptd TEMPLATE %s", name,
                   migrated ? TEMPLATE : "template0");
    ok = ok && execute(conn, sql, err);
    PQfinish(conn);
    if (ok)
        url_of_database(as_superuser ? pg->superuser_url : pg->owner_url, name, url);
    return ok;
}

/* ------------------------------------------------------------------------ cmocka's fixtures */

static struct private_pg group_server;

struct private_pg *pg_group_server(void)
{
    return &group_server;
}

int pg_group_start(void **state)
{
    (void)state;
    struct err err = { 0 };
    if (hash_init() && private_pg_start(&group_server, &err))
        return 0;
    (void)fprintf(stderr, "%s\n", err.text);
    return -1;
}

int pg_group_stop(void **state)
{
    (void)state;
    private_pg_stop(&group_server);
    return 0;
}

int pg_test_open(void **state)
{
    char url[PRIVATE_PG_URL_BYTES];
    struct err err = { 0 };
    if (!private_pg_database(&group_server, true, true, url, &err)) {
        (void)fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    *state = sql_connect(url);
    if (!*state)
        return -1;
    sql_ok(*state, "SET ROLE attemptd");
    return 0;
}

int pg_test_close(void **state)
{
    PQfinish(*state);
    return 0;
}

int private_pg_patience(void)
{
    const char *times = getenv("PATIENCE");
    long value = times != NULL ? strtol(times, NULL, 10) : 1;
    return value >= 1 && value <= 100 ? (int)value : 1;
}
