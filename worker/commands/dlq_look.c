/* Looking at dead letters changes nothing. */
#include "worker/commands/command.h"
#include "worker/commands/dlq_work.h"
#include "worker/commands/document.h"
#include "worker/commands/escape.h"
#include "worker/commands/facts.h"
#include "worker/commands/letter.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>
#include <unistd.h>

static const char *text(const json_t *object, const char *key)
{
    return document_text(object, key, "");
}

/* A line's end: text that may quote a stranger. */
static void print_detail(const char *detail)
{
    escape_print_bytes(bytes_of(detail));
    (void)putchar('\n');
}

/* ------------------------------------------------------------------------------------ list */

static void print_list(const struct dlq *dlq, const json_t *document)
{
    size_t i;
    const json_t *letter;
    const json_t *letters = json_object_get(document, "letters");
    if (json_array_size(letters) == 0) {
        (void)puts(dlq->all ? "no dead letters" : "no open dead letters");
        return;
    }
    (void)printf("%8s  %-9s %-14s %-20s %-34s %8s  %s\n", "ID", "STATE", "REASON", "DEAD AT",
                 "RECORD", "BYTES", "DETAIL");
    json_array_foreach(letters, i, letter)
    {
        char place[300];
        (void)snprintf(place, sizeof place, "%s[%lld]@%lld", text(letter, "topic"),
                       document_number(letter, "partition"),
                       document_number(letter, "record_offset"));
        (void)printf("%8lld  %-9s %-14s %-20s %-34s %8lld  ", document_number(letter, "id"),
                     text(letter, "state"), text(letter, "reason"), text(letter, "dead_at"), place,
                     document_number(letter, "value_bytes"));
        print_detail(text(letter, "detail"));
    }
    long long total = document_number(document, "total"),
              shown = (long long)json_array_size(letters);
    if (total > shown)
        (void)printf("... and %lld older ones (--limit)\n", total - shown);
}

static int list(struct dlq *dlq, struct err *err)
{
    const char *params[] = { dlq->topic, dlq->partition, dlq->reason, dlq->all ? "t" : "f",
                             dlq->limit != NULL ? dlq->limit : "50" };
    struct pg_rows *rows;
    if (!dlq_connect(dlq, true, err) || !facts_run(dlq->db, "dlq_list.sql", params, 5, &rows, err))
        return command_fail("dlq", err);
    json_t *document = json_loads(pg_rows_text(rows, 0, 0, ""), 0, NULL);
    pg_rows_free(rows);
    int code = EX_OK;
    if (dlq->json || document == NULL)
        code = document_print("dlq", document, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    else
        print_list(dlq, document);
    json_decref(document);
    return code;
}

int dlq_list(struct dlq *dlq)
{
    struct err err;
    if (dlq->all && dlq->open)
        return command_usage("dlq", "--open or --all, not both");
    return list(dlq, &err);
}

/* ------------------------------------------------------------------------------------ show */

static void print_bytes(const char *name, struct bytes bytes)
{
    if (!bytes_present(bytes)) {
        (void)printf("%-10s none\n", name);
        return;
    }
    (void)printf("%-10s %zu bytes\n  ", name, bytes.len);
    escape_print_bytes(bytes);
    (void)putchar('\n');
}

static void print_headers(const struct record *record)
{
    (void)printf("%-10s %zu\n", "headers", record->header_count);
    for (size_t i = 0; i < record->header_count; i++) {
        struct bytes value = record->headers[i].value;
        (void)fputs("  ", stdout);
        escape_print_bytes(record->headers[i].name);
        (void)fputs(bytes_present(value) ? " = " : " (null)", stdout);
        escape_print_bytes(value);
        (void)putchar('\n');
    }
}

static void print_letter(const struct letter *letter)
{
    static const char *const members[] = { "attempt_id",  "event_id",     "dead_at",
                                           "replayed_at", "discarded_at", "erased_at" };
    (void)printf("letter %lld: %s\n", (long long)letter->id, letter_text(letter, "state"));
    (void)printf("%-10s %s[%d] at offset %lld, generation %lld\n", "record", letter->topic,
                 (int)letter->record.tp.partition, (long long)letter->record.offset,
                 document_number(letter->object, "generation"));
    (void)printf("%-10s %s: ", "reason", letter_text(letter, "reason"));
    print_detail(letter_text(letter, "detail"));
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (*letter_text(letter, members[i]) != '\0')
            (void)printf("%-12s %s\n", members[i], letter_text(letter, members[i]));
    if (letter->erased) {
        (void)puts(
            "Its attempt was erased, and its bytes with it: there is nothing to send again.");
        return;
    }
    print_bytes("key", letter->record.key);
    print_headers(&letter->record);
    print_bytes("value", letter->record.value);
}

static int print_raw(const struct dlq *dlq, const struct letter *letter)
{
    struct bytes bytes =
        strcasecmp(dlq->raw, "key") == 0 ? letter->record.key : letter->record.value;
    if (bytes_present(bytes)) {
        (void)fwrite(bytes.ptr, 1, bytes.len, stdout);
        return EX_OK;
    }
    (void)fprintf(stderr, "attemptd dlq: letter %lld has no %s%s\n", (long long)letter->id,
                  strcasecmp(dlq->raw, "key") == 0 ? "key" : "value",
                  letter->erased ? ": its attempt was erased, and its bytes with it"
                                 : " (it is null in the record)");
    return EX_DATAERR;
}

static int show(struct dlq *dlq, struct err *err)
{
    struct pg_rows *rows;
    struct letter letter;
    const char *params[] = { dlq->words[0] };
    if (!dlq_connect(dlq, true, err) || !facts_run(dlq->db, "dlq_show.sql", params, 1, &rows, err))
        return command_fail("dlq", err);
    int code = EX_OK;
    struct bytes object = pg_rows_bytes(rows, 0, 0);
    if (!bytes_present(object)) {
        (void)err_set(err, ERR_REJECT, "unknown",
                      "there is no dead letter %s; 'attemptd dlq list --all' has them all",
                      dlq->words[0]);
        code = command_fail("dlq", err);
    } else if (!letter_read(&letter, object, err)) {
        code = command_fail("dlq", err);
    } else {
        if (dlq->raw != NULL)
            code = print_raw(dlq, &letter);
        else if (dlq->json)
            code = document_print("dlq", letter.object, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        else
            print_letter(&letter);
        letter_release(&letter);
    }
    pg_rows_free(rows);
    return code;
}

int dlq_show(struct dlq *dlq)
{
    struct err err;
    if (dlq->word_count != 1)
        return command_usage("dlq",
                             "show needs the ID of one letter; 'attemptd dlq list' has them");
    if (dlq->raw != NULL && strcasecmp(dlq->raw, "key") != 0 && strcasecmp(dlq->raw, "value") != 0)
        return command_usage("dlq", "--raw %s: it is KEY or VALUE", dlq->raw);
    if (dlq->raw != NULL && isatty(STDOUT_FILENO))
        return command_usage("dlq", "--raw does not write a stranger's bytes to a terminal: send "
                                    "them to a file or a pipe");
    return show(dlq, &err);
}
