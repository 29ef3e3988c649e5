-- Applied submits. Whether one came after the deadline is not known before its start is.
--   $1 uuid[]    attempts, sorted
--   $2 uuid[]    events
--   $3 int8[]    versions after the submit
--   $4 int8[]    versions skipped
--   $5 bytea[]   digests of the answers
--   $6 text[]    receipts, null without a signing key
--   $7 text[]    topics
--   $8 int4[]    partitions
--   $9 int8[]    generations
--   $10 int8[]   offsets
INSERT INTO submissions (attempt_id, event_id, version, missing, submitted_at, after_deadline,
                         answers_digest, receipt, topic, partition, generation, record_offset)
SELECT i.attempt_id, i.event_id, i.version, i.missing, r.submitted_at,
       CASE WHEN r.exam_id IS NOT NULL THEN coalesce(r.submitted_at > r.deadline_at, false) END,
       i.digest, i.receipt, i.topic, i.partition, i.generation, i.record_offset
FROM unnest($1::uuid[], $2::uuid[], $3::int8[], $4::int8[], $5::bytea[], $6::text[], $7::text[],
            $8::int4[], $9::int8[], $10::int8[])
    AS i (attempt_id, event_id, version, missing, digest, receipt, topic, partition, generation,
          record_offset)
JOIN attempt_rows r ON r.id = i.attempt_id
