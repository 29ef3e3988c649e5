/*
 * Bytes of strangers on a terminal: nothing that could move its cursor or rewrite its lines.
 */
#ifndef WORKER_COMMANDS_ESCAPE_H
#define WORKER_COMMANDS_ESCAPE_H

#include "common/buf.h"

/* Any bytes, so that each can be told from the text: printable ASCII as it is, \\ \n \r \t, and
 * \xNN for the rest. */
void escape_bytes(struct buf *out, struct bytes bytes);

/* The same to standard output, which takes no memory. */
void escape_print_bytes(struct bytes bytes);

/* JSON text, which stays the same JSON: what is not ASCII becomes \uNNNN. Expects valid UTF-8. */
void escape_json(struct buf *out, struct bytes json);

/* The same, numbers as they were written, with a line's end, to standard output. */
void escape_print_json(struct bytes json);

#endif
