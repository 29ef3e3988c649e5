#include "worker/commands/audit_batch.h"

#include "common/json.h"
#include "worker/commands/facts.h"

#include <inttypes.h>

#define FULL_BYTES  ((size_t)2 << 20)
#define FULL_ROWS   1000
#define LIMIT_BYTES ((size_t)512 << 20) /* of one row, in truth: a megabyte can hold a lot */

static void begin(struct audit_batch *batch)
{
    buf_clear(&batch->text);
    buf_put_char(&batch->text, '[');
    batch->rows = 0;
}

void audit_batch_init(struct audit_batch *batch)
{
    buf_init(&batch->text, LIMIT_BYTES);
    begin(batch);
}

void audit_batch_release(struct audit_batch *batch)
{
    buf_release(&batch->text);
}

static void put_name(struct audit_batch *batch, const char *name)
{
    buf_put(&batch->text, BYTES(",\""));
    buf_put(&batch->text, bytes_of(name));
    buf_put(&batch->text, BYTES("\":"));
}

void audit_batch_row(struct audit_batch *batch, const char *name, struct bytes text)
{
    buf_put(&batch->text, batch->rows++ == 0 ? BYTES("{\"") : BYTES(",{\""));
    buf_put(&batch->text, bytes_of(name));
    buf_put(&batch->text, BYTES("\":"));
    json_put_string(&batch->text, text);
}

void audit_batch_row_end(struct audit_batch *batch)
{
    buf_put_char(&batch->text, '}');
}

void audit_batch_uuid(struct audit_batch *batch, const char *name, const struct uuid *id)
{
    char text[UUID_TEXT_LEN + 1];
    audit_batch_text(batch, name, bytes_of(uuid_format(id, text)));
}

void audit_batch_int(struct audit_batch *batch, const char *name, int64_t value)
{
    put_name(batch, name);
    buf_put_int(&batch->text, value);
}

void audit_batch_text(struct audit_batch *batch, const char *name, struct bytes text)
{
    put_name(batch, name);
    json_put_string(&batch->text, text);
}

void audit_batch_json(struct audit_batch *batch, const char *name, struct bytes json)
{
    put_name(batch, name);
    buf_put(&batch->text, json);
}

bool audit_batch_is_full(const struct audit_batch *batch)
{
    return batch->rows >= FULL_ROWS || batch->text.len >= FULL_BYTES;
}

bool audit_batch_run(struct audit_batch *batch, struct pg_client *db, const char *file,
                     struct pg_rows **ret_rows, struct err *err)
{
    buf_put(&batch->text, (struct bytes){ "]", 2 }); /* with its NUL */
    if (batch->text.failed)
        return err_set(err, ERR_RESOURCE, "ENOMEM", "no memory for the comparison");
    const char *params[] = { batch->text.ptr };
    if (!facts_run(db, file, params, 1, ret_rows, err))
        return false;
    begin(batch);
    return true;
}
