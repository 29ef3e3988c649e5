#include "common/uuid.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool uuid_parse(struct bytes text, struct uuid *ret)
{
    if (text.len != UUID_TEXT_LEN)
        return false;
    struct uuid uuid = { { 0 } };
    uint8_t any = 0;
    size_t at = 0;
    for (size_t i = 0; i < sizeof uuid.bytes; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            if (text.ptr[at++] != '-')
                return false;
        }
        int high = hex_value(text.ptr[at]);
        int low = hex_value(text.ptr[at + 1]);
        if (high < 0 || low < 0)
            return false;
        uuid.bytes[i] = (uint8_t)(high << 4 | low);
        any |= uuid.bytes[i];
        at += 2;
    }
    if (any == 0)
        return false;
    *ret = uuid;
    return true;
}

char *uuid_format(const struct uuid *uuid, char text[static UUID_TEXT_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    char *out = text;
    for (size_t i = 0; i < sizeof uuid->bytes; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = digits[uuid->bytes[i] >> 4];
        *out++ = digits[uuid->bytes[i] & 15];
    }
    *out = '\0';
    return text;
}
