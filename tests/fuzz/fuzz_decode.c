/*
 * The decoder, in all three forms: whatever the bytes are, it decides, reads nothing outside them,
 * and says the same twice. The first byte chooses topic and form, the second how long the type is.
 */
#include "worker/events/decode.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum decode_result once(const struct record *record, struct refusal *ret_refusal)
{
    struct decode_limits limits = decode_limits_default();
    limits.value_bytes_max = 4096;
    limits.answer_keys_max = 20;
    limits.activity_events_max = 10;
    struct arena arena;
    struct event event;
    arena_init(&arena, 4096, 0);
    enum decode_result result = decode(record, &limits, &arena, &event, ret_refusal);
    arena_release(&arena);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t type_len = data[1] < size - 2 ? data[1] : size - 2;
    struct bytes type = { (const char *)data + 2, type_len };
    struct bytes value = { type.ptr + type_len, size - 2 - type_len };
    struct bytes id = BYTES("018f2a3b-4c5d-7e6f-8a9b-0c1d2e3f0001");
    struct header binary[] = { { BYTES("ce_specversion"), BYTES("1.0") },
                               { BYTES("ce_id"), id },
                               { BYTES("ce_source"), BYTES("/fuzz") },
                               { BYTES("ce_type"), type } };
    struct header structured[] = { { BYTES("content-type"),
                                     BYTES("application/cloudevents+json") } };
    unsigned form = data[0] / TOPIC_COUNT % 3;
    struct record record = { .tp = { (enum topic)(data[0] % TOPIC_COUNT), 0 },
                             .key = BYTES("018f2a3b-4c5d-7e6f-8a9b-0c1d2e3f4a5b"),
                             .value = value,
                             .headers = form == 1   ? binary
                                        : form == 2 ? structured
                                                    : NULL,
                             .header_count = form == 1   ? 4
                                             : form == 2 ? 1
                                                         : 0 };
    struct refusal first = { 0 }, second = { 0 };
    enum decode_result result = once(&record, &first);
    if (result == DECODE_NO_MEMORY || result != once(&record, &second) ||
        (result == DECODE_DEAD && first.reason != second.reason))
        abort();
    return 0;
}
