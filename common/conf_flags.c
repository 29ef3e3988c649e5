#include "common/bytes.h"
#include "common/conf_core.h"

#include <ctype.h>
#include <stdio.h>

/* `name=value` of -X. */
static bool set_pair_text(struct conf *conf, const char *text, struct err *err)
{
    const char *equals = text == NULL ? NULL : strchr(text, '=');
    if (equals == NULL || equals == text)
        return err_set(err, ERR_HALT, CONF_ERR_USAGE,
                       "-X takes property=value, as in -X socket.timeout.ms=10000");
    char name[128];
    if ((size_t)(equals - text) >= sizeof name)
        return err_set(err, ERR_HALT, CONF_ERR_USAGE, "-X: the property's name is too long");
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = '\0';
    return conf_set_pair(conf, name, equals + 1, CONF_FLAG, "flag -X", err);
}

enum flag_form { FORM_NONE, FORM_VALUE, FORM_NO, FORM_FILE };

/* KAFKA_BROKERS is also --kafka-brokers. */
static bool is_alias_flag(const char *alias, struct bytes typed)
{
    if (alias == NULL || strlen(alias) != typed.len)
        return false;
    size_t i = 0;
    while (i < typed.len && typed.ptr[i] == (alias[i] == '_' ? '-' : tolower((int)alias[i])))
        i++;
    return i == typed.len;
}

/* Does `--name` (len bytes after the dashes) mean this entry, and in which of its forms? */
static enum flag_form flag_form(const struct conf_entry *entry, const char *name, size_t len)
{
    struct bytes typed = { name, len }, flag = bytes_of(entry->flag);
    if (bytes_equal(typed, flag) || is_alias_flag(entry->alias, typed))
        return FORM_VALUE;
    if (entry->type == CONF_SWITCH && len == flag.len + 3 && memcmp(name, "no-", 3) == 0 &&
        memcmp(name + 3, flag.ptr, flag.len) == 0)
        return FORM_NO;
    if (entry->secrecy != CONF_PUBLIC && len == flag.len + 5 &&
        memcmp(name, flag.ptr, flag.len) == 0 && memcmp(name + flag.len, "-file", 5) == 0)
        return FORM_FILE;
    return FORM_NONE;
}

/* Sets what one flag says. `value` is NULL when there is none. */
static bool set_flag(struct conf *conf, size_t index, enum flag_form form, const char *value,
                     struct err *err)
{
    const struct conf_entry *entry = &conf->table->entries[index];
    char origin[160];
    (void)snprintf(origin, sizeof origin, "flag --%s%s", form == FORM_NO ? "no-" : "", entry->flag);
    if (form == FORM_NO)
        return conf_set_slot(conf, index, "false", CONF_FLAG, origin, err);
    if (entry->type == CONF_SWITCH)
        return conf_set_slot(conf, index, value == NULL ? "true" : value, CONF_FLAG, origin, err);
    if (value == NULL)
        return err_set(err, ERR_HALT, CONF_ERR_USAGE, "--%s%s needs a value", entry->flag,
                       form == FORM_FILE ? "-file" : "");
    if (form == FORM_FILE)
        return conf_set_secret_file(conf, index, value, CONF_FLAG, origin, err);
    return conf_set_slot(conf, index, value, CONF_FLAG, origin, err);
}

/* How many words of argv[at] ... were ours: 0, 1 or 2; -1 for an error. */
static int take_flag(struct conf *conf, char **argv, int at, struct err *err)
{
    const char *word = argv[at];
    if (strncmp(word, "-X", 2) == 0 && conf->table->pair_prefix != NULL) {
        bool apart = word[2] == '\0';
        bool done = set_pair_text(conf, apart ? argv[at + 1] : word + 2, err);
        return !done ? -1 : apart ? 2 : 1;
    }
    if (strncmp(word, "--", 2) != 0)
        return 0;
    const char *name = word + 2;
    size_t len = strcspn(name, "=");
    for (size_t i = 0; i < conf->table->count; i++) {
        const struct conf_entry *entry = &conf->table->entries[i];
        enum flag_form form = flag_form(entry, name, len);
        if (form == FORM_NONE)
            continue;
        bool inside = name[len] == '=';
        bool apart = !inside && entry->type != CONF_SWITCH;
        const char *value = inside ? name + len + 1 : apart ? argv[at + 1] : NULL;
        return !set_flag(conf, i, form, value, err) ? -1 : apart ? 2 : 1;
    }
    return 0;
}

bool conf_load_flags(struct conf *conf, int argc, char **argv, int *ret_argc, struct err *err)
{
    int kept = 0;
    bool ours = true;
    for (int at = 0; at < argc;) {
        if (strcmp(argv[at], "--") == 0)
            ours = false;
        int taken = ours && at > 0 ? take_flag(conf, argv, at, err) : 0;
        if (taken < 0)
            return false;
        if (taken == 0)
            argv[kept++] = argv[at++];
        else
            at += taken;
    }
    argv[kept] = NULL;
    *ret_argc = kept;
    return true;
}
