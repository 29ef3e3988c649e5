#include "common/bytes.h"
#include "common/conf_core.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------- life cycle */

static void wipe_and_free(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

struct conf *conf_new(const struct conf_table *table, void *target)
{
    struct conf *conf = calloc(1, sizeof *conf);
    if (conf == NULL)
        return NULL;
    conf->table = table;
    conf->target = target;
    conf->slots = calloc(table->count, sizeof *conf->slots);
    conf->pairs = calloc(CONF_PAIRS_MAX, sizeof *conf->pairs);
    if (conf->slots == NULL || conf->pairs == NULL) {
        conf_free(conf);
        return NULL;
    }
    return conf;
}

void conf_free(struct conf *conf)
{
    if (conf == NULL)
        return;
    for (size_t i = 0; conf->slots != NULL && i < conf->table->count; i++)
        wipe_and_free(conf->slots[i].text);
    for (size_t i = 0; i < conf->pair_count; i++) {
        free(conf->pairs[i].name);
        wipe_and_free(conf->pairs[i].value);
    }
    free(conf->slots);
    free(conf->pairs);
    free(conf);
}

/* ----------------------------------------------------------------------------- one value */

/* Who has to mend it: whoever typed the flag, or whoever wrote the configuration. */
static const char *code_of(enum conf_rank rank)
{
    return rank == CONF_FLAG ? CONF_ERR_USAGE : CONF_ERR_CONFIG;
}

static bool refuse(const struct conf_entry *entry, const char *value, enum conf_rank rank,
                   const char *origin, struct err *err, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

static bool refuse(const struct conf_entry *entry, const char *value, enum conf_rank rank,
                   const char *origin, struct err *err, const char *format, ...)
{
    char allowed[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(allowed, sizeof allowed, format, args);
    va_end(args);
    const char *shown = entry->secrecy == CONF_PUBLIC ? value : "***";
    return err_set(err, ERR_HALT, code_of(rank), "%s cannot be '%.60s' (%s): %s", entry->name,
                   shown, origin, allowed);
}

static bool is_choice(const char *choices, const char *value)
{
    struct bytes wanted = bytes_of(value);
    for (const char *at = choices; *at != '\0';) {
        size_t len = strcspn(at, "|");
        if (bytes_equal((struct bytes){ at, len }, wanted))
            return true;
        at += len + (at[len] == '|');
    }
    return false;
}

static bool parse_number(const struct conf_entry *entry, const char *value, int64_t *ret)
{
    char *end = NULL;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0')
        return false;
    if (number < entry->min || number > entry->max)
        return false;
    *ret = number;
    return true;
}

static bool parse_switch(const char *value, bool *ret)
{
    bool on = is_choice("true|yes|on|1", value);
    if (!on && !is_choice("false|no|off|0", value))
        return false;
    *ret = on;
    return true;
}

/* Parses the slot's text into the target. */
static bool store(struct conf *conf, const struct conf_entry *entry, const struct conf_slot *slot,
                  struct err *err)
{
    void *target = conf->target + entry->offset;
    const char *text = slot->text;
    switch (entry->type) {
    case CONF_TEXT:
        if (text != NULL && entry->choices != NULL && !is_choice(entry->choices, text))
            return refuse(entry, text, slot->rank, slot->origin, err, "allowed is %s",
                          entry->choices);
        *(const char **)target = text;
        return true;
    case CONF_NUMBER:
        if (!parse_number(entry, text, target))
            return refuse(entry, text, slot->rank, slot->origin, err,
                          "allowed is a whole number from %lld to %lld", (long long)entry->min,
                          (long long)entry->max);
        return true;
    case CONF_SWITCH:
        if (!parse_switch(text, target))
            return refuse(entry, text, slot->rank, slot->origin, err, "allowed is true or false");
        return true;
    }
    return err_set(err, ERR_BUG, "conf", "%s has no type", entry->name);
}

bool conf_set_slot(struct conf *conf, size_t index, const char *value, enum conf_rank rank,
                   const char *origin, struct err *err)
{
    struct conf_slot *slot = &conf->slots[index];
    if (slot->rank > rank)
        return true;
    char *text = value == NULL ? NULL : strdup(value);
    if (value != NULL && text == NULL)
        return err_set(err, ERR_RESOURCE, "memory", "no memory for the settings");
    wipe_and_free(slot->text);
    slot->text = text;
    slot->rank = rank;
    (void)snprintf(slot->origin, sizeof slot->origin, "%s", origin);
    return true;
}

/* The contents of a secret's file, without the line's end that editors leave. */
static bool read_secret(const char *path, const char *origin, enum conf_rank rank, char *ret,
                        size_t size, struct err *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return err_set(err, ERR_HALT, code_of(rank), "cannot read %s (%s): %s", path, origin,
                       strerror(errno));
    size_t len = fread(ret, 1, size - 1, file);
    bool whole = fgetc(file) == EOF && !ferror(file);
    int failure = ferror(file) ? errno : 0;
    (void)fclose(file);
    while (len > 0 && (ret[len - 1] == '\n' || ret[len - 1] == '\r'))
        len--;
    ret[len] = '\0';
    const char *found = failure != 0 ? strerror(failure)
                        : !whole     ? "it holds more"
                        : len == 0   ? "it is empty"
                                     : "it holds a zero byte";
    if (!whole || strlen(ret) != len || len == 0)
        return err_set(err, ERR_HALT, code_of(rank),
                       "%s (%s) should hold one secret of at most %zu bytes: %s", path, origin,
                       size - 2, found);
    return true;
}

bool conf_set_secret_file(struct conf *conf, size_t index, const char *path, enum conf_rank rank,
                          const char *origin, struct err *err)
{
    if (conf->slots[index].rank > rank)
        return true;
    char secret[8192], from[160];
    if (!read_secret(path, origin, rank, secret, sizeof secret, err))
        return false;
    (void)snprintf(from, sizeof from, "%.60s: %.90s", origin, path);
    bool done = conf_set_slot(conf, index, secret, rank, from, err);
    explicit_bzero(secret, sizeof secret);
    return done;
}

static size_t find(const struct conf *conf, const char *name)
{
    size_t i = 0;
    while (i < conf->table->count && strcmp(conf->table->entries[i].name, name) != 0)
        i++;
    return i;
}

bool conf_set(struct conf *conf, const char *name, const char *value, enum conf_rank rank,
              const char *origin, struct err *err)
{
    size_t index = find(conf, name);
    if (index == conf->table->count)
        return err_set(err, ERR_BUG, "conf", "no setting is called %s", name);
    return conf_set_slot(conf, index, value, rank, origin, err) &&
           store(conf, &conf->table->entries[index], &conf->slots[index], err);
}

const char *conf_origin(const struct conf *conf, const char *name)
{
    size_t index = find(conf, name);
    return index == conf->table->count ? "" : conf->slots[index].origin;
}

/* ----------------------------------------------------------------------------- free pairs */

const struct conf_pair *conf_pairs(const struct conf *conf, size_t *ret_count)
{
    *ret_count = conf->pair_count;
    return conf->pairs;
}

bool conf_set_pair(struct conf *conf, const char *name, const char *value, enum conf_rank rank,
                   const char *origin, struct err *err)
{
    struct conf_pair *pair = conf->pairs;
    while (pair < conf->pairs + conf->pair_count && strcmp(pair->name, name) != 0)
        pair++;
    bool is_new = pair == conf->pairs + conf->pair_count;
    if (!is_new && pair->rank > rank)
        return true;
    if (is_new && conf->pair_count == CONF_PAIRS_MAX)
        return err_set(err, ERR_HALT, code_of(rank), "more than %d properties (%s)", CONF_PAIRS_MAX,
                       origin);
    char *copy = strdup(value);
    char *name_copy = is_new ? strdup(name) : pair->name;
    if (copy == NULL || name_copy == NULL) {
        free(copy);
        if (is_new)
            free(name_copy);
        return err_set(err, ERR_RESOURCE, "memory", "no memory for the settings");
    }
    wipe_and_free(is_new ? NULL : pair->value);
    pair->name = name_copy;
    pair->value = copy;
    pair->rank = rank;
    (void)snprintf(pair->origin, sizeof pair->origin, "%s", origin);
    conf->pair_count += is_new;
    return true;
}

/* ---------------------------------------------------------------------------- environment */

static bool load_variable(struct conf *conf, size_t index, const char *name, struct err *err)
{
    char origin[160], file_name[128];
    /* A variable that is set to nothing is how shells and compose files say "not set". */
    const char *value = getenv(name);
    if (value != NULL && *value != '\0') {
        (void)snprintf(origin, sizeof origin, "environment %s", name);
        return conf_set_slot(conf, index, value, CONF_ENVIRONMENT, origin, err);
    }
    (void)snprintf(file_name, sizeof file_name, "%s_FILE", name);
    value = conf->table->entries[index].secrecy == CONF_PUBLIC ? NULL : getenv(file_name);
    if (value == NULL || *value == '\0')
        return true;
    (void)snprintf(origin, sizeof origin, "environment %s", file_name);
    return conf_set_secret_file(conf, index, value, CONF_ENVIRONMENT, origin, err);
}

static bool load_environment(struct conf *conf, struct err *err)
{
    for (size_t i = 0; i < conf->table->count; i++) {
        const struct conf_entry *entry = &conf->table->entries[i];
        /* The alias first, so that the name replaces it. */
        if (entry->alias != NULL && !load_variable(conf, i, entry->alias, err))
            return false;
        if (!load_variable(conf, i, entry->name, err))
            return false;
    }
    return true;
}

/* The path of the file, which flags and environment have settled by now; NULL for none. */
static const char *file_path(const struct conf *conf)
{
    for (size_t i = 0; conf->table->config_flag != NULL && i < conf->table->count; i++) {
        if (strcmp(conf->table->entries[i].flag, conf->table->config_flag) == 0)
            return conf->slots[i].text;
    }
    return NULL;
}

bool conf_load(struct conf *conf, int argc, char **argv, int *ret_argc, struct err *err)
{
    int left = 0;
    if (!conf_load_flags(conf, argc, argv, &left, err) || !load_environment(conf, err))
        return false;
    const char *path = file_path(conf);
    if (path != NULL && !conf_load_file(conf, path, err))
        return false;
    for (size_t i = 0; i < conf->table->count; i++) {
        const struct conf_entry *entry = &conf->table->entries[i];
        if (!conf_set_slot(conf, i, entry->fallback, CONF_DEFAULT, "default", err) ||
            !store(conf, entry, &conf->slots[i], err))
            return false;
    }
    *ret_argc = left;
    return true;
}

/* -------------------------------------------------------------------------------- showing */

static void print_one(FILE *to, const char *name, const char *value, const char *origin)
{
    (void)fprintf(to, "%-32s = %-28s # %s\n", name, value, origin);
}

void conf_print(const struct conf *conf, FILE *to)
{
    char masked[1024];
    for (size_t i = 0; i < conf->table->count; i++) {
        const struct conf_entry *entry = &conf->table->entries[i];
        const char *text = conf->slots[i].text;
        const char *shown = text == NULL ? "" : text;
        if (*shown != '\0' && entry->secrecy == CONF_SECRET)
            shown = "***";
        if (entry->secrecy == CONF_URL) {
            conf_mask_url(shown, masked, sizeof masked);
            shown = masked;
        }
        print_one(to, entry->name, shown, conf->slots[i].origin);
    }
    for (size_t i = 0; i < conf->pair_count; i++) {
        const struct conf_pair *pair = &conf->pairs[i];
        char name[160];
        (void)snprintf(name, sizeof name, "%s%s", conf->table->pair_prefix, pair->name);
        print_one(to, name, conf_is_secret_name(pair->name) ? "***" : pair->value, pair->origin);
    }
}

void conf_print_help(const struct conf_table *table, unsigned groups, FILE *to)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct conf_entry *entry = &table->entries[i];
        if ((entry->groups & groups) == 0)
            continue;
        char flag[64];
        (void)snprintf(flag, sizeof flag, "--%s%s", entry->flag,
                       entry->type == CONF_NUMBER ? " N"
                       : entry->type == CONF_TEXT ? " TEXT"
                                                  : "");
        (void)fprintf(to, "  %-32s %s", flag, entry->help);
        if (entry->choices != NULL)
            (void)fprintf(to, " (%s)", entry->choices);
        if (entry->fallback != NULL && *entry->fallback != '\0')
            (void)fprintf(to, " [%s]", entry->fallback);
        (void)fputc('\n', to);
    }
}
