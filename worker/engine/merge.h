/*
 * Many changes of one document into one: the last value of a key wins.
 *
 * A patch is a JSON object text of top-level members; null clears a key and is kept as null, for
 * the database to carry out. The result is again an object text.
 */
#ifndef WORKER_ENGINE_MERGE_H
#define WORKER_ENGINE_MERGE_H

#include "common/arena.h"
#include "common/bytes.h"

#include <stddef.h>

/*
 * `patches` are checked JSON objects, oldest first. `*ret` is absent when there are none, the only
 * patch itself when there is one (no copy), else text in the arena. False when memory is short.
 */
bool merge_patches(const struct bytes *patches, size_t count, struct arena *arena,
                   struct bytes *ret);

#endif
