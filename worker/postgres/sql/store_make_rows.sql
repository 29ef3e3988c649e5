-- New attempts; a row that is there already is left alone.
--   $1 uuid[]         attempts, sorted
--   $2 uuid[]         exams       (null where the start has not come yet,
--   $3 uuid[]         students     as are the columns that follow)
--   $4 timestamptz[]  started_at
--   $5 timestamptz[]  deadline_at, null for none
-- Revision 1 says that we publish it ourselves. Gives id and revision of the rows that were made.
INSERT INTO attempt_rows (id, revision, exam_id, student_id, started_at, deadline_at)
SELECT i.attempt_id, 1, i.exam_id, i.student_id, i.started_at, i.deadline_at
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[])
    WITH ORDINALITY AS i (attempt_id, exam_id, student_id, started_at, deadline_at, ordinal)
WHERE NOT EXISTS (SELECT FROM attempt_rows r WHERE r.id = i.attempt_id)
ORDER BY i.ordinal
ON CONFLICT (id) DO NOTHING
RETURNING id, revision
