-- Rejected writes as they should be: those whose contents are different.
--   $1 jsonb  what they should be, from the replay
SELECT m.topic, m.partition, m.record_offset
FROM jsonb_to_recordset($1::jsonb) AS m (
    topic text, partition int, generation bigint, record_offset bigint, attempt_id uuid,
    event_id uuid, expected_version bigint, event jsonb)
JOIN rejected_writes r USING (topic, partition, generation, record_offset)
WHERE r.erased_at IS NULL
  AND (r.attempt_id, r.event_id, r.expected_version) IS DISTINCT FROM
      (m.attempt_id, m.event_id, m.expected_version)
   OR r.erased_at IS NULL AND r.event IS DISTINCT FROM m.event
ORDER BY m.topic, m.partition, m.record_offset
