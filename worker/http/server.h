/*
 * What a process tells about itself over HTTP, on the loop of its owner: GET and HEAD only, small
 * requests, short patience, no state.
 *
 *     /livez        200 while the loop turns
 *     /readyz       200, or 503 with one reason a line
 *     /metrics      Prometheus text
 *     /status.json  everything, as one document
 *     /             links to these
 *
 * The pages are made from one JSON document (pages.h says what is in it), which the owner builds
 * when somebody asks.
 */
#ifndef WORKER_HTTP_SERVER_H
#define WORKER_HTTP_SERVER_H

#include "common/err.h"

#include <jansson.h>
#include <stdint.h>

struct event_base;
struct http_server;

struct http_content {
    void *self;
    json_t *(*status)(void *self); /* a new reference; NULL when memory is short */
};

/*
 * Listens at once. NULL: ERR_RESOURCE when the port is taken, ERR_HALT when the address is not
 * ours or not allowed. `base` and what `content` points to must outlive the server.
 */
struct http_server *http_server_new(struct event_base *base, const char *host, uint16_t port,
                                    const struct http_content *content, struct err *err);
void http_server_free(struct http_server *server);

/* The port, also when the system chose it. */
uint16_t http_server_port(const struct http_server *server);

#endif
