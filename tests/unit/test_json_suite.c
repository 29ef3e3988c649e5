/*
 * The strict scanner on JSONTestSuite (json_suite/README.md): it accepts what every parser must
 * accept and refuses what every parser must refuse, but for what the contract forbids on top of
 * JSON; of what is left to a parser's taste, each choice stands below. Jansson is asked, too.
 */
#include "common/json.h"
#include "tests/unit/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The contract's limits (DESIGN 1.3). */
static const struct json_rules rules = { .depth_max = 32,
                                         .digits_max = 1000,
                                         .exponent_max = 1000 };

struct choice {
    const char *name; /* of the case, without .json */
    enum json_fault fault;
};

/* JSON to every parser, and refused by design. */
static const struct choice stricter[] = {
    { "y_object_duplicated_key", JSON_DUPLICATE_KEY },
    { "y_object_duplicated_key_and_value", JSON_DUPLICATE_KEY },
    { "y_object_escaped_null_in_key", JSON_SYNTAX },
    { "y_string_null_escape", JSON_SYNTAX }, /* \u0000: jsonb cannot hold it */
};

/*
 * A parser may take these or not. Ours keeps numbers as they are written, whatever a double or a
 * long could hold, up to the contract's exponent; half surrogate pairs and everything that is not
 * UTF-8, a byte order mark included, would not be the same text to all who read it.
 */
static const struct choice free_choices[] = {
    { "i_number_double_huge_neg_exp", JSON_SOUND },
    { "i_number_huge_exp", JSON_NUMBER },
    { "i_number_neg_int_huge_exp", JSON_NUMBER },
    { "i_number_pos_double_huge_exp", JSON_NUMBER },
    { "i_number_real_neg_overflow", JSON_NUMBER },
    { "i_number_real_pos_overflow", JSON_NUMBER },
    { "i_number_real_underflow", JSON_NUMBER },
    { "i_number_too_big_neg_int", JSON_SOUND },
    { "i_number_too_big_pos_int", JSON_SOUND },
    { "i_number_very_big_negative_int", JSON_SOUND },
    { "i_object_key_lone_2nd_surrogate", JSON_SYNTAX },
    { "i_string_1st_surrogate_but_2nd_missing", JSON_SYNTAX },
    { "i_string_1st_valid_surrogate_2nd_invalid", JSON_SYNTAX },
    { "i_string_UTF-16LE_with_BOM", JSON_UTF8 },
    { "i_string_UTF-8_invalid_sequence", JSON_UTF8 },
    { "i_string_UTF8_surrogate_U+D800", JSON_UTF8 },
    { "i_string_incomplete_surrogate_and_escape_valid", JSON_SYNTAX },
    { "i_string_incomplete_surrogate_pair", JSON_SYNTAX },
    { "i_string_incomplete_surrogates_escape_valid", JSON_SYNTAX },
    { "i_string_invalid_lonely_surrogate", JSON_SYNTAX },
    { "i_string_invalid_surrogate", JSON_SYNTAX },
    { "i_string_invalid_utf-8", JSON_UTF8 },
    { "i_string_inverted_surrogates_U+1D11E", JSON_SYNTAX },
    { "i_string_iso_latin_1", JSON_UTF8 },
    { "i_string_lone_second_surrogate", JSON_SYNTAX },
    { "i_string_lone_utf8_continuation_byte", JSON_UTF8 },
    { "i_string_not_in_unicode_range", JSON_UTF8 },
    { "i_string_overlong_sequence_2_bytes", JSON_UTF8 },
    { "i_string_overlong_sequence_6_bytes", JSON_UTF8 },
    { "i_string_overlong_sequence_6_bytes_null", JSON_UTF8 },
    { "i_string_truncated-utf-8", JSON_UTF8 },
    { "i_string_utf16BE_no_BOM", JSON_UTF8 },
    { "i_string_utf16LE_no_BOM", JSON_UTF8 },
    { "i_structure_500_nested_arrays", JSON_DEPTH },
    { "i_structure_UTF-8_BOM_empty_object", JSON_SYNTAX },
};

static const struct choice *find(const struct choice *choices, size_t count, const char *name)
{
    size_t len = strlen(name) - strlen(".json");
    for (size_t i = 0; i < count; i++)
        if (strlen(choices[i].name) == len && memcmp(choices[i].name, name, len) == 0)
            return &choices[i];
    return NULL;
}

#define FIND(choices, name) find(choices, sizeof(choices) / sizeof((choices)[0]), name)

static bool is_right(const char *name, enum json_fault fault)
{
    const struct choice *choice = NULL;
    switch (name[0]) {
    case 'y':
        choice = FIND(stricter, name);
        return fault == (choice == NULL ? JSON_SOUND : choice->fault);
    case 'n':
        return fault != JSON_SOUND && fault != JSON_NO_MEMORY;
    default:
        choice = FIND(free_choices, name);
        return choice != NULL && fault == choice->fault;
    }
}

/* Jansson refuses what does not fit a double or a long, and takes a NUL byte for the end of the
 * text; and our limits are no part of JSON. */
static bool agrees_with_jansson(struct bytes text, enum json_fault fault)
{
    json_error_t error = { .text = "" };
    json_t *theirs =
        json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    bool accepted = theirs != NULL;
    json_decref(theirs);
    if (text.len > 0 && memchr(text.ptr, '\0', text.len) != NULL)
        return fault != JSON_SOUND;
    return accepted == (fault == JSON_SOUND) || fault == JSON_NUMBER || fault == JSON_DEPTH ||
           (fault == JSON_SOUND && json_error_code(&error) == json_error_numeric_overflow);
}

/* What has passed can be walked to its end. */
static size_t count_values(struct bytes value)
{
    struct json_cursor cursor = json_open(value);
    struct json_member member;
    struct bytes element;
    size_t count = 1;
    if (json_kind(value) == JSON_KIND_OBJECT)
        while (json_next_member(&cursor, &member))
            count += count_values(member.value);
    if (json_kind(value) == JSON_KIND_ARRAY)
        while (json_next_element(&cursor, &element))
            count += count_values(element);
    return count;
}

static void test_json_suite(void **state)
{
    (void)state;
    json_error_t error;
    json_t *suite = json_load_file("tests/unit/json_suite/test_parsing.json", 0, &error);
    assert_non_null(suite);
    assert_int_equal(json_array_size(suite), 318);
    unsigned wrong = 0;
    size_t i;
    json_t *item;
    json_array_foreach(suite, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        struct bytes text;
        char *owned = fixture_bytes(item, &text);
        assert_non_null(owned);
        enum json_fault fault = json_check(text, &rules, NULL);
        if (!is_right(name, fault) || !agrees_with_jansson(text, fault)) {
            (void)fprintf(stderr, "%s: the scanner says %d\n", name, (int)fault);
            wrong++;
        }
        if (fault == JSON_SOUND)
            assert_true(count_values(json_trim(text)) > 0);
        free(owned);
    }
    json_decref(suite);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_json_suite) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
