-- Enters the exams that starts name and nobody has entered, in the order of their ids; only for
-- attempts that have no start yet, because a refused start must change nothing.
--   $1 uuid[]    attempts
--   $2 uuid[]    the exam of each
-- Gives the ordinals of the attempts without a start, and which of them are missing altogether. Said
-- as num_nulls(), as in store_fill_starts.sql.
WITH startless AS MATERIALIZED (
    SELECT i.ordinal, i.exam_id, r.id IS NULL AS missing
    FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS i (attempt_id, exam_id, ordinal)
    LEFT JOIN attempt_rows r ON r.id = i.attempt_id
    WHERE num_nulls(r.exam_id) = 1
), entered AS (
    INSERT INTO exams (id)
    SELECT DISTINCT s.exam_id FROM startless s
    WHERE NOT EXISTS (SELECT FROM exams e WHERE e.id = s.exam_id)
    ORDER BY s.exam_id
    ON CONFLICT (id) DO NOTHING
)
SELECT ordinal, missing FROM startless
