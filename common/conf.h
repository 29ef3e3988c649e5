/*
 * Settings from one table: a flag beats the environment, which beats the file, which beats the
 * default.
 *
 * The table says for each setting its names, type, place in the caller's struct, default and
 * meaning; everything else (parsing, messages, --print-config, help) follows from it. A value that
 * is not allowed is an error that names the setting, the value, where it came from and what is
 * allowed; a value that a stronger source replaces is not even looked at.
 *
 *     NAME               flag           environment          file
 *     ATTEMPTD_LINGER_MS --linger-ms 5  ATTEMPTD_LINGER_MS=5 linger_ms = 5
 *
 * The file has one `key = value` a line; lines that begin with # or ; are comments, and nothing
 * inside a value is (a password may contain anything but a line's end). Besides the table there
 * are free pairs for somebody else's settings: `-X name=value`, in the file `PREFIX.name = value`.
 *
 * Text values are owned by the conf, and secrets are wiped when it is freed.
 */
#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum conf_type {
    CONF_TEXT,   /* const char *; `choices` (a|b|c) may limit it */
    CONF_NUMBER, /* int64_t, min <= n <= max */
    CONF_SWITCH  /* bool; the flag alone means true, --no-FLAG false */
};

/* How a value is shown. Secrets may also come from a file: NAME_FILE, --name-file. */
enum conf_secrecy {
    CONF_PUBLIC,
    CONF_SECRET, /* never shown */
    CONF_URL     /* shown without the passwords inside */
};

struct conf_entry {
    const char *name;  /* in the environment, and in messages */
    const char *alias; /* another environment name, weaker than `name`; NULL for none */
    const char *flag;  /* without dashes; with _ for - it is also the key in the file */
    enum conf_type type;
    size_t offset;        /* of the target in the caller's struct */
    const char *fallback; /* default as text; NULL for a text that is absent */
    int64_t min, max;     /* CONF_NUMBER */
    const char *choices;  /* CONF_TEXT; NULL for any */
    enum conf_secrecy secrecy;
    unsigned groups;  /* bits of the caller's, to choose what a help text lists */
    const char *help; /* one line; the unit is in the name */
};

enum conf_rank { CONF_UNSET, CONF_DEFAULT, CONF_FILE, CONF_ENVIRONMENT, CONF_FLAG };

/* A free pair: -X name=value. */
struct conf_pair {
    char *name;
    char *value;
    enum conf_rank rank;
    char origin[160];
};

struct conf_table {
    const struct conf_entry *entries;
    size_t count;
    const char *config_flag; /* the entry (its flag) whose value is the file's path; or NULL */
    const char *pair_prefix; /* of free pairs in the file, "kafka." */
};

struct conf;

/* Codes of errors: who has to mend it, and so the exit code. */
#define CONF_ERR_USAGE  "usage"  /* a flag: EX_USAGE */
#define CONF_ERR_CONFIG "config" /* environment or file: EX_CONFIG */

/*
 * `target` is the caller's struct, which the table's offsets point into; it and the table must
 * outlive the conf. NULL when memory is short.
 */
struct conf *conf_new(const struct conf_table *table, void *target);
void conf_free(struct conf *conf);

/*
 * Takes the flags of the table (and -X) out of argv, in place, wherever they stand before a `--`;
 * what it does not know stays, in order. *ret_argc is how many are left; argv[*ret_argc] is NULL.
 * Then the environment, the file and the defaults.
 */
bool conf_load(struct conf *conf, int argc, char **argv, int *ret_argc, struct err *err);

/* One setting by its table name, as if it came from `rank`; for values computed by the caller. */
bool conf_set(struct conf *conf, const char *name, const char *value, enum conf_rank rank,
              const char *origin, struct err *err);

const struct conf_pair *conf_pairs(const struct conf *conf, size_t *ret_count);

/* Adds a pair unless a stronger source has set it. */
bool conf_set_pair(struct conf *conf, const char *name, const char *value, enum conf_rank rank,
                   const char *origin, struct err *err);

/* Where a setting came from: "default", "environment KAFKA_BROKERS", "a.conf:12", "flag --http". */
const char *conf_origin(const struct conf *conf, const char *name);

/* Every setting with its value and origin, one a line, secrets masked. */
void conf_print(const struct conf *conf, FILE *to);

/* The flags of the entries that are in any of `groups`, one a line, for help texts. */
void conf_print_help(const struct conf_table *table, unsigned groups, FILE *to);

/*
 * `value` with the passwords of a connection URL or keyword string replaced by ***. `ret` always
 * ends with a NUL.
 */
void conf_mask_url(const char *value, char *ret, size_t size);

/* Does a free pair's name say that its value is a secret (sasl.password, ...)? */
bool conf_is_secret_name(const char *name);

#endif
