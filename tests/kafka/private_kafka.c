#include "tests/kafka/private_kafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Runs compose/kafka; its last line of output goes to `ret_line` unless NULL. */
static bool script(const char *command, const char *dir, const char *signal, char *ret_line,
                   size_t size)
{
    char line[256];
    (void)snprintf(line, sizeof line, "compose/kafka %s %s %s", command, dir, signal);
    FILE *pipe = popen(line, "re");
    if (pipe == NULL)
        return false;
    while (fgets(line, sizeof line, pipe) != NULL)
        if (ret_line != NULL)
            (void)snprintf(ret_line, size, "%.*s", (int)strcspn(line, "\n"), line);
    return pclose(pipe) == 0;
}

bool private_kafka_start(struct private_kafka *kafka)
{
    (void)snprintf(kafka->dir, sizeof kafka->dir, "/tmp/attemptd-kafka-XXXXXX");
    return mkdtemp(kafka->dir) != NULL &&
           script("start", kafka->dir, "", kafka->address, sizeof kafka->address);
}

bool private_kafka_stop(struct private_kafka *kafka, const char *signal)
{
    return script("stop", kafka->dir, signal, NULL, 0);
}

bool private_kafka_restart(struct private_kafka *kafka, const char *signal)
{
    return script("restart", kafka->dir, signal, NULL, 0);
}

void private_kafka_release(struct private_kafka *kafka)
{
    char command[128];
    if (*kafka->dir == '\0')
        return;
    (void)private_kafka_stop(kafka, "KILL");
    (void)snprintf(command, sizeof command, "rm -rf '%s'", kafka->dir);
    if (system(command) != 0)
        (void)fprintf(stderr, "could not remove %s\n", kafka->dir);
    *kafka->dir = '\0';
}

int private_kafka_setup(void **state)
{
    struct private_kafka *kafka = calloc(1, sizeof *kafka);
    *state = kafka;
    return kafka != NULL && private_kafka_start(kafka) ? 0 : -1;
}

int private_kafka_teardown(void **state)
{
    private_kafka_release(*state);
    free(*state);
    return 0;
}
