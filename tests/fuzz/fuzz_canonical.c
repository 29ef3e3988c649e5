/*
 * Canonical text: sound JSON in, sound JSON out, which is the same to jansson and, made canonical
 * again, to the byte; so its digest does not depend on how a producer writes.
 */
#include "worker/events/canonical.h"

#include "common/json.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const size_t flags = JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL;

/* Numbers are all reals here; a canonical one must be the very same double. */
static void check_same(struct bytes text, struct bytes canonical)
{
    json_error_t error, other;
    json_t *before = json_loadb(text.ptr, text.len, flags, &error);
    json_t *after = json_loadb(canonical.ptr, canonical.len, flags, &other);
    bool too_large = before == NULL && json_error_code(&error) == json_error_numeric_overflow;
    if (too_large ? after != NULL : before == NULL || !json_equal(before, after))
        abort();
    json_decref(before);
    json_decref(after);
}

static bool has_trailing_zero_or_exponent(struct bytes text)
{
    bool in_string = false, fraction = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (in_string) {
            i += c == '\\';
            in_string = c != '"';
            continue;
        }
        in_string = c == '"';
        if (c == ' ' || c == '\n' || c == 'E' ||
            (c == 'e' && i > 0 && text.ptr[i - 1] <= '9' && text.ptr[i - 1] >= '0'))
            return true;
        bool digit = c >= '0' && c <= '9';
        if (fraction && !digit && text.ptr[i - 1] == '0')
            return true;
        fraction = c == '.' || (fraction && digit);
    }
    return fraction && text.ptr[text.len - 1] == '0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct json_rules rules = { .depth_max = 32, .digits_max = 60, .exponent_max = 60 };
    const struct json_rules wide = { .depth_max = 32, .digits_max = 200, .exponent_max = 60 };
    struct bytes text = { (const char *)data, size };
    if (json_check(text, &rules, NULL) != JSON_SOUND)
        return 0;
    struct arena scratch;
    struct buf once, twice;
    arena_init(&scratch, 4096, 0);
    buf_init(&once, 1 << 24);
    buf_init(&twice, 1 << 24);
    uint8_t first[HASH_256_BYTES], second[HASH_256_BYTES];
    if (!canonical_put(&once, text, &scratch) ||
        json_check(buf_bytes(&once), &wide, NULL) != JSON_SOUND ||
        has_trailing_zero_or_exponent(buf_bytes(&once)) ||
        !canonical_put(&twice, buf_bytes(&once), &scratch) ||
        !bytes_equal(buf_bytes(&once), buf_bytes(&twice)))
        abort();
    check_same(text, buf_bytes(&once));
    if (!canonical_digest(text, &scratch, &twice, first) ||
        !canonical_digest(buf_bytes(&once), &scratch, &twice, second) ||
        memcmp(first, second, sizeof first) != 0)
        abort();
    buf_release(&once);
    buf_release(&twice);
    arena_release(&scratch);
    return 0;
}
