-- Progress rows for partitions that the ledger has never seen.
--   $1 text[]    topics
--   $2 int4[]    partitions
--   $3 int8[]    where each log begins
-- Gives the ordinals of the rows that were made.
WITH input AS (
    SELECT * FROM unnest($1::text[], $2::int4[], $3::int8[]) WITH ORDINALITY
        AS i (topic, partition, low, ordinal)
), made AS (
    INSERT INTO ingest_progress (topic, partition, first_offset, next_offset, published_offset)
    SELECT topic, partition, low, low, low FROM input ORDER BY topic COLLATE "C", partition
    ON CONFLICT (topic, partition) DO NOTHING
    RETURNING topic, partition
)
SELECT i.ordinal FROM input i JOIN made USING (topic, partition)
