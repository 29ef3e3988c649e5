#include "common/bytes.h"
#include "common/conf.h"

#include <ctype.h>
#include <strings.h>

bool conf_is_secret_name(const char *name)
{
    static const char *const parts[] = { "password", "passwd",   "secret",
                                         "token",    ".key.pem", "oauthbearer.config" };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        for (const char *at = name; *at != '\0'; at++) {
            if (strncasecmp(at, parts[i], strlen(parts[i])) == 0)
                return true;
        }
    }
    return false;
}

struct out {
    char *ptr;
    size_t len, size;
};

static void put(struct out *out, char c)
{
    if (out->len + 1 < out->size)
        out->ptr[out->len++] = c;
}

static void put_mask(struct out *out)
{
    for (const char *c = "***"; *c != '\0'; c++)
        put(out, *c);
}

/* The end of a keyword's value: quoted values end at their quote, others at a separator. */
static const char *value_end(const char *at)
{
    if (*at != '\'')
        return at + strcspn(at, " \t\n&#");
    for (at++; *at != '\0' && *at != '\''; at++) {
        if (*at == '\\' && at[1] != '\0')
            at++;
    }
    return *at == '\'' ? at + 1 : at;
}

/* `password = x`, `sslpassword=x`, `?password=x`: the length up to the value; 0 when not here. */
static size_t password_key(const char *at)
{
    static const char *const keys[] = { "password", "sslpassword" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        size_t len = strlen(keys[i]);
        if (strncasecmp(at, keys[i], len) != 0)
            continue;
        while (at[len] == ' ')
            len++;
        if (at[len] != '=')
            continue;
        len++;
        while (at[len] == ' ')
            len++;
        return len;
    }
    return 0;
}

void conf_mask_url(const char *value, char *ret, size_t size)
{
    struct out out = { .ptr = ret, .size = size };
    const char *at = value;
    const char *scheme = strstr(value, "://");
    if (scheme != NULL) {
        /* user:password@host; a password that was not escaped may itself hold an @. */
        const char *authority = scheme + 3;
        const char *end = authority + strcspn(authority, "/?#");
        const char *host = memrchr(authority, '@', strlen(authority));
        if (host != NULL && host > end && memchr(authority, '@', (size_t)(end - authority)))
            host = memrchr(authority, '@', (size_t)(end - authority));
        const char *colon =
            host == NULL ? NULL : memchr(authority, ':', (size_t)(host - authority));
        if (colon != NULL) {
            while (at <= colon)
                put(&out, *at++);
            put_mask(&out);
            at = host;
        }
    }
    while (*at != '\0') {
        size_t key = password_key(at);
        if (key == 0 || (at != value && isalnum((unsigned char)at[-1]))) {
            put(&out, *at++);
            continue;
        }
        for (size_t i = 0; i < key; i++)
            put(&out, at[i]);
        put_mask(&out);
        at = value_end(at + key);
    }
    if (size > 0)
        ret[out.len] = '\0';
}
