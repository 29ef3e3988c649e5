/*
 * Inside conf.h: what its files share. conf.c holds the values, conf_flags.c, conf_file.c and the
 * environment (in conf.c) bring them.
 */
#ifndef COMMON_CONF_CORE_H
#define COMMON_CONF_CORE_H

#include "common/conf.h"

#define CONF_PAIRS_MAX 256

struct conf_slot {
    char *text; /* as given, owned; the target of a CONF_TEXT points here */
    enum conf_rank rank;
    char origin[160];
};

struct conf {
    const struct conf_table *table;
    char *target;
    struct conf_slot *slots; /* one for each entry */
    struct conf_pair *pairs;
    size_t pair_count;
};

/* Replaces a setting's text unless it has come from a stronger source. Not parsed yet. */
bool conf_set_slot(struct conf *conf, size_t index, const char *value, enum conf_rank rank,
                   const char *origin, struct err *err);

/* The same with the contents of the file `path`. */
bool conf_set_secret_file(struct conf *conf, size_t index, const char *path, enum conf_rank rank,
                          const char *origin, struct err *err);

/* Flags out of argv, in place (conf_flags.c). */
bool conf_load_flags(struct conf *conf, int argc, char **argv, int *ret_argc, struct err *err);

/* `key = value` lines (conf_file.c). */
bool conf_load_file(struct conf *conf, const char *path, struct err *err);

#endif
