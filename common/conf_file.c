#include "common/conf_core.h"
#include "common/nearest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX (64 * 1024)

/* Is `key` (linger_ms, linger-ms or ATTEMPTD_LINGER_MS) this entry? */
static bool is_key(const struct conf_entry *entry, const char *key)
{
    if (strcmp(key, entry->name) == 0 || (entry->alias != NULL && strcmp(key, entry->alias) == 0))
        return true;
    size_t i = 0;
    while (key[i] != '\0' && (key[i] == '_' ? '-' : key[i]) == entry->flag[i])
        i++;
    return key[i] == '\0' && entry->flag[i] == '\0';
}

/* `key` without its ending _file; true when it had one. */
static bool strip_file(const char *key, char *ret, size_t size)
{
    (void)snprintf(ret, size, "%s", key);
    size_t len = strlen(ret);
    if (len < 6 || (strcasecmp(ret + len - 5, "_file") != 0 && strcmp(ret + len - 5, "-file") != 0))
        return false;
    ret[len - 5] = '\0';
    return true;
}

static bool set_key(struct conf *conf, const char *key, const char *value, const char *origin,
                    struct err *err)
{
    const struct conf_table *table = conf->table;
    size_t prefix_len = table->pair_prefix == NULL ? 0 : strlen(table->pair_prefix);
    if (prefix_len > 0 && strncmp(key, table->pair_prefix, prefix_len) == 0)
        return conf_set_pair(conf, key + prefix_len, value, CONF_FILE, origin, err);
    char stem[128];
    bool of_file = strip_file(key, stem, sizeof stem);
    struct nearest nearest = { .typed = key };
    for (size_t i = 0; i < table->count; i++) {
        const struct conf_entry *entry = &table->entries[i];
        if (is_key(entry, key))
            return conf_set_slot(conf, i, value, CONF_FILE, origin, err);
        if (of_file && entry->secrecy != CONF_PUBLIC && is_key(entry, stem))
            return conf_set_secret_file(conf, i, value, CONF_FILE, origin, err);
        nearest_offer(&nearest, entry->flag);
    }
    return err_set(err, ERR_HALT, CONF_ERR_CONFIG, "%s: there is no setting '%.60s'%s%s%s", origin,
                   key, nearest.word ? "; did you mean '" : "", nearest.word ? nearest.word : "",
                   nearest.word ? "'?" : "");
}

static char *trim(char *text)
{
    text += strspn(text, " \t\r\n");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
        text[--len] = '\0';
    return text;
}

static bool load_line(struct conf *conf, char *line, const char *origin, struct err *err)
{
    char *key = trim(line);
    if (*key == '\0' || *key == '#' || *key == ';')
        return true;
    char *equals = strchr(key, '=');
    if (equals == NULL || equals == key)
        return err_set(err, ERR_HALT, CONF_ERR_CONFIG, "%s: a line is 'key = value' or a # comment",
                       origin);
    *equals = '\0';
    return set_key(conf, trim(key), trim(equals + 1), origin, err);
}

bool conf_load_file(struct conf *conf, const char *path, struct err *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return err_set(err, ERR_HALT, CONF_ERR_CONFIG, "cannot read the settings file %s: %s", path,
                       strerror(errno));
    char *line = NULL;
    size_t capacity = 0, bytes = 0;
    bool done = true;
    ssize_t len = 0;
    for (int number = 1; done && (len = getline(&line, &capacity, file)) >= 0; number++) {
        char origin[160];
        (void)snprintf(origin, sizeof origin, "%.140s:%d", path, number);
        bytes += (size_t)len;
        if (bytes > FILE_BYTES_MAX || strlen(line) != (size_t)len)
            done = err_set(err, ERR_HALT, CONF_ERR_CONFIG,
                           "%s: this is no settings file (it is binary, or above %d bytes)", origin,
                           FILE_BYTES_MAX);
        else
            done = load_line(conf, line, origin, err);
    }
    /* Not ferror(): a line for which there is no memory sets no flag. */
    if (done && len < 0 && !feof(file))
        done = err_set(err, ERR_HALT, CONF_ERR_CONFIG, "cannot read the settings file %s: %s", path,
                       strerror(errno));
    if (line != NULL)
        explicit_bzero(line, capacity);
    free(line);
    (void)fclose(file);
    return done;
}
