-- What the world has been told, for partitions that no flush carries along. The rows that come back
-- are still ours; one that does not has been claimed by another worker, or was put back to before
-- what was told. It never moves back.
--   $1 text[]    topics
--   $2 int4[]    partitions
--   $3 int8[]    generations
--   $4 int8[]    epochs
--   $5 int8[]    published offsets
--   $6 text      who we are
UPDATE ingest_progress AS p
SET published_offset = greatest(p.published_offset, i.published),
    updated_at = now()
FROM unnest($1::text[], $2::int4[], $3::int8[], $4::int8[], $5::int8[]) WITH ORDINALITY
    AS i (topic, partition, generation, epoch, published, ordinal)
WHERE p.topic = i.topic AND p.partition = i.partition AND p.generation = i.generation
  AND p.epoch = i.epoch AND p.owner = $6::text AND i.published <= p.next_offset
RETURNING i.ordinal
