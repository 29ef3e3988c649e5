/* Dead letters: records byte for byte, for CLOSE. */
#include "worker/postgres/pg_store_steps.h"

#include "common/json.h"

static void put_base64(struct buf *buf, struct bytes b)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *at = (const unsigned char *)b.ptr;
    for (size_t i = 0; i < b.len; i += 3) {
        size_t left = b.len - i;
        uint32_t bits = (uint32_t)at[i] << 16;
        bits |= left > 1 ? (uint32_t)at[i + 1] << 8 : 0;
        bits |= left > 2 ? at[i + 2] : 0;
        char *out = buf_extend(buf, 4);
        if (out == NULL)
            return;
        out[0] = digits[bits >> 18];
        out[1] = digits[bits >> 12 & 63];
        out[2] = left > 1 ? digits[bits >> 6 & 63] : '=';
        out[3] = left > 2 ? digits[bits & 63] : '=';
    }
}

/* jsonb has no place for a NUL: a name that holds one ends there. */
static struct bytes until_nul(struct bytes name)
{
    const char *nul = name.len == 0 ? NULL : memchr(name.ptr, '\0', name.len);
    return nul == NULL ? name : (struct bytes){ name.ptr, (size_t)(nul - name.ptr) };
}

static struct bytes headers_json(struct buf *text, const struct record *record)
{
    buf_clear(text);
    buf_put_char(text, '[');
    for (size_t i = 0; i < record->header_count; i++) {
        const struct header *header = &record->headers[i];
        buf_put(text, i == 0 ? BYTES("[") : BYTES(",["));
        json_put_string(text, until_nul(header->name));
        if (bytes_present(header->value)) {
            buf_put(text, BYTES(",\""));
            put_base64(text, header->value);
            buf_put(text, BYTES("\"]"));
        } else {
            buf_put(text, BYTES(",null]"));
        }
    }
    buf_put_char(text, ']');
    return buf_bytes(text);
}

/* A sentence cut to its buffer may end within a character, which PostgreSQL would refuse. */
static struct bytes detail_of(const struct entry *entry)
{
    const char *text = entry->detail != NULL    ? entry->detail
                       : entry->refusal != NULL ? entry->refusal->detail
                                                : NULL;
    struct bytes detail = bytes_of(text);
    for (int cut = 0; cut < 4 && detail.len > 0 && !json_is_utf8(detail); cut++)
        detail.len--;
    return json_is_utf8(detail) ? detail : BYTES_NONE;
}

static enum reason reason_of(const struct entry *entry)
{
    return entry->reason == REASON_NONE && entry->refusal != NULL ? entry->refusal->reason
                                                                  : entry->reason;
}

static const struct uuid *attempt_of(const struct entry *entry)
{
    if (entry->refusal != NULL)
        return entry->refusal->has_attempt_id ? &entry->refusal->attempt_id : NULL;
    return entry->event.type == EVENT_REFRESH ? NULL : &entry->event.attempt_id;
}

static const struct uuid *event_of(const struct entry *entry)
{
    if (entry->refusal != NULL)
        return entry->refusal->has_event_id ? &entry->refusal->event_id : NULL;
    return &entry->event.event_id;
}

static bool in_ledger(const struct entry *entry)
{
    return entry->record.tp.topic != TOPIC_REFRESH;
}

/* Ends one column of a letter: its values for the letters of the ledger, or for the others. */
#define COLUMN(params, type, put, value)                                                           \
    do {                                                                                           \
        pg_array_begin((params), (type));                                                          \
        for (size_t i = 0; i < plan->letter_count; i++) {                                          \
            const struct entry *entry = plan->letters[i];                                          \
            if (in_ledger(entry) == ledger)                                                        \
                put((params), (value));                                                            \
        }                                                                                          \
        pg_array_end((params));                                                                    \
    } while (0)

static void put_uuid_or_null(struct pg_params *params, const struct uuid *uuid)
{
    if (uuid != NULL)
        pg_array_uuid(params, uuid);
    else
        pg_array_null(params);
}

static void put_letters(struct pg_store *store, const struct plan *plan, bool ledger)
{
    struct pg_params *params = &store->params;
    struct buf *text = &store->text;
    pg_params_clear(params);
    COLUMN(params, PG_TEXT, pg_array_text, bytes_of(store->options.topics[entry->record.tp.topic]));
    COLUMN(params, PG_INT4, pg_array_int4, entry->record.tp.partition);
    COLUMN(params, PG_INT8, pg_array_int8, entry->move != NULL ? entry->move->generation : 0);
    COLUMN(params, PG_INT8, pg_array_int8, entry->record.offset);
    COLUMN(params, PG_BYTEA, pg_array_bytea, entry->record.key);
    COLUMN(params, PG_BYTEA, pg_array_bytea, entry->record.value);
    bool failed = false;
    pg_array_begin(params, PG_JSONB);
    for (size_t i = 0; i < plan->letter_count; i++) {
        if (in_ledger(plan->letters[i]) != ledger)
            continue;
        pg_array_jsonb(params, headers_json(text, &plan->letters[i]->record));
        failed |= text->failed;
    }
    pg_array_end(params);
    COLUMN(params, PG_TEXT, pg_array_text, bytes_of(reason_name(reason_of(entry))));
    COLUMN(params, PG_TEXT, pg_array_text, detail_of(entry));
    COLUMN(params, PG_UUID, put_uuid_or_null, attempt_of(entry));
    COLUMN(params, PG_UUID, put_uuid_or_null, event_of(entry));
    params->bytes.failed |= failed;
}

void pg_store_send_letters(struct pg_store *store, const struct plan *plan)
{
    size_t ledger = 0;
    for (size_t i = 0; i < plan->letter_count; i++)
        ledger += in_ledger(plan->letters[i]);
    if (ledger > 0) {
        put_letters(store, plan, true);
        pg_store_send(store, "store_letters.sql", NULL);
    }
    if (ledger < plan->letter_count) {
        put_letters(store, plan, false);
        pg_store_send(store, "store_refresh_letters.sql", NULL);
    }
}
