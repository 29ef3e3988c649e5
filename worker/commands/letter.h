/*
 * A dead letter as the statements of dlq give it, one JSON object (dlq_show.sql):
 *
 *     {"id":7,"state":"open","topic":"attempt.writes","partition":3,"generation":1,
 *      "record_offset":120,"key_base64":"…"|null,"value_base64":"…"|null,
 *      "headers":[["name","base64"|null],…],"reason":"json","detail":"…"|null,…}
 *
 * letter_read() makes of it the record that was read, byte for byte; null is not empty. A letter
 * whose attempt was erased (state "erased") has no bytes.
 */
#ifndef WORKER_COMMANDS_LETTER_H
#define WORKER_COMMANDS_LETTER_H

#include "common/arena.h"
#include "common/err.h"
#include "worker/events/record.h"

#include <jansson.h>

struct letter {
    json_t *object; /* owned: everything about it */
    struct arena arena;
    int64_t id;
    const char *topic; /* full name */
    bool erased;
    struct record record; /* key, value, headers, partition and offset */
};

/* `text` is the object. On failure there is nothing to release. */
bool letter_read(struct letter *letter, struct bytes text, struct err *err);
void letter_release(struct letter *letter);

/* "" for a member that is null or missing. */
const char *letter_text(const struct letter *letter, const char *member);

#endif
