/*
 * Where SQL statements end. Of any bytes: the pieces lie in order inside the script, and each is
 * one statement again. Of scripts that are built from tokens, so that it is known where they end:
 * exactly these statements. And a migration file is in order, or refused with a sentence.
 */
#include "tests/fuzz/slices.h"
#include "worker/postgres/migrate.h"
#include "worker/postgres/sql_text.h"

#include "common/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_pieces(struct bytes script)
{
    const char *behind = script.ptr;
    struct bytes piece, again;
    size_t at = 0;
    while (sql_text_next(script, &at, &piece)) {
        size_t from = 0;
        if (piece.len == 0 || piece.ptr < behind || piece.ptr + piece.len > script.ptr + script.len)
            abort();
        if (!sql_text_next(piece, &from, &again) || !bytes_equal(piece, again))
            abort();
        behind = piece.ptr + piece.len;
    }
    if (at != script.len)
        abort();
}

/* Each hides a semicolon, or looks as if it began something that would. */
static const char *const tokens[] = { "SELECT 1",
                                      " 'a;b'",
                                      " 'it''s;'",
                                      " E'\\';'",
                                      " e'\\\\'",
                                      " \"q;\"",
                                      " $$;'$$",
                                      " $a$;$$;$a$",
                                      " /* ; /* ' */ ; */",
                                      " -- ; '\n",
                                      " a$b$c",
                                      " $1",
                                      " namE'x\\'",
                                      " n_E'x\\'",
                                      " 1/2 - -3",
                                      " U&'d;'",
                                      " $\xc3\xa9$;$\xc3\xa9$" };
static const char *const gaps[] = { ";", ";\n", "; ; ; ", ";-- ; '\n", ";/* ; */" };

#define STATEMENTS_MAX 8
#define COUNT(table)   (sizeof(table) / sizeof((table)[0]))

static void check_built(struct slices *slices)
{
    struct buf script;
    size_t from[STATEMENTS_MAX], to[STATEMENTS_MAX], at = 0;
    struct bytes piece;
    buf_init(&script, 1 << 20);
    unsigned count = 1 + slices_choice(slices, STATEMENTS_MAX);
    for (unsigned i = 0; i < count; i++) {
        from[i] = script.len;
        buf_put(&script, bytes_of(tokens[0]));
        for (unsigned n = slices_choice(slices, 6); n > 0; n--)
            buf_put(&script, bytes_of(tokens[slices_choice(slices, COUNT(tokens))]));
        to[i] = script.len;
        buf_put(&script, bytes_of(gaps[slices_choice(slices, COUNT(gaps))]));
    }
    for (unsigned i = 0; i < count; i++)
        if (!sql_text_next(buf_bytes(&script), &at, &piece) || piece.ptr != script.ptr + from[i] ||
            piece.len != to[i] - from[i])
            abort();
    if (sql_text_next(buf_bytes(&script), &at, &piece))
        abort();
    buf_release(&script);
}

/* Two files, their names and texts separated by NUL. */
static void check_files(struct bytes text)
{
    char *copy = calloc(text.len + 4, 1);
    struct embedded_file files[3] = { { NULL, NULL } };
    struct err err = { .text = "" };
    if (copy == NULL)
        abort();
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    char *at = copy, *end = copy + text.len + 3;
    for (unsigned i = 0; i < 2 && at < end; i++) {
        files[i].name = at;
        at += strlen(at) + 1;
        files[i].text = at < end ? at : "";
        at = at < end ? at + strlen(at) + 1 : end;
    }
    if (!migrate_validate(files, &err) && err.text[0] == '\0')
        abort();
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slices slices = slices_of(data, size);
    if (slices_choice(&slices, 2) == 0) {
        check_built(&slices);
    } else {
        struct bytes script = slices_bytes(&slices, SIZE_MAX);
        check_pieces(script);
        check_files(script);
    }
    slices_release(&slices);
    return 0;
}
