#include "worker/events/wrap.h"

#include "common/json.h"

void wrap_init(struct wrap *wrap, size_t limit_bytes)
{
    *wrap = (struct wrap){ 0 };
    buf_init(&wrap->value, limit_bytes);
}

void wrap_release(struct wrap *wrap)
{
    buf_release(&wrap->value);
}

static void put_member(struct buf *out, const char *name, struct bytes value)
{
    json_put_string(out, bytes_of(name));
    buf_put_char(out, ':');
    json_put_string(out, value);
    buf_put_char(out, ',');
}

static size_t binary_headers(struct wrap *wrap, const struct wrapping *wrapping)
{
    size_t count = 0;
    wrap->headers[count++] = (struct header){ BYTES("ce_specversion"), BYTES("1.0") };
    wrap->headers[count++] = (struct header){ BYTES("ce_id"), wrapping->id };
    wrap->headers[count++] = (struct header){ BYTES("ce_source"), wrapping->source };
    wrap->headers[count++] = (struct header){ BYTES("ce_type"), wrapping->type };
    wrap->headers[count++] = (struct header){ BYTES("content-type"), BYTES("application/json") };
    if (bytes_present(wrapping->traceparent))
        wrap->headers[count++] = (struct header){ BYTES("traceparent"), wrapping->traceparent };
    return count;
}

bool wrap_event(struct wrap *wrap, const struct wrapping *wrapping, struct record *ret)
{
    ret->headers = wrap->headers;
    if (wrapping->form == WRAP_BINARY) {
        ret->header_count = binary_headers(wrap, wrapping);
        ret->value = wrapping->data;
        return true;
    }
    struct buf *out = &wrap->value;
    buf_clear(out);
    buf_put_char(out, '{');
    ret->header_count = 0;
    if (wrapping->form == WRAP_STRUCTURED) {
        wrap->headers[ret->header_count++] =
            (struct header){ BYTES("content-type"),
                             BYTES("application/cloudevents+json; charset=UTF-8") };
        put_member(out, "specversion", BYTES("1.0"));
        put_member(out, "source", wrapping->source);
        put_member(out, "datacontenttype", BYTES("application/json"));
    }
    put_member(out, "type", wrapping->type);
    put_member(out, "id", wrapping->id);
    buf_put(out, BYTES("\"data\":"));
    buf_put(out, wrapping->data);
    buf_put_char(out, '}');
    ret->value = buf_bytes(out);
    return !out->failed;
}
