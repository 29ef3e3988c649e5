#include "tests/bench/pq.h"

#include <stdio.h>
#include <stdlib.h>

PGconn *pq_connect(const struct bench *bench)
{
    PGconn *db = PQconnectdb(bench->database);
    if (PQstatus(db) != CONNECTION_OK)
        bench_fail("%s", PQerrorMessage(db));
    return db;
}

char *pq_file(const struct bench *bench, const char *file)
{
    char path[512];
    enum { ROOM = 65536 };
    char *text = calloc(1, ROOM);
    (void)snprintf(path, sizeof path, "%s/%s", bench->folder, file);
    FILE *from = fopen(path, "re");
    if (text == NULL || from == NULL)
        bench_fail("cannot read %s", path);
    if (fread(text, 1, ROOM - 1, from) == 0)
        bench_fail("%s is empty", path);
    (void)fclose(from);
    return text;
}

PGresult *pq_check(PGconn *db, PGresult *result, const char *what)
{
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_PIPELINE_SYNC)
        bench_fail("%s: %s", what, PQerrorMessage(db));
    return result;
}

void pq_prepare(PGconn *db, const struct bench *bench, const char *file)
{
    char *text = pq_file(bench, file);
    PQclear(pq_check(db, PQprepare(db, file, text, 0, NULL), file));
    free(text);
}

void pq_send(PGconn *db, const char *name, const struct pg_params *params)
{
    const char *values[PG_PARAMS_MAX];
    int formats[PG_PARAMS_MAX];
    if (params->bytes.failed)
        bench_fail("no memory for the parameters of %s", name);
    for (size_t i = 0; i < params->count; i++) {
        values[i] = params->lengths[i] < 0 ? NULL : params->bytes.ptr + params->starts[i];
        formats[i] = 1;
    }
    if (PQsendQueryPrepared(db, name, (int)params->count, values, params->lengths, formats, 1) != 1)
        bench_fail("%s: %s", name, PQerrorMessage(db));
}
