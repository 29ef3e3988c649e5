/*
 * The canonical text of answers, and its digest: what a receipt signs (DESIGN 1.6).
 *
 * Keys sorted by their UTF-8 bytes at every level, no spaces, in strings only the escapes that JSON
 * requires, numbers in plain decimal without exponent, superfluous zeros or -0. Equal values give
 * equal bytes, however they were written; schemas/examples/digests/ holds test vectors.
 */
#ifndef WORKER_EVENTS_CANONICAL_H
#define WORKER_EVENTS_CANONICAL_H

#include "common/arena.h"
#include "common/buf.h"
#include "common/hash.h"

/* Text nested deeper than this is refused: far beyond what the decoder lets in, well within the
 * stack. */
#define CANONICAL_DEPTH_MAX 4000

/*
 * Appends the canonical text of `json`, which must be sound JSON (jsonb's text, or something that
 * json_check() let through). Sorting borrows from `scratch`. False when memory ran out, a ceiling
 * was met, or the text was not sound; `buf` then holds nothing of use.
 */
bool canonical_put(struct buf *buf, struct bytes json, struct arena *scratch);

/* BLAKE2b-256 of the canonical text: `answers_digest`. `room` is cleared and used for the text. */
bool canonical_digest(struct bytes json, struct arena *scratch, struct buf *room,
                      uint8_t ret_digest[static HASH_256_BYTES]);

#endif
