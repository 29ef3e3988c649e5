/*
 * Lines of `produce`: one is refused with a sentence, or is a record; and the record, written as a
 * line and read again, is the same record.
 */
#include "worker/commands/record_line.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(struct bytes a, struct bytes b)
{
    return bytes_present(a) == bytes_present(b) && bytes_equal(a, b);
}

static void check_same(const struct record *a, const struct record *b)
{
    if (!tp_equal(a->tp, b->tp) || !same(a->key, b->key) || !same(a->value, b->value) ||
        a->header_count != b->header_count)
        abort();
    for (size_t i = 0; i < a->header_count; i++)
        if (!same(a->headers[i].name, b->headers[i].name) ||
            !same(a->headers[i].value, b->headers[i].value))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum wrap_form form = (enum wrap_form)(data[0] % 3);
    struct bytes text = { (const char *)data + 1, size - 1 };
    struct record_line first, second;
    struct err err = { .text = "" };
    record_line_init(&first);
    record_line_init(&second);
    if (record_line_read(&first, text, form, "dev.", &err)) {
        struct buf out;
        buf_init(&out, 1 << 24);
        record_line_put(&first.record, &out);
        if (!record_line_read(&second, buf_bytes(&out), form, "dev.", &err))
            abort();
        check_same(&first.record, &second.record);
        buf_release(&out);
    } else if (err.action != ERR_REJECT || err.text[0] == '\0') {
        abort();
    }
    record_line_release(&first);
    record_line_release(&second);
    return 0;
}
