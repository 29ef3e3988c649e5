/*
 * Times as text: one strict spelling of RFC 3339 in, one fixed spelling out.
 *
 * In: upper-case T and Z or an offset (-00:00 is UTC), second <= 59, one to nine digits of
 * fraction of which microseconds are kept (truncated), written year 2000-2099, a day that the
 * month has. Out: UTC with six digits, `2026-11-21T12:00:00.000000Z`. In memory a time is
 * microseconds since 1970-01-01T00:00:00Z.
 */
#ifndef COMMON_RFC3339_H
#define COMMON_RFC3339_H

#include "common/bytes.h"

#include <stdint.h>

#define RFC3339_TEXT_LEN 27

/* Sets `*ret_us` only when it returns true. */
bool rfc3339_parse(struct bytes text, int64_t *ret_us);

/* Writes RFC3339_TEXT_LEN characters and a NUL; years outside 0-9999 are clamped. Returns `text`.
 */
char *rfc3339_format(int64_t us, char text[static RFC3339_TEXT_LEN + 1]);

#endif
