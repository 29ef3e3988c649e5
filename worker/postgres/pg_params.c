#include "worker/postgres/pg_params.h"

#include <assert.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

/* PostgreSQL refuses values of 1 GiB; stopping earlier keeps the failure on our side. */
#define PARAMS_BYTES_MAX ((size_t)1 << 29)

/* PostgreSQL counts microseconds from 2000-01-01. */
#define PG_EPOCH_US 946684800000000

#define ARRAY_HEADER_BYTES 20

void pg_params_init(struct pg_params *params)
{
    *params = (struct pg_params){ 0 };
    buf_init(&params->bytes, PARAMS_BYTES_MAX);
}

void pg_params_release(struct pg_params *params)
{
    buf_release(&params->bytes);
    params->count = 0;
}

void pg_params_clear(struct pg_params *params)
{
    buf_clear(&params->bytes);
    params->count = 0;
}

/* ---------------------------------------------------------------------------- plain parameters */

static void begin(struct pg_params *params)
{
    assert(params->count < PG_PARAMS_MAX);
    params->starts[params->count] = params->bytes.len;
}

static void end(struct pg_params *params)
{
    params->lengths[params->count] = (int)(params->bytes.len - params->starts[params->count]);
    params->count++;
}

static void put_null(struct pg_params *params)
{
    begin(params);
    end(params);
    params->lengths[params->count - 1] = -1;
}

void pg_put_int8(struct pg_params *params, int64_t value)
{
    begin(params);
    buf_put_u64(&params->bytes, (uint64_t)value);
    end(params);
}

void pg_put_int4(struct pg_params *params, int32_t value)
{
    begin(params);
    buf_put_u32(&params->bytes, (uint32_t)value);
    end(params);
}

void pg_put_bool(struct pg_params *params, bool value)
{
    begin(params);
    buf_put_char(&params->bytes, value ? 1 : 0);
    end(params);
}

void pg_put_text(struct pg_params *params, struct bytes value)
{
    if (!bytes_present(value)) {
        put_null(params);
        return;
    }
    begin(params);
    buf_put(&params->bytes, value);
    end(params);
}

void pg_put_jsonb(struct pg_params *params, struct bytes value)
{
    if (!bytes_present(value)) {
        put_null(params);
        return;
    }
    begin(params);
    buf_put_char(&params->bytes, 1); /* the version of jsonb's binary format */
    buf_put(&params->bytes, value);
    end(params);
}

void pg_put_uuid(struct pg_params *params, const struct uuid *value)
{
    begin(params);
    buf_put(&params->bytes, (struct bytes){ (const char *)value->bytes, sizeof value->bytes });
    end(params);
}

/* ------------------------------------------------------------------------------------- arrays */

/* Header: dimensions, has-null flag, member type, then length and lower bound of the dimension. */
void pg_array_begin(struct pg_params *params, enum pg_type member)
{
    begin(params);
    params->array_at = params->bytes.len;
    params->array_count = 0;
    params->array_has_null = false;
    buf_put_u32(&params->bytes, 1);
    buf_put_u32(&params->bytes, 0);
    buf_put_u32(&params->bytes, (uint32_t)member);
    buf_put_u32(&params->bytes, 0);
    buf_put_u32(&params->bytes, 1);
}

static void patch_u32(struct buf *buf, size_t at, uint32_t value)
{
    for (size_t i = 0; i < 4; i++)
        buf->ptr[at + i] = (char)(value >> (24 - 8 * i) & 0xff);
}

void pg_array_end(struct pg_params *params)
{
    struct buf *buf = &params->bytes;
    if (!buf->failed) {
        patch_u32(buf, params->array_at + 4, params->array_has_null);
        patch_u32(buf, params->array_at + 12, params->array_count);
        /* An empty array has no dimension. */
        if (params->array_count == 0) {
            patch_u32(buf, params->array_at, 0);
            buf->len = params->array_at + ARRAY_HEADER_BYTES - 8;
        }
    }
    end(params);
}

static void member(struct pg_params *params, size_t bytes)
{
    params->array_count++;
    buf_put_u32(&params->bytes, (uint32_t)bytes);
}

void pg_array_null(struct pg_params *params)
{
    params->array_has_null = true;
    params->array_count++;
    buf_put_u32(&params->bytes, UINT32_MAX);
}

void pg_array_int8(struct pg_params *params, int64_t value)
{
    member(params, 8);
    buf_put_u64(&params->bytes, (uint64_t)value);
}

void pg_array_int4(struct pg_params *params, int32_t value)
{
    member(params, 4);
    buf_put_u32(&params->bytes, (uint32_t)value);
}

