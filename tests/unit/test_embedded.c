/*
 * What is compiled in is what the files say, to the byte: whichever awk made it.
 */
#include "common/embedded.h"

#include <glob.h>
#include <libgen.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FILE_BYTES_MAX 262144

static const char *embedded(const struct embedded_file *table, const char *name)
{
    for (; table->name != NULL; table++)
        if (strcmp(table->name, name) == 0)
            return table->text;
    return NULL;
}

/* How many files match; each must stand in the table. */
static size_t compare_all(const char *pattern, const struct embedded_file *table)
{
    static char text[FILE_BYTES_MAX + 1];
    glob_t found;
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        FILE *file = fopen(found.gl_pathv[i], "rb");
        assert_non_null(file);
        size_t length = fread(text, 1, FILE_BYTES_MAX, file);
        (void)fclose(file);
        text[length] = '\0';
        const char *copy = embedded(table, basename(found.gl_pathv[i]));
        assert_non_null(copy);
        assert_string_equal(copy, text);
    }
    size_t count = found.gl_pathc;
    globfree(&found);
    return count;
}

static void test_migrations_are_embedded(void **state)
{
    (void)state;
    assert_true(compare_all("migrations/*.sql", migrations_embedded) > 5);
}

static void test_statements_are_embedded(void **state)
{
    (void)state;
    assert_true(compare_all("worker/postgres/sql/*.sql", statements_embedded) > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_migrations_are_embedded),
        cmocka_unit_test(test_statements_are_embedded),
    };
    return cmocka_run_group_tests_name("embedded", tests, NULL, NULL);
}
