-- Submits that were made by SQL and have no digest yet; they stay locked until they have one.
--   $1 int8   how many at most
SELECT s.attempt_id, s.version, s.missing, s.submitted_at, s.recorded_at, r.folded_answers::text
FROM submissions s
JOIN attempt_rows r ON r.id = s.attempt_id
WHERE s.answers_digest IS NULL
ORDER BY s.attempt_id
LIMIT $1::int8
FOR NO KEY UPDATE OF s SKIP LOCKED
