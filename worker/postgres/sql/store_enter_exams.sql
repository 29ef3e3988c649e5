-- Enters the exams that new attempts name and nobody has entered, in the order of their ids; only
-- for attempts that are not there yet, because a refused start must change nothing.
--   $1 uuid[]    attempts
--   $2 uuid[]    the exam of each; null: none
-- Gives the ordinals of the attempts that are missing.
WITH missing AS (
    SELECT i.ordinal, i.exam_id
    FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS i (attempt_id, exam_id, ordinal)
    WHERE NOT EXISTS (SELECT FROM attempt_rows r WHERE r.id = i.attempt_id)
), entered AS (
    INSERT INTO exams (id)
    SELECT DISTINCT m.exam_id FROM missing m
    WHERE m.exam_id IS NOT NULL AND NOT EXISTS (SELECT FROM exams e WHERE e.id = m.exam_id)
    ORDER BY m.exam_id
    ON CONFLICT (id) DO NOTHING
)
SELECT ordinal FROM missing
