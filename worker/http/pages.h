/*
 * The status document, and the pages that are made from it. Pure: document in, bytes out.
 *
 *     { "version": "0.1.0", "uptime_s": 12, "restarts": 0,
 *       "workers": [ { "worker": 0, "pid": 17, "state": "running", "connected": true,
 *                      "breaker": "closed", "outcomes": {"applied": 5, ...}, ...,
 *                      "partitions": [ { "topic": "attempt.writes", "partition": 0,
 *                                        "state": "running", "halt": null, "lag": 0, ... } ],
 *                      "views": [ { "view": "exam_attempt_stats", ... } ] } ] }
 *
 * A worker that has not reported yet has nothing but its number and its state. worker/commands/
 * report.c writes the document.
 */
#ifndef WORKER_HTTP_PAGES_H
#define WORKER_HTTP_PAGES_H

#include "common/buf.h"

#include <jansson.h>

/* One reason a line, or "ok". True when ready. */
bool page_ready(struct buf *page, const json_t *status);

/* Does any worker have a halted partition? */
bool status_halted(const json_t *status);

void page_metrics(struct buf *page, const json_t *status);
void page_status(struct buf *page, const json_t *status);
void page_index(struct buf *page);

#endif
