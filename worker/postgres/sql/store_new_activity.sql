-- Activity events of which none is there yet, sorted by id and time; 23505 when one is.
--   $1 uuid[]         event ids
--   $2 uuid[]         attempts
--   $3 text[]         event types
--   $4 jsonb[]        payloads
--   $5 timestamptz[]  occurred_at
INSERT INTO activity_events (event_id, attempt_id, event_type, payload, occurred_at)
SELECT unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::text[]), unnest($4::jsonb[]),
       unnest($5::timestamptz[])
