#include "worker/engine/merge.h"

/* What stands between the braces of a checked object, without outer white space; may be empty. */
static struct bytes members_of(struct bytes object)
{
    const char *from = object.ptr, *to = object.ptr + object.len;
    while (*from != '{')
        from++;
    while (to[-1] != '}')
        to--;
    from++;
    to--;
    while (from < to && (*from == ' ' || *from == '\t' || *from == '\n' || *from == '\r'))
        from++;
    return (struct bytes){ from, (size_t)(to - from) };
}

bool merge_patches(const struct bytes *patches, size_t count, struct arena *arena,
                   struct bytes *ret)
{
    if (count <= 1) {
        *ret = count == 0 ? BYTES_NONE : patches[0];
        return true;
    }
    size_t total = 2;
    for (size_t i = 0; i < count; i++)
        total += patches[i].len + 1;
    char *text = arena_alloc(arena, total);
    if (text == NULL)
        return false;
    size_t at = 0;
    text[at++] = '{';
    for (size_t i = 0; i < count; i++) {
        struct bytes members = members_of(patches[i]);
        if (members.len == 0)
            continue;
        if (at > 1)
            text[at++] = ',';
        memcpy(text + at, members.ptr, members.len);
        at += members.len;
    }
    text[at++] = '}';
    *ret = (struct bytes){ text, at };
    return true;
}
