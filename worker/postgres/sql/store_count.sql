-- The outcomes of a flush, in the transaction that makes them true.
--   $1 text[]    topics
--   $2 int4[]    partitions
--   $3 .. $7     int8[]: applied, duplicate, stale, late, dead
--   $8 int8[]    gaps
UPDATE ingest_progress AS p
SET records = p.records + i.applied + i.duplicate + i.stale + i.late + i.dead,
    applied = p.applied + i.applied,
    duplicate = p.duplicate + i.duplicate,
    stale = p.stale + i.stale,
    late = p.late + i.late,
    dead = p.dead + i.dead,
    gaps = p.gaps + i.gaps
FROM unnest($1::text[], $2::int4[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[],
            $8::int8[])
    AS i (topic, partition, applied, duplicate, stale, late, dead, gaps)
WHERE p.topic = i.topic AND p.partition = i.partition
