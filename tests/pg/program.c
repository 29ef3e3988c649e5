#include "tests/pg/program.h"
#include "tests/pg/sql.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WORDS_MAX 16

/* In the child: becomes the program. */
static void become(const char *url, const char *arguments)
{
    char path[512];
    char words[2048];
    char *argv[WORDS_MAX + 1] = { path };
    const char *folder = getenv("ATTEMPTD_BUILD");
    (void)snprintf(path, sizeof path, "%s/attemptd", folder ? folder : "build");
    (void)snprintf(words, sizeof words, "%s", arguments);
    int argc = 1;
    for (char *word = strtok(words, " "); word && argc < WORDS_MAX; word = strtok(NULL, " "))
        argv[argc++] = word;
    (void)setenv("DATABASE_URL", url, 1);
    (void)setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1", 1);
    (void)unsetenv("DATABASE_REPLICA_URL");
    (void)execv(path, argv);
    (void)fprintf(stderr, "%s cannot be run\n", path);
    _exit(127);
}

pid_t program_start(const char *url, const char *arguments, const char *file)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    int fd = open(file ? file : "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    (void)dup2(fd, STDOUT_FILENO);
    (void)dup2(fd, STDERR_FILENO);
    become(url, arguments);
    return -1;
}

int program_run(const char *url, const char *arguments, char *ret_text)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)dup2(ends[1], STDERR_FILENO);
        (void)close(ends[0]);
        become(url, arguments);
    }
    (void)close(ends[1]);
    size_t len = 0;
    ssize_t n;
    while (len + 1 < PROGRAM_TEXT_BYTES &&
           (n = read(ends[0], ret_text + len, PROGRAM_TEXT_BYTES - 1 - len)) > 0)
        len += (size_t)n;
    ret_text[len] = '\0';
    (void)close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void program_says(const char *url, const char *arguments, int code, const char *says)
{
    static char text[PROGRAM_TEXT_BYTES];
    int found = program_run(url, arguments, text);
    if (found != code || strstr(text, says) == NULL)
        fail_msg("attemptd %s: expected %d and '%s', found %d: %s", arguments, code, says, found,
                 text);
}

int program_set_up(void **state)
{
    struct err err = { 0 };
    struct program_fixture *f = calloc(1, sizeof *f);
    if (f == NULL || !private_pg_database(pg_group_server(), true, false, f->url, &err))
        return -1;
    f->db = sql_connect(f->url);
    *state = f;
    return f->db != NULL ? 0 : -1;
}

int program_tear_down(void **state)
{
    struct program_fixture *f = *state;
    PQfinish(f->db);
    free(f);
    return 0;
}
