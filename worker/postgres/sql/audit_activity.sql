-- Activity events as they should be: those that are not there, or are different; and whether their
-- attempt was erased, which takes its activity away.
--   $1 jsonb  what they should be, from the replay
SELECT m.event_id, e.event_id IS NULL,
       EXISTS (SELECT FROM audit_log l WHERE l.attempt_id = m.attempt_id AND l.action = 'erase')
FROM jsonb_to_recordset($1::jsonb) AS m (
    event_id uuid, attempt_id uuid, event_type text, payload jsonb, at_us bigint)
LEFT JOIN activity_events e
    ON e.event_id = m.event_id
   AND e.occurred_at = timestamptz 'epoch' + m.at_us * interval '1 microsecond'
WHERE e.event_id IS NULL
   OR e.attempt_id <> m.attempt_id
   OR e.event_type <> m.event_type
   OR e.payload IS DISTINCT FROM m.payload
