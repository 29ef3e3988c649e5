-- What the brake has to know of each claimed partition: how many letters for a refusal its last
-- 100,000 records left, 20 at most, and the newest refused submit that no applied one followed.
-- Letters that were replayed, discarded or accepted do not count: somebody has looked at them. By
-- its detail a letter says what type of event it was. Columns of dlq accept are asked for as JSON,
-- because the schema version before ours does not have them.
--   $1 text[]    topics
--   $2 int4[]    partitions
SELECT i.ordinal, r.refusals, s.record_offset, s.attempt_id
FROM unnest($1::text[], $2::int4[]) WITH ORDINALITY AS i (topic, partition, ordinal)
JOIN ingest_progress p ON p.topic = i.topic AND p.partition = i.partition
CROSS JOIN LATERAL (
    SELECT CASE WHEN (to_jsonb(p)->>'refusals_generation')::bigint = p.generation
                THEN (to_jsonb(p)->>'refusals_until')::bigint ELSE 0 END AS until,
           (SELECT coalesce(max(b.record_offset), -1) FROM submissions b
            WHERE b.topic = p.topic AND b.partition = p.partition
              AND b.generation = p.generation) AS applied
) w
CROSS JOIN LATERAL (
    SELECT count(*) AS refusals FROM (
        SELECT FROM dead_letters l
        WHERE l.topic = p.topic AND l.partition = p.partition AND l.generation = p.generation
          AND l.record_offset >= greatest(w.until, p.next_offset - 100000)
          AND l.reason = 'constraint' AND l.replayed_at IS NULL AND l.discarded_at IS NULL
        LIMIT 20) AS last
) r
LEFT JOIN LATERAL (
    SELECT l.record_offset, l.attempt_id FROM dead_letters l
    WHERE l.topic = p.topic AND l.partition = p.partition AND l.generation = p.generation
      AND l.record_offset > greatest(w.until - 1, w.applied)
      AND l.reason = 'constraint' AND l.replayed_at IS NULL AND l.discarded_at IS NULL
      AND starts_with(l.detail, 'attempt.submitted.v1 ') AND l.attempt_id IS NOT NULL
    ORDER BY l.record_offset DESC LIMIT 1
) s ON true
