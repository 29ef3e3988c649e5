-- Writes that came too late, kept whole. A conflict here would mean a record judged twice, so
-- there is no ON CONFLICT.
--   $1 uuid[]    events
--   $2 uuid[]    attempts
--   $3 text[]    outcomes
--   $4 text[]    reasons, null for stale
--   $5 int8[]    expected versions
--   $6 int8[]    versions of the row
--   $7 jsonb[]   the whole data
--   $8 text[]    topics
--   $9 int4[]    partitions
--   $10 int8[]   generations
--   $11 int8[]   offsets
INSERT INTO rejected_writes (event_id, attempt_id, outcome, reason, expected_version, row_version,
                             event, topic, partition, generation, record_offset)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int8[], $6::int8[],
                     $7::jsonb[], $8::text[], $9::int4[], $10::int8[], $11::int8[])
