-- The present state of attempts, to publish their invalidations again.
--   $1 uuid[]    attempts
SELECT i.ordinal, r.version, r.revision, r.exam_id, r.updated_at
FROM unnest($1::uuid[]) WITH ORDINALITY AS i (attempt_id, ordinal)
JOIN attempt_rows r ON r.id = i.attempt_id
