-- Activity events, each stored once however often it comes.
--   $1 uuid[]         event ids
--   $2 uuid[]         attempts
--   $3 text[]         event types
--   $4 jsonb[]        payloads
--   $5 timestamptz[]  occurred_at
--   $6 int8           how many they are
-- If all were new, one row with their number; else one row for each that was, with the number.
WITH stored AS (
    INSERT INTO activity_events (event_id, attempt_id, event_type, payload, occurred_at)
    SELECT i.event_id, i.attempt_id, i.event_type, i.payload, i.occurred_at
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::jsonb[], $5::timestamptz[])
        WITH ORDINALITY
        AS i (event_id, attempt_id, event_type, payload, occurred_at, ordinal)
    ORDER BY i.event_id, i.occurred_at, i.ordinal
    ON CONFLICT DO NOTHING
    RETURNING event_id, occurred_at
), total AS (
    SELECT count(*) AS stored FROM stored
)
SELECT t.stored, NULL::uuid, NULL::timestamptz FROM total t WHERE t.stored = $6::int8
UNION ALL
SELECT t.stored, s.event_id, s.occurred_at FROM stored s, total t WHERE t.stored <> $6::int8