void pg_array_bool(struct pg_params *params, bool value)
{
    member(params, 1);
    buf_put_char(&params->bytes, value ? 1 : 0);
}

void pg_array_time(struct pg_params *params, int64_t value_us)
{
    pg_array_int8(params, value_us - PG_EPOCH_US);
}

void pg_array_uuid(struct pg_params *params, const struct uuid *value)
{
    member(params, sizeof value->bytes);
    buf_put(&params->bytes, (struct bytes){ (const char *)value->bytes, sizeof value->bytes });
}

void pg_array_text(struct pg_params *params, struct bytes value)
{
    if (!bytes_present(value)) {
        pg_array_null(params);
        return;
    }
    member(params, value.len);
    buf_put(&params->bytes, value);
}

void pg_array_bytea(struct pg_params *params, struct bytes value)
{
    pg_array_text(params, value);
}

void pg_array_jsonb(struct pg_params *params, struct bytes value)
{
    if (!bytes_present(value)) {
        pg_array_null(params);
        return;
    }
    member(params, value.len + 1);
    buf_put_char(&params->bytes, 1);
    buf_put(&params->bytes, value);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

void pg_array_members(struct pg_params *params, struct bytes object)
{
    const char *from = object.ptr, *to = object.ptr + object.len;
    if (bytes_present(object)) {
        while (*from++ != '{')
            continue;
        while (*--to != '}')
            continue;
        while (from < to && is_blank(*from))
            from++;
    }
    if (from == to) {
        member(params, 0);
        return;
    }
    member(params, 1 + (size_t)(to - from));
    buf_put_char(&params->bytes, ',');
    buf_put(&params->bytes, (struct bytes){ from, (size_t)(to - from) });
}

/* ------------------------------------------------------------------------------------- results */

static uint64_t big_endian(const char *at, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | (unsigned char)at[i];
    return value;
}

size_t pg_row_count(const struct pg_result *result)
{
    return (size_t)PQntuples(result);
}

bool pg_is_null(const struct pg_result *result, size_t row, int column)
{
    return PQgetisnull(result, (int)row, column) != 0;
}

struct bytes pg_get_bytes(const struct pg_result *result, size_t row, int column)
{
    if (pg_is_null(result, row, column))
        return BYTES_NONE;
    return (struct bytes){ PQgetvalue(result, (int)row, column),
                           (size_t)PQgetlength(result, (int)row, column) };
}

int64_t pg_get_int8(const struct pg_result *result, size_t row, int column)
{
    struct bytes value = pg_get_bytes(result, row, column);
    assert(value.len == 0 || value.len == 8);
    return (int64_t)big_endian(value.ptr, value.len);
}

bool pg_get_bool(const struct pg_result *result, size_t row, int column)
{
    struct bytes value = pg_get_bytes(result, row, column);
    return value.len == 1 && value.ptr[0] != 0;
}

int64_t pg_get_time_us(const struct pg_result *result, size_t row, int column)
{
    return pg_is_null(result, row, column) ? 0 : pg_get_int8(result, row, column) + PG_EPOCH_US;
}

struct uuid pg_get_uuid(const struct pg_result *result, size_t row, int column)
{
    struct uuid uuid = { { 0 } };
    struct bytes value = pg_get_bytes(result, row, column);
    if (value.len == sizeof uuid.bytes)
        memcpy(uuid.bytes, value.ptr, sizeof uuid.bytes);
    return uuid;
}

size_t pg_get_uuids(const struct pg_result *result, size_t row, int column, struct uuid *ret,
                    size_t max)
{
    const size_t stride = 4 + sizeof ret->bytes;
    struct bytes value = pg_get_bytes(result, row, column);
    if (value.len < ARRAY_HEADER_BYTES)
        return 0;
    size_t count = (size_t)big_endian(value.ptr + 12, 4);
    assert(value.len == ARRAY_HEADER_BYTES + count * stride);
    size_t skip = count > max ? count - max : 0;
    for (size_t i = skip; i < count; i++)
        memcpy(ret[i - skip].bytes, value.ptr + ARRAY_HEADER_BYTES + i * stride + 4,
               sizeof ret->bytes);
    return count - skip;
}

bool pg_command_is(const struct pg_result *result, const char *word)
{
    /* PQcmdStatus() only reads, but its prototype predates const. */
    const char *tag = PQcmdStatus((PGresult *)(uintptr_t)result);
    size_t length = strlen(word);
    return strncmp(tag, word, length) == 0 && (tag[length] == '\0' || tag[length] == ' ');
}
