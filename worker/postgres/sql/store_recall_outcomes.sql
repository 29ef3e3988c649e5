-- What became of the records of some ranges, where it left a row.
--   $1 text[]    topics
--   $2 int4[]    partitions
--   $3 int8[]    generations
--   $4 int8[]    from
--   $5 int8[]    to (not included)
WITH ranges AS (
    SELECT * FROM unnest($1::text[], $2::int4[], $3::int8[], $4::int8[], $5::int8[])
        WITH ORDINALITY AS i (topic, partition, generation, low, high, ordinal)
)
SELECT i.ordinal, t.record_offset, 'applied'::text, NULL::text, t.version, t.missing,
       t.receipt, t.recorded_at
FROM ranges i JOIN submissions t USING (topic, partition, generation)
WHERE t.record_offset >= i.low AND t.record_offset < i.high
UNION ALL
SELECT i.ordinal, t.record_offset, t.outcome::text, t.reason::text, t.row_version, 0::int8,
       NULL::text, t.rejected_at
FROM ranges i JOIN rejected_writes t USING (topic, partition, generation)
WHERE t.record_offset >= i.low AND t.record_offset < i.high
UNION ALL
SELECT i.ordinal, t.record_offset, 'dead'::text, t.reason::text, NULL::int8, 0::int8,
       NULL::text, t.dead_at
FROM ranges i JOIN dead_letters t USING (topic, partition, generation)
WHERE t.record_offset >= i.low AND t.record_offset < i.high
ORDER BY 1, 2
