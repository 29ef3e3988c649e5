-- Enters the exams of starts that come after their attempt's first save.
--   $1 uuid[]    exams
INSERT INTO exams (id)
SELECT DISTINCT i.exam_id FROM unnest($1::uuid[]) AS i (exam_id)
WHERE NOT EXISTS (SELECT FROM exams e WHERE e.id = i.exam_id)
ORDER BY i.exam_id
ON CONFLICT (id) DO NOTHING
