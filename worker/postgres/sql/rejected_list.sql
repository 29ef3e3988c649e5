-- Rejected writes, the newest first, without their contents: one document.
--   $1 text  topic, null for all       $2 int   partition, null for all
--   $3 text  outcome, null for both    $4 text  reason, null for all
--   $5 uuid  attempt, null for all     $6 int   at most so many
WITH chosen AS (
    SELECT id, outcome, reason, attempt_id, event_id, expected_version, row_version, topic,
           partition, generation, record_offset, erased_at IS NOT NULL AS erased,
           to_char(rejected_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS rejected_at
    FROM rejected_writes
    WHERE ($1::text IS NULL OR topic = $1)
      AND ($2::int IS NULL OR partition = $2::int)
      AND ($3::text IS NULL OR outcome = $3)
      AND ($4::text IS NULL OR reason = $4)
      AND ($5::uuid IS NULL OR attempt_id = $5::uuid)
), page AS (
    SELECT * FROM chosen ORDER BY id DESC LIMIT $6::int
)
SELECT jsonb_build_object(
    'total', (SELECT count(*) FROM chosen),
    'rejected', coalesce((SELECT jsonb_agg(to_jsonb(page) ORDER BY id DESC) FROM page), '[]'))::text
