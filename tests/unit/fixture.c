#include "tests/unit/fixture.h"

#include "common/buf.h"

#include <dirent.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static struct bytes text_of(const json_t *string)
{
    if (!json_is_string(string))
        return BYTES_NONE;
    return (struct bytes){ json_string_value(string), json_string_length(string) };
}

/* A string, or an array of strings and {"repeat": TEXT, "times": N}. */
static void put_parts(struct buf *buf, const json_t *parts)
{
    if (json_is_string(parts))
        buf_put(buf, text_of(parts));
    size_t i;
    json_t *part;
    json_array_foreach(parts, i, part)
    {
        if (json_is_string(part)) {
            buf_put(buf, text_of(part));
            continue;
        }
        json_int_t times = json_integer_value(json_object_get(part, "times"));
        for (json_int_t n = 0; n < times; n++)
            buf_put(buf, text_of(json_object_get(part, "repeat")));
    }
}

static void put_base64(struct buf *buf, struct bytes text)
{
    size_t len = 0;
    char *room = buf_extend(buf, text.len);
    if (room == NULL || sodium_base642bin((unsigned char *)room, text.len, text.ptr, text.len, NULL,
                                          &len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        buf->failed = true;
    buf->len = len;
}

/* Gives the buffer's memory away; never NULL, so that empty is not absent. */
static char *take(struct buf *buf, struct bytes *ret)
{
    buf_put_char(buf, '\0');
    *ret = (struct bytes){ buf->ptr, buf->len - 1 };
    return buf->ptr;
}

char *fixture_bytes(const json_t *object, struct bytes *ret)
{
    struct buf buf;
    buf_init(&buf, 16 << 20);
    json_t *value = json_object_get(object, "value");
    json_t *text = json_object_get(object, "text");
    json_t *parts = json_object_get(object, "parts");
    json_t *base64 = json_object_get(object, "base64");
    if (value != NULL) {
        char *dumped = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        buf_put(&buf, bytes_of(dumped));
        free(dumped);
    } else if (text != NULL || parts != NULL) {
        put_parts(&buf, text != NULL ? text : parts);
    } else if (base64 != NULL) {
        put_base64(&buf, text_of(base64));
    } else {
        return NULL;
    }
    char *bytes = take(&buf, ret);
    if (!buf.failed)
        return bytes;
    free(bytes);
    return NULL;
}

static bool load_value(struct fixture *fixture)
{
    if (json_is_true(json_object_get(fixture->root, "tombstone")))
        return true;
    fixture->value = fixture_bytes(fixture->root, &fixture->record.value);
    return fixture->value != NULL;
}

static void load_key(struct fixture *fixture)
{
    const json_t *key = json_object_get(fixture->root, "key");
    if (json_is_null(key))
        return;
    struct buf buf;
    buf_init(&buf, 16 << 20);
    put_parts(&buf, key);
    fixture->key = take(&buf, &fixture->record.key);
}

static void load_headers(struct fixture *fixture)
{
    size_t i;
    json_t *pair;
    json_array_foreach(json_object_get(fixture->root, "headers"), i, pair)
    {
        if (i == FIXTURE_HEADERS_MAX)
            break;
        fixture->headers[i] = (struct header){ .name = text_of(json_array_get(pair, 0)),
                                               .value = text_of(json_array_get(pair, 1)) };
        fixture->record.header_count = i + 1;
    }
    fixture->record.headers = fixture->headers;
}

static bool load_topic(struct fixture *fixture)
{
    static const char *const names[TOPIC_COUNT] = { "writes", "activity", "refresh" };
    const char *name = json_string_value(json_object_get(fixture->root, "topic"));
    for (unsigned topic = 0; name != NULL && topic < TOPIC_COUNT; topic++) {
        if (strcmp(names[topic], name) != 0)
            continue;
        fixture->record.tp.topic = (enum topic)topic;
        return true;
    }
    return false;
}

bool fixture_load(const char *path, struct fixture *ret)
{
    json_error_t error;
    *ret = (struct fixture){ .root = json_load_file(path, JSON_ALLOW_NUL, &error) };
    if (ret->root == NULL) {
        (void)fprintf(stderr, "%s:%d: %s\n", path, error.line, error.text);
        return false;
    }
    const json_t *expect = json_object_get(ret->root, "expect");
    ret->reason = json_string_value(json_object_get(expect, "reason"));
    ret->type = json_string_value(json_object_get(expect, "type"));
    ret->event_id = json_object_get(expect, "event_id");
    ret->attempt_id = json_object_get(expect, "attempt_id");
    load_key(ret);
    load_headers(ret);
    if (load_topic(ret) && load_value(ret) && (ret->reason == NULL) != (ret->type == NULL))
        return true;
    (void)fprintf(stderr, "%s: not a fixture\n", path);
    fixture_release(ret);
    return false;
}

void fixture_release(struct fixture *fixture)
{
    json_decref(fixture->root);
    free(fixture->value);
    free(fixture->key);
    *fixture = (struct fixture){ .root = NULL };
}

size_t fixtures_below(const char *folder, void (*each)(const char *path, void *self), void *self)
{
    size_t count = 0;
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return 0;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char path[1024];
        struct stat facts;
        size_t len = strlen(entry->d_name);
        if (entry->d_name[0] == '.' ||
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path ||
            stat(path, &facts) != 0)
            continue;
        if (S_ISDIR(facts.st_mode)) {
            count += fixtures_below(path, each, self);
        } else if (len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0) {
            each(path, self);
            count++;
        }
    }
    (void)closedir(dir);
    return count;
}
