#include "common/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct target {
    const char *url, *secret, *form, *file;
    int64_t linger_ms;
    bool fast;
};

#define FIELD(member) offsetof(struct target, member)

static const struct conf_entry entries[] = {
    { .name = "T_URL",
      .alias = "T_LINK",
      .flag = "url",
      .offset = FIELD(url),
      .secrecy = CONF_URL },
    { .name = "T_SECRET", .flag = "secret", .offset = FIELD(secret), .secrecy = CONF_SECRET },
    { .name = "T_FORM", .flag = "form", .offset = FIELD(form), .fallback = "a", .choices = "a|bb" },
    { .name = "T_FILE", .flag = "config", .offset = FIELD(file) },
    { .name = "T_LINGER_MS",
      .flag = "linger-ms",
      .type = CONF_NUMBER,
      .offset = FIELD(linger_ms),
      .fallback = "200",
      .max = 1000 },
    { .name = "T_FAST",
      .flag = "fast",
      .type = CONF_SWITCH,
      .offset = FIELD(fast),
      .fallback = "no" },
};
static const struct conf_table table = { entries, 6, "config", "kafka." };

static const char *const variables[] = { "T_URL",  "T_LINK",      "T_SECRET", "T_SECRET_FILE",
                                         "T_FORM", "T_LINGER_MS", "T_FAST",   "T_FILE" };

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        (void)unsetenv(variables[i]);
    return 0;
}

struct loaded {
    struct target target;
    struct conf *conf;
    struct err err;
    bool done;
    int argc;
    char *argv[16];
    char words[512];
};

/* `line` is the command line, its words separated by single spaces. */
static void load(struct loaded *l, const char *line)
{
    *l = (struct loaded){ 0 };
    (void)snprintf(l->words, sizeof l->words, "program %s", line);
    for (char *word = strtok(l->words, " "); word != NULL; word = strtok(NULL, " "))
        l->argv[l->argc++] = word;
    l->conf = conf_new(&table, &l->target);
    assert_non_null(l->conf);
    l->done = conf_load(l->conf, l->argc, l->argv, &l->argc, &l->err);
}

static void write_file(char *path, const char *text)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

static void test_conf_defaults(void **state)
{
    (void)state;
    struct loaded l;
    load(&l, "");
    assert_true(l.done);
    assert_null(l.target.url);
    assert_string_equal(l.target.form, "a");
    assert_int_equal(l.target.linger_ms, 200);
    assert_false(l.target.fast);
    assert_string_equal(conf_origin(l.conf, "T_FORM"), "default");
    conf_free(l.conf);
}

static void test_conf_flag_beats_environment_beats_file(void **state)
{
    (void)state;
    char path[] = "/tmp/test_conf_XXXXXX", line[128];
    write_file(path, "# comment\n\nlinger_ms = 1\r\nform=bb\n T_URL = from # file; x \nfast = on\n"
                     "kafka.a.b = c = d\n");
    (void)setenv("T_LINGER_MS", "2", 1);
    (void)setenv("T_FORM", "a", 1);
    (void)setenv("T_FAST", "", 1); /* empty is not set */
    (void)snprintf(line, sizeof line, "--linger-ms=3 --config %s", path);
    struct loaded l;
    load(&l, line);
    assert_true(l.done);
    assert_int_equal(l.target.linger_ms, 3);
    assert_string_equal(conf_origin(l.conf, "T_LINGER_MS"), "flag --linger-ms");
    assert_string_equal(l.target.form, "a");
    assert_string_equal(conf_origin(l.conf, "T_FORM"), "environment T_FORM");
    assert_string_equal(l.target.url, "from # file; x");
    assert_true(l.target.fast);
    size_t count = 0;
    const struct conf_pair *pairs = conf_pairs(l.conf, &count);
    assert_int_equal(count, 1);
    assert_string_equal(pairs[0].name, "a.b");
    assert_string_equal(pairs[0].value, "c = d");
    conf_free(l.conf);
    (void)unlink(path);
}

static void test_conf_leaves_other_words(void **state)
{
    (void)state;
    struct loaded l;
    load(&l, "run --other 5 --linger-ms 7 -X a=b -Xc=d=e --fast x -- --linger-ms 8");
    assert_true(l.done);
    const char *const left[] = { "program", "run", "--other", "5", "x", "--", "--linger-ms", "8" };
    assert_int_equal(l.argc, 8);
    for (int i = 0; i < 8; i++)
        assert_string_equal(l.argv[i], left[i]);
    assert_null(l.argv[8]);
    assert_true(l.target.fast);
    size_t count = 0;
    const struct conf_pair *pairs = conf_pairs(l.conf, &count);
    assert_int_equal(count, 2);
    assert_string_equal(pairs[1].value, "d=e");
    conf_free(l.conf);
}

static void test_conf_aliases(void **state)
{
    (void)state;
    struct loaded l;
    (void)setenv("T_LINK", "link", 1);
    load(&l, "");
    assert_string_equal(l.target.url, "link");
    conf_free(l.conf);
    (void)setenv("T_URL", "url", 1);
    load(&l, "");
    assert_string_equal(l.target.url, "url");
    conf_free(l.conf);
    load(&l, "--t-link flag");
    assert_string_equal(l.target.url, "flag");
    conf_free(l.conf);
}

