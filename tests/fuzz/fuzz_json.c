/* The strict scanner against jansson: they agree on every text that neither limits. */
#include "common/json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* jansson refuses numbers that do not fit a double or a long, and we what our rules forbid. */
static bool may_differ(enum json_fault fault, const json_error_t *error)
{
    return fault == JSON_NUMBER || fault == JSON_DEPTH ||
           (fault == JSON_SOUND && json_error_code(error) == json_error_numeric_overflow);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct json_rules rules = {
        .depth_max = 64, .digits_max = 300, .exponent_max = 250, .hash_seed = { 1, 2 }
    };
    enum json_fault fault = json_check((struct bytes){ (const char *)data, size }, &rules, NULL);
    if (memchr(data, '\0', size) != NULL) { /* where jansson sees the end */
        if (fault == JSON_SOUND)
            abort();
        return 0;
    }
    json_error_t error = { 0 };
    json_t *theirs =
        json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if ((fault == JSON_SOUND) != (theirs != NULL) && !may_differ(fault, &error))
        abort();
    json_decref(theirs);
    return 0;
}
