#include "worker/http/server.h"
#include "worker/http/pages.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_S         5
#define HEADERS_BYTES_MAX 8192
#define BODY_BYTES_MAX    1024
#define PAGE_BYTES_MAX    (16u << 20)

struct http_server {
    struct evhttp *http;
    struct http_content content;
    struct buf page; /* kept, so that scrapes stop allocating */
    uint16_t port;
};

static void answer(struct evhttp_request *request, int code, const char *type,
                   const struct buf *page)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    (void)evhttp_add_header(headers, "Content-Type", type);
    (void)evhttp_add_header(headers, "Cache-Control", "no-store");
    (void)evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    struct evbuffer *body = evbuffer_new();
    if (body == NULL || page->failed || evbuffer_add(body, page->ptr, page->len) != 0)
        evhttp_send_error(request, 500, "no memory");
    else
        evhttp_send_reply(request, code, NULL, body);
    if (body != NULL)
        evbuffer_free(body);
}

/* Pages that need the document. */
static void answer_from_status(struct http_server *server, struct evhttp_request *request,
                               const char *path)
{
    json_t *status = server->content.status(server->content.self);
    if (status == NULL) {
        evhttp_send_error(request, 500, "no memory");
        return;
    }
    int code = 200;
    const char *type = "text/plain; charset=utf-8";
    if (strcmp(path, "/readyz") == 0) {
        code = page_ready(&server->page, status) ? 200 : 503;
    } else if (strcmp(path, "/metrics") == 0) {
        page_metrics(&server->page, status);
        type = "text/plain; version=0.0.4; charset=utf-8";
    } else {
        page_status(&server->page, status);
        type = "application/json";
    }
    json_decref(status);
    answer(request, code, type, &server->page);
}

static void on_request(struct evhttp_request *request, void *arg)
{
    struct http_server *server = arg;
    enum evhttp_cmd_type method = evhttp_request_get_command(request);
    if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
        (void)evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, HEAD");
        evhttp_send_error(request, 405, "Method Not Allowed");
        return;
    }
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *path = uri == NULL ? NULL : evhttp_uri_get_path(uri);
    static const char *const from_status[] = { "/readyz", "/metrics", "/status.json" };
    buf_clear(&server->page);
    for (size_t i = 0; path != NULL && i < sizeof from_status / sizeof *from_status; i++) {
        if (strcmp(path, from_status[i]) == 0) {
            answer_from_status(server, request, path);
            return;
        }
    }
    if (path != NULL && strcmp(path, "/livez") == 0) {
        buf_put(&server->page, BYTES("ok\n"));
        answer(request, 200, "text/plain; charset=utf-8", &server->page);
    } else if (path != NULL && (*path == '\0' || strcmp(path, "/") == 0)) {
        page_index(&server->page);
        answer(request, 200, "text/html; charset=utf-8", &server->page);
    } else {
        evhttp_send_error(request, 404, "Not Found");
    }
}

static uint16_t port_of(evutil_socket_t fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return 0;
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

static bool refuse_bind(const char *host, uint16_t port, struct err *err)
{
    int error = errno;
    if (error == EADDRINUSE)
        return err_set(err, ERR_RESOURCE, "http",
                       "the HTTP address %s port %u is in use, perhaps by another attemptd: choose "
                       "one with --http ADDRESS:PORT, or --http off",
                       host, port);
    return err_set(err, ERR_HALT, "http",
                   "cannot listen on the HTTP address %s port %u: %s; choose one with --http "
                   "ADDRESS:PORT, or --http off",
                   host, port, error == 0 ? "no such address" : strerror(error));
}

static bool listen_on(struct http_server *server, const char *host, uint16_t port, struct err *err)
{
    evhttp_set_gencb(server->http, on_request, server);
    evhttp_set_timeout(server->http, TIMEOUT_S);
    evhttp_set_max_headers_size(server->http, HEADERS_BYTES_MAX);
    evhttp_set_max_body_size(server->http, BODY_BYTES_MAX);
    evhttp_set_allowed_methods(server->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
                                                 EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
                                                 EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
    errno = 0;
    struct evhttp_bound_socket *socket = evhttp_bind_socket_with_handle(server->http, host, port);
    if (socket == NULL)
        return refuse_bind(host, port, err);
    server->port = port_of(evhttp_bound_socket_get_fd(socket));
    return true;
}

/* libevent would write lines of its own into the log; what matters comes back as an error. */
static void say_nothing(int severity, const char *text)
{
    (void)severity;
    (void)text;
}

struct http_server *http_server_new(struct event_base *base, const char *host, uint16_t port,
                                    const struct http_content *content, struct err *err)
{
    event_set_log_callback(say_nothing);
    struct http_server *server = calloc(1, sizeof *server);
    if (server != NULL) {
        server->content = *content;
        buf_init(&server->page, PAGE_BYTES_MAX);
        server->http = evhttp_new(base);
    }
    if (server == NULL || server->http == NULL) {
        (void)err_set(err, ERR_RESOURCE, "memory", "no memory for the HTTP server");
        http_server_free(server);
        return NULL;
    }
    if (!listen_on(server, host, port, err)) {
        http_server_free(server);
        return NULL;
    }
    return server;
}

void http_server_free(struct http_server *server)
{
    if (server == NULL)
        return;
    if (server->http != NULL)
        evhttp_free(server->http);
    buf_release(&server->page);
    free(server);
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}
