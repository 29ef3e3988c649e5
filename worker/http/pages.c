#include "worker/http/pages.h"

#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

static long long number_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

/* Why this worker is not ready, a line for each reason. */
static void put_reasons(struct buf *page, const json_t *worker)
{
    long long number = number_of(worker, "worker");
    const char *state = text_of(worker, "state");
    if (strcmp(state, "running") != 0)
        buf_printf(page, "worker %lld is %s\n", number, state);
    else if (!json_is_true(json_object_get(worker, "connected")))
        buf_printf(page, "worker %lld has no connection to the database (breaker %s)\n", number,
                   text_of(worker, "breaker"));
    else if (strcmp(text_of(worker, "breaker"), "open") == 0 ||
             strcmp(text_of(worker, "breaker"), "probing") == 0)
        buf_printf(page,
                   "worker %lld cannot write to the database (breaker %s): its log says why\n",
                   number, text_of(worker, "breaker"));
    size_t i;
    const json_t *partition;
    json_array_foreach(json_object_get(worker, "partitions"), i, partition)
    {
        if (strcmp(text_of(partition, "state"), "halted") == 0)
            buf_printf(page, "halt topic=%s partition=%lld reason=%s\n",
                       text_of(partition, "topic"), number_of(partition, "partition"),
                       text_of(partition, "halt"));
    }
}

bool page_ready(struct buf *page, const json_t *status)
{
    size_t before = page->len, i;
    const json_t *worker;
    const json_t *workers = json_object_get(status, "workers");
    json_array_foreach(workers, i, worker) put_reasons(page, worker);
    if (json_array_size(workers) == 0)
        buf_put(page, BYTES("no worker has started yet\n"));
    bool ready = page->len == before && !page->failed;
    if (ready)
        buf_put(page, BYTES("ok\n"));
    return ready;
}

bool status_halted(const json_t *status)
{
    size_t i, k;
    const json_t *worker, *partition;
    json_array_foreach(json_object_get(status, "workers"), i, worker)
    {
        json_array_foreach(json_object_get(worker, "partitions"), k, partition)
        {
            if (strcmp(text_of(partition, "state"), "halted") == 0)
                return true;
        }
    }
    return false;
}

void page_status(struct buf *page, const json_t *status)
{
    char *text = json_dumps(status, JSON_INDENT(2));
    if (text == NULL) {
        page->failed = true;
        return;
    }
    buf_put(page, bytes_of(text));
    buf_put_char(page, '\n');
    free(text);
}

void page_index(struct buf *page)
{
    buf_put(page, BYTES("<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">"
                        "<title>attemptd</title>\n<h1>attemptd " ATTEMPTD_VERSION "</h1>\n<ul>\n"
                        "<li><a href=\"/readyz\">/readyz</a>: ready, or why not\n"
                        "<li><a href=\"/livez\">/livez</a>: the loop turns\n"
                        "<li><a href=\"/status.json\">/status.json</a>: everything\n"
                        "<li><a href=\"/metrics\">/metrics</a>: for Prometheus\n</ul>\n</html>\n"));
}
