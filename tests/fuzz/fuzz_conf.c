/* A settings file of any bytes: it is taken, or refused with a sentence. */
#include "common/conf_core.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct target {
    const char *text, *secret;
    int64_t number;
    bool on;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct conf_entry entries[] = {
        { "T_TEXT", NULL, "text", CONF_TEXT, offsetof(struct target, text), "a", 0, 0, "a|bc",
          CONF_PUBLIC, 1, "text" },
        { "T_SECRET", "T_OLD", "secret-url", CONF_TEXT, offsetof(struct target, secret), NULL, 0, 0,
          NULL, CONF_URL, 1, "secret" },
        { "T_NUMBER", NULL, "number", CONF_NUMBER, offsetof(struct target, number), "5", -7, 9,
          NULL, CONF_PUBLIC, 1, "number" },
        { "T_ON", NULL, "on", CONF_SWITCH, offsetof(struct target, on), "false", 0, 0, NULL,
          CONF_PUBLIC, 1, "switch" },
    };
    static const struct conf_table table = { entries, 4, NULL, "kafka." };
    int file = memfd_create("conf", 0);
    if (file < 0 || write(file, data, size) != (ssize_t)size)
        abort();
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    struct target target = { 0 };
    struct err err = { 0 };
    struct conf *conf = conf_new(&table, &target);
    if (conf == NULL || (!conf_load_file(conf, path, &err) && err.text[0] == '\0'))
        abort();
    conf_free(conf);
    (void)close(file);
    return 0;
}
