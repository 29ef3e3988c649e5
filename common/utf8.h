/*
 * UTF-8, strictly: no overlong forms, no surrogates, nothing above U+10FFFF.
 */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>

static inline bool utf8_is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/*
 * Bytes of the sequence at `at` (which is before `end`); 0 when there is none. The range of the
 * second byte is what keeps out overlong forms, surrogates and what lies above U+10FFFF.
 */
static inline size_t utf8_sequence(const char *at, const char *end)
{
    unsigned char lead = (unsigned char)*at;
    size_t rest = (size_t)(end - at);
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4 || rest < 2)
        return 0;
    unsigned char second = (unsigned char)at[1];
    if (lead < 0xe0)
        return utf8_is_continuation(at[1]) ? 2 : 0;
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (second < low || second > high || rest < 3 || !utf8_is_continuation(at[2]))
        return 0;
    if (lead < 0xf0)
        return 3;
    return rest >= 4 && utf8_is_continuation(at[3]) ? 4 : 0;
}

#endif
