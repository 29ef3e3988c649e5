#include "worker/postgres/sql_text.h"

#include <ctype.h>

static bool looking_at(struct bytes s, size_t at, const char *word)
{
    size_t len = strlen(word);
    return s.len - at >= len && memcmp(s.ptr + at, word, len) == 0;
}

/* Behind the next occurrence of `end` at or after `at`; the end of the script if there is none. */
static size_t behind(struct bytes s, size_t at, struct bytes end)
{
    const char *found = at < s.len ? memmem(s.ptr + at, s.len - at, end.ptr, end.len) : NULL;
    return found ? (size_t)(found - s.ptr) + end.len : s.len;
}

/* Block comments nest. */
static size_t skip_block_comment(struct bytes s, size_t at)
{
    int depth = 0;
    do {
        if (looking_at(s, at, "/*")) {
            depth++;
            at += 2;
        } else if (looking_at(s, at, "*/")) {
            depth--;
            at += 2;
        } else {
            at++;
        }
    } while (depth > 0 && at < s.len);
    return at;
}

/* What a name or a dollar quote's tag begins with: to PostgreSQL every byte beyond ASCII is a
 * letter. */
static bool begins_word(char c)
{
    return isalpha((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* Behind the name, the tag or the number at `at`; in a name a dollar is a letter, too. */
static size_t behind_word(struct bytes s, size_t at, bool dollars)
{
    while (at < s.len && (begins_word(s.ptr[at]) || isdigit((unsigned char)s.ptr[at]) ||
                          (dollars && s.ptr[at] == '$')))
        at++;
    return at;
}

/* At a dollar: behind the dollar-quoted string, or one further if it is none ($1). */
static size_t skip_dollar(struct bytes s, size_t at)
{
    size_t end = behind_word(s, at + 1, false);
    if (end >= s.len || s.ptr[end] != '$' || isdigit((unsigned char)s.ptr[at + 1]))
        return at + 1;
    struct bytes tag = { s.ptr + at, end + 1 - at };
    return behind(s, end + 1, tag);
}

/* An E'' string, where a backslash hides the next character; `at` is at its quote. */
static size_t skip_escape_string(struct bytes s, size_t at)
{
    at++;
    while (at < s.len && s.ptr[at] != '\'')
        at += s.ptr[at] == '\\' ? 2 : 1;
    return at < s.len ? at + 1 : s.len;
}

/* A name, or the E of a string. */
static size_t skip_word(struct bytes s, size_t at)
{
    size_t end = behind_word(s, at, true);
    bool escapes = end == at + 1 && (s.ptr[at] == 'E' || s.ptr[at] == 'e');
    return escapes && end < s.len && s.ptr[end] == '\'' ? skip_escape_string(s, end) : end;
}

/* Behind the token at `at`: a doubled quote is simply two strings in a row. */
static size_t skip(struct bytes s, size_t at)
{
    if (looking_at(s, at, "--"))
        return behind(s, at, BYTES("\n"));
    if (looking_at(s, at, "/*"))
        return skip_block_comment(s, at);
    switch (s.ptr[at]) {
    case '\'':
        return behind(s, at + 1, BYTES("'"));
    case '"':
        return behind(s, at + 1, BYTES("\""));
    case '$':
        return skip_dollar(s, at);
    default:
        return begins_word(s.ptr[at]) ? skip_word(s, at) : at + 1;
    }
}

static bool is_blank(struct bytes s, size_t at)
{
    return isspace((unsigned char)s.ptr[at]) || s.ptr[at] == ';' || looking_at(s, at, "--") ||
           looking_at(s, at, "/*");
}

bool sql_text_next(struct bytes script, size_t *at, struct bytes *ret_statement)
{
    size_t from = *at;
    while (from < script.len && is_blank(script, from))
        from = skip(script, from);
    if (from >= script.len) {
        *at = script.len;
        return false;
    }
    size_t end = from;
    while (end < script.len && script.ptr[end] != ';')
        end = skip(script, end);
    *ret_statement = (struct bytes){ script.ptr + from, end - from };
    *at = end < script.len ? end + 1 : end;
    return true;
}

size_t sql_text_line(const char *script, size_t at)
{
    size_t line = 1;
    for (size_t i = 0; i < at && script[i]; i++)
        line += script[i] == '\n';
    return line;
}
