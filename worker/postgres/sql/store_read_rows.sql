-- Attempts as they stand, locked by the statement before. (Not in one statement: after a wait
-- the row would be the new one and the submission beside it the old one.)
--   $1 uuid[]    attempts
SELECT i.ordinal, r.status = 'submitted', r.version, r.revision, r.exam_id, r.student_id,
       r.recent_event_ids, s.version, s.missing
FROM unnest($1::uuid[]) WITH ORDINALITY AS i (attempt_id, ordinal)
JOIN attempt_rows r ON r.id = i.attempt_id
LEFT JOIN submissions s ON s.attempt_id = r.id
