/*
 * JSON that is shown whole or not at all.
 *
 * A report from which memory took a line away looks like a report of less. So whoever builds one
 * keeps a bool that begins as true, and each piece that cannot be added makes it false.
 */
#ifndef WORKER_COMMANDS_DOCUMENT_H
#define WORKER_COMMANDS_DOCUMENT_H

#include <jansson.h>
#include <stdbool.h>

/* Take `value`, which may be NULL: then memory was short already. */
void document_member(bool *whole, json_t *object, const char *key, json_t *value);
void document_item(bool *whole, json_t *array, json_t *value);

/*
 * Prints `document` (NULL when it could not be built) and a line's end to standard output, with
 * jansson's `flags`. Returns EX_OK, or EX_OSERR after saying so for the command `name`. That
 * standard output takes no more is noticed in main().
 */
int document_print(const char *name, const json_t *document, size_t flags);

/* What a member says, for the other form of the same answer; `otherwise` when there is no text. */
const char *document_text(const json_t *object, const char *key, const char *otherwise);
long long document_number(const json_t *object, const char *key);

/* For the other form of the same answer: says that it cannot be given; EX_OSERR. */
int document_no_memory(const char *name);

#endif
