/*
 * One file of schemas/examples as a record, with what the decoder must say about it. The format is
 * described in schemas/README.md.
 */
#ifndef TESTS_UNIT_FIXTURE_H
#define TESTS_UNIT_FIXTURE_H

#include "worker/events/decode.h"

#include <jansson.h>

#define FIXTURE_HEADERS_MAX 32

struct fixture {
    json_t *root;
    struct record record;
    struct header headers[FIXTURE_HEADERS_MAX];
    char *value; /* owned, as is the key */
    char *key;
    const char *reason; /* NULL: the record is valid ... */
    const char *type;   /* ... and of this type */
    const json_t *event_id;
    const json_t *attempt_id; /* expected; NULL for any, JSON's null for none */
};

/* False, with a line on stderr, when the file cannot be read or is not a fixture. */
bool fixture_load(const char *path, struct fixture *ret);
void fixture_release(struct fixture *fixture);

/* The bytes that an object stands for: its `value`, `text`, `parts` or `base64`. They are the
 * caller's to free; NULL when it has none of these. */
char *fixture_bytes(const json_t *object, struct bytes *ret);

/* Calls `each` for every .json file below `folder`, in no special order; how many there were. */
size_t fixtures_below(const char *folder, void (*each)(const char *path, void *self), void *self);

#endif
