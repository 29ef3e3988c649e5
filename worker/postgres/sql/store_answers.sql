-- One row per answer of submitted attempts.
--   $1 uuid[]    attempts
INSERT INTO attempt_answers (attempt_id, question_id, answer)
SELECT r.id, a.key, a.value
FROM unnest($1::uuid[]) AS i (attempt_id)
JOIN attempt_rows r ON r.id = i.attempt_id
CROSS JOIN LATERAL jsonb_each(r.folded_answers) AS a
