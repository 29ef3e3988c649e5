/* Where SQL statements end: what hides a semicolon from PostgreSQL, and what only looks like it. */
#include "worker/postgres/sql_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* `expected` ends with NULL. */
static void assert_statements(const char *text, const char *const *expected)
{
    size_t at = 0;
    struct bytes statement;
    for (; *expected != NULL; expected++) {
        assert_true(sql_text_next(bytes_of(text), &at, &statement));
        if (!bytes_equal(statement, bytes_of(*expected)))
            fail_msg("%s: found '%.*s'", *expected, BYTES_FMT(statement));
    }
    assert_false(sql_text_next(bytes_of(text), &at, &statement));
}

static void test_statements_are_found_behind_quotes_and_comments(void **state)
{
    (void)state;
    assert_statements("-- a; b\nSELECT ';' , \"a;b\", E'\\';', 'it''s;' /* ; /* ; */ ; */;\n"
                      ";DO $x$ BEGIN; $y$ ; $x$ ; SELECT a$1, $1 -- ;\n; \n-- end;",
                      (const char *[]){ "SELECT ';' , \"a;b\", E'\\';', 'it''s;' /* ; /* ; */ ; */",
                                        "DO $x$ BEGIN; $y$ ; $x$ ", "SELECT a$1, $1 -- ;\n",
                                        NULL });
}

/* Found by the fuzzer: letters beyond ASCII in a tag; an E that ends a name; a number before $$. */
static void test_words_are_read_as_postgresql_reads_them(void **state)
{
    (void)state;
    assert_statements("SELECT $\xc3\xa9$;$\xc3\xa9$; b",
                      (const char *[]){ "SELECT $\xc3\xa9$;$\xc3\xa9$", "b", NULL });
    assert_statements("SELECT n_E'x\\'; b", (const char *[]){ "SELECT n_E'x\\'", "b", NULL });
    assert_statements("SELECT \xc3\xa9"
                      "E'x\\'; b",
                      (const char *[]){ "SELECT \xc3\xa9"
                                        "E'x\\'",
                                        "b", NULL });
    assert_statements("SELECT a$$; b$$", (const char *[]){ "SELECT a$$", "b$$", NULL });
    assert_statements("SELECT \xc3\xa9$b$; c", (const char *[]){ "SELECT \xc3\xa9$b$", "c", NULL });
    assert_statements("SELECT 1$$;$$; b", (const char *[]){ "SELECT 1$$;$$", "b", NULL });
}

static void test_what_is_not_closed_reaches_to_the_end(void **state)
{
    (void)state;
    static const char *const texts[] = { "SELECT 'a;",  "SELECT E'a;\\",
                                         "SELECT \"a;", "SELECT $$ ;",
                                         "SELECT /* ;", "SELECT $",
                                         "E",           "$a" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_statements(texts[i], (const char *[]){ texts[i], NULL });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statements_are_found_behind_quotes_and_comments),
        cmocka_unit_test(test_words_are_read_as_postgresql_reads_them),
        cmocka_unit_test(test_what_is_not_closed_reaches_to_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
