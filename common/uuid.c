#include "common/uuid.h"

/* The value of each lower-case hex digit, plus one; 0 for every other byte. */
static const uint8_t hex_plus_one[256] = {
    ['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

/* Where the two digits of each byte stand. */
static const uint8_t places[16] = { 0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34 };

bool uuid_parse(struct bytes text, struct uuid *ret)
{
    if (text.len != UUID_TEXT_LEN)
        return false;
    struct uuid uuid;
    unsigned sound = 1; /* one look at the end is cheaper than one at each digit */
    unsigned any = 0;
    for (size_t i = 0; i < sizeof uuid.bytes; i++) {
        unsigned high = hex_plus_one[(unsigned char)text.ptr[places[i]]];
        unsigned low = hex_plus_one[(unsigned char)text.ptr[places[i] + 1]];
        sound &= (high != 0) & (low != 0);
        unsigned value = ((high - 1) << 4 | (low - 1)) & 0xff;
        any |= value;
        uuid.bytes[i] = (uint8_t)value;
    }
    sound &= (text.ptr[8] == '-') & (text.ptr[13] == '-') & (text.ptr[18] == '-') &
             (text.ptr[23] == '-');
    if (sound == 0 || any == 0)
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
