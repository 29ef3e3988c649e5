-- The compare-and-set of the ledger: the first write of every flush. The rows are locked already.
--   $1 text[]    topics
--   $2 int4[]    partitions
--   $3 int8[]    generations
--   $4 int8[]    epochs
--   $5 int8[]    next offsets as we know them
--   $6 int8[]    next offsets from now on
--   $7 int8[]    published offsets, which never move back
--   $8 int8[]    anchor: offset (null: no record was passed, the old anchor stays)
--   $9 int8[]    anchor: timestamp
--   $10 bytea[]  anchor: hash
--   $11 text     who we are: a database that was put back gives the same epoch to two claims
-- Gives the ordinals of the moves that hit.
UPDATE ingest_progress AS p
SET next_offset = i.new_next,
    published_offset = greatest(p.published_offset, i.published),
    anchor_offset = coalesce(i.anchor_offset, p.anchor_offset),
    anchor_timestamp_ms = CASE WHEN i.anchor_offset IS NULL THEN p.anchor_timestamp_ms
                               ELSE i.anchor_timestamp_ms END,
    anchor_hash = CASE WHEN i.anchor_offset IS NULL THEN p.anchor_hash ELSE i.anchor_hash END,
    updated_at = now()
FROM unnest($1::text[], $2::int4[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[],
            $8::int8[], $9::int8[], $10::bytea[]) WITH ORDINALITY
    AS i (topic, partition, generation, epoch, expected_next, new_next, published,
          anchor_offset, anchor_timestamp_ms, anchor_hash, ordinal)
WHERE p.topic = i.topic AND p.partition = i.partition AND p.generation = i.generation
  AND p.epoch = i.epoch AND p.owner = $11::text AND p.next_offset = i.expected_next
RETURNING i.ordinal
