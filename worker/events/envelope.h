/*
 * What is around an event: three forms of wrapping, one struct.
 *
 * Told apart as the CloudEvents Kafka binding says: a content-type that starts with
 * `application/cloudevents` is the structured form; else any ce_ header makes it the binary
 * one; else the value is bare JSON. The text of the value is checked here, once and whole;
 * what is in `data` is the decoder's business.
 */
#ifndef WORKER_EVENTS_ENVELOPE_H
#define WORKER_EVENTS_ENVELOPE_H

#include "worker/events/reader.h"

enum form { FORM_BARE, FORM_STRUCTURED, FORM_BINARY };

struct envelope {
    enum form form;
    struct bytes type;        /* text */
    struct bytes id;          /* text */
    struct bytes data;        /* raw JSON, an object */
    struct bytes traceparent; /* absent when there is none, or none that could be one */
};

/* False: refused, or no memory (see reader.h). */
bool envelope_open(struct reader *reader, struct envelope *ret);

/* Looks in whatever the record is for the ids of a refusal, and sets those that it finds; and for
 * the trace in its headers. */
void envelope_salvage(const struct record *record, const struct decode_limits *limits,
                      struct refusal *refusal);

#endif
