#include "worker/kafka/kafka_witness.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX 80

static int write_text(const struct witness *witness, char text[static TEXT_BYTES_MAX])
{
    return snprintf(text, TEXT_BYTES_MAX, "attemptd generation=%" PRId64 " next=%" PRId64,
                    witness->generation, witness->next_offset);
}

bool kafka_witness_put(rd_kafka_topic_partition_t *offset, const struct witness *witness)
{
    if (!witness->present)
        return true;
    char text[TEXT_BYTES_MAX];
    size_t len = (size_t)write_text(witness, text);
    offset->metadata = malloc(len); /* the list's: freed with free() when it is destroyed */
    if (offset->metadata == NULL)
        return false;
    memcpy(offset->metadata, text, len);
    offset->metadata_size = len;
    return true;
}

struct witness kafka_witness_get(const rd_kafka_topic_partition_t *offset)
{
    static const struct witness none = { .present = false };
    char text[TEXT_BYTES_MAX], ours[TEXT_BYTES_MAX];
    if (offset->metadata == NULL || offset->metadata_size >= sizeof text)
        return none;
    memcpy(text, offset->metadata, offset->metadata_size);
    text[offset->metadata_size] = '\0';
    struct witness witness = { .present = true };
    if (sscanf(text, "attemptd generation=%" SCNd64 " next=%" SCNd64, &witness.generation,
               &witness.next_offset) != 2)
        return none;
    /* Written again it must be the same text: no signs, no zeros, nothing behind it. */
    (void)write_text(&witness, ours);
    bool sane = witness.generation > 0 && witness.next_offset >= 0 && strcmp(text, ours) == 0;
    return sane ? witness : none;
}