static void check_refused(const char *line, const char *code, const char *text)
{
    struct loaded l;
    load(&l, line);
    assert_false(l.done);
    assert_string_equal(l.err.code, code);
    if (strstr(l.err.text, text) == NULL)
        fail_msg("'%s' is not in '%s'", text, l.err.text);
    conf_free(l.conf);
}

static void test_conf_refusals(void **state)
{
    (void)state;
    check_refused("--linger-ms 1x", CONF_ERR_USAGE,
                  "T_LINGER_MS cannot be '1x' (flag --linger-ms): allowed is a whole number from 0 "
                  "to 1000");
    check_refused("--linger-ms 1001", CONF_ERR_USAGE, "from 0 to 1000");
    check_refused("--linger-ms -1", CONF_ERR_USAGE, "'-1'");
    check_refused("--linger-ms", CONF_ERR_USAGE, "needs a value");
    check_refused("--form c", CONF_ERR_USAGE, "allowed is a|bb");
    check_refused("--fast=maybe", CONF_ERR_USAGE, "true or false");
    check_refused("-X novalue", CONF_ERR_USAGE, "property=value");
    check_refused("-X", CONF_ERR_USAGE, "property=value");
    check_refused("--config /nowhere/at/all", CONF_ERR_CONFIG, "/nowhere/at/all");
    check_refused("--secret-file /nowhere/at/all", CONF_ERR_USAGE, "/nowhere/at/all");
    check_refused("--secret-file /dev/null", CONF_ERR_USAGE, "it is empty");
    check_refused("--secret-file /dev/zero", CONF_ERR_USAGE, "it holds more");
    check_refused("--secret-file /tmp", CONF_ERR_USAGE, "Is a directory");
    (void)setenv("T_LINGER_MS", "99999999999999999999", 1);
    check_refused("", CONF_ERR_CONFIG, "(environment T_LINGER_MS)");
}

static void test_conf_refuses_wrong_files(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        { "linger_mss = 4\n", ":1: there is no setting 'linger_mss'; did you mean 'linger-ms'?" },
        { "\nwhatever\n", ":2: a line is 'key = value'" },
        { "linger_ms = many\n", ":1)" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[] = "/tmp/test_conf_XXXXXX", line[128];
        write_file(path, cases[i].text);
        (void)snprintf(line, sizeof line, "--config %s", path);
        check_refused(line, CONF_ERR_CONFIG, cases[i].expected);
        (void)unlink(path);
    }
}

static void test_conf_a_hidden_wrong_value_is_no_error(void **state)
{
    (void)state;
    (void)setenv("T_LINGER_MS", "wrong", 1);
    struct loaded l;
    load(&l, "--linger-ms 5");
    assert_true(l.done);
    conf_free(l.conf);
}

static void test_conf_secret_files(void **state)
{
    (void)state;
    char path[] = "/tmp/test_conf_XXXXXX";
    write_file(path, "s3;c#r=t \n");
    (void)setenv("T_SECRET_FILE", path, 1);
    struct loaded l;
    load(&l, "");
    assert_true(l.done);
    assert_string_equal(l.target.secret, "s3;c#r=t ");
    conf_free(l.conf);
    (void)unlink(path);
}

static void test_conf_print_masks(void **state)
{
    (void)state;
    struct loaded l;
    load(&l, "--url postgresql://u:hunter2@h/d --secret hunter2 -X sasl.password=hunter2");
    assert_true(l.done);
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    conf_print(l.conf, memory);
    (void)fclose(memory);
    assert_null(strstr(text, "hunter2"));
    assert_non_null(strstr(text, "postgresql://u:***@h/d"));
    assert_non_null(strstr(text, "# flag --secret"));
    free(text);
    conf_free(l.conf);
}

static void test_conf_mask_url(void **state)
{
    (void)state;
    static const struct {
        const char *value, *masked;
    } cases[] = {
        { "postgresql://h/d", "postgresql://h/d" },
        { "postgresql://u@h:5432/d", "postgresql://u@h:5432/d" },
        { "postgresql://u:p@h:5432/d", "postgresql://u:***@h:5432/d" },
        { "postgresql://u:p@q@h/d", "postgresql://u:***@h/d" },
        { "postgresql://u:p/q@h/d", "postgresql://u:***@h/d" },
        { "postgresql://h/d?password=x&sslmode=require",
          "postgresql://h/d?password=***&sslmode=require" },
        { "host=h password=x dbname=d", "host=h password=*** dbname=d" },
        { "host=h password = 'x y\\' z' dbname=d", "host=h password = *** dbname=d" },
        { "host=h sslpassword=x", "host=h sslpassword=***" },
        { "", "" },
    };
    char masked[128];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        conf_mask_url(cases[i].value, masked, sizeof masked);
        assert_string_equal(masked, cases[i].masked);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_conf_defaults, set_up),
        cmocka_unit_test_setup(test_conf_flag_beats_environment_beats_file, set_up),
        cmocka_unit_test_setup(test_conf_leaves_other_words, set_up),
        cmocka_unit_test_setup(test_conf_aliases, set_up),
        cmocka_unit_test_setup(test_conf_refusals, set_up),
        cmocka_unit_test_setup(test_conf_refuses_wrong_files, set_up),
        cmocka_unit_test_setup(test_conf_a_hidden_wrong_value_is_no_error, set_up),
        cmocka_unit_test_setup(test_conf_secret_files, set_up),
        cmocka_unit_test_setup(test_conf_print_masks, set_up),
        cmocka_unit_test(test_conf_mask_url),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
