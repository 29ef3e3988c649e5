#include "worker/commands/letter.h"

#include <sodium.h>

/* base64 or null; a JSON null is an absent value. */
static bool read_bytes(struct arena *arena, const json_t *member, struct bytes *ret)
{
    *ret = BYTES_NONE;
    if (!json_is_string(member))
        return member == NULL || json_is_null(member);
    size_t text_len = json_string_length(member), len = 0;
    char *bytes = arena_alloc(arena, text_len + 1); /* also an empty value is somewhere */
    if (bytes == NULL ||
        sodium_base642bin((unsigned char *)bytes, text_len + 1, json_string_value(member), text_len,
                          "\n", &len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return false;
    *ret = (struct bytes){ bytes, len };
    return true;
}

static bool read_headers(struct letter *letter, const json_t *headers)
{
    size_t count = json_array_size(headers);
    struct header *list = arena_calloc(&letter->arena, count + 1, sizeof *list);
    if (list == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *pair = json_array_get(headers, i);
        const char *name = json_string_value(json_array_get(pair, 0));
        if (name == NULL || !read_bytes(&letter->arena, json_array_get(pair, 1), &list[i].value))
            return false;
        list[i].name = bytes_of(name);
    }
    letter->record.headers = list;
    letter->record.header_count = count;
    return true;
}

bool letter_read(struct letter *letter, struct bytes text, struct err *err)
{
    *letter = (struct letter){ 0 };
    letter->object = json_loadb(text.ptr, text.len, 0, NULL);
    if (letter->object == NULL)
        return err_set(err, ERR_RESOURCE, "json",
                       "a dead letter came as no JSON object, or there is no memory for it");
    arena_init(&letter->arena, 4096, 0);
    letter->id = json_integer_value(json_object_get(letter->object, "id"));
    letter->topic = letter_text(letter, "topic");
    letter->erased = strcmp(letter_text(letter, "state"), "erased") == 0;
    letter->record.tp.topic = TOPIC_COUNT;
    letter->record.tp.partition =
        (int32_t)json_integer_value(json_object_get(letter->object, "partition"));
    letter->record.offset = json_integer_value(json_object_get(letter->object, "record_offset"));
    if (read_bytes(&letter->arena, json_object_get(letter->object, "key_base64"),
                   &letter->record.key) &&
        read_bytes(&letter->arena, json_object_get(letter->object, "value_base64"),
                   &letter->record.value) &&
        read_headers(letter, json_object_get(letter->object, "headers")))
        return true;
    (void)err_set(err, ERR_REJECT, "letter",
                  "the bytes of dead letter %lld cannot be put together: were its columns changed "
                  "by hand?",
                  (long long)letter->id);
    letter_release(letter);
    return false;
}

void letter_release(struct letter *letter)
{
    json_decref(letter->object);
    arena_release(&letter->arena);
    *letter = (struct letter){ 0 };
}

const char *letter_text(const struct letter *letter, const char *member)
{
    const char *text = json_string_value(json_object_get(letter->object, member));
    return text == NULL ? "" : text;
}
