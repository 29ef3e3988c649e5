#include "worker/commands/document.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

void document_member(bool *whole, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0)
        *whole = false;
}

void document_item(bool *whole, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0)
        *whole = false;
}

int document_no_memory(const char *name)
{
    (void)fprintf(stderr, "attemptd %s: no memory for the answer; try again\n", name);
    return EX_OSERR;
}

int document_print(const char *name, const json_t *document, size_t flags)
{
    char *text = document == NULL ? NULL : json_dumps(document, flags);
    if (text == NULL)
        return document_no_memory(name);
    (void)puts(text);
    free(text);
    return EX_OK;
}

const char *document_text(const json_t *object, const char *key, const char *otherwise)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value == NULL ? otherwise : value;
}

long long document_number(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}
