-- Starts that came after their attempt's first save; also for submitted attempts, whose
-- submission then learns whether it came after the deadline. The rows are locked already.
--   $1 uuid[]         attempts, sorted
--   $2 uuid[]         exams
--   $3 uuid[]         students
--   $4 timestamptz[]  started_at
--   $5 timestamptz[]  deadline_at, null for none
-- Gives ordinal and revision of the rows that were filled in. Said as num_nulls(), because IS NULL
-- invites the planner to walk an index over all attempts without a start, once for each row.
WITH filled AS (
    UPDATE attempt_rows AS r
    SET exam_id = i.exam_id, student_id = i.student_id, started_at = i.started_at,
        deadline_at = i.deadline_at, revision = r.revision + 1, updated_at = now()
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[])
        WITH ORDINALITY AS i (attempt_id, exam_id, student_id, started_at, deadline_at, ordinal)
    WHERE r.id = i.attempt_id AND num_nulls(r.exam_id) = 1
    RETURNING i.ordinal, r.id, r.revision, r.deadline_at
), judged AS (
    UPDATE submissions AS s
    SET after_deadline = coalesce(s.submitted_at > f.deadline_at, false)
    FROM filled f
    WHERE s.attempt_id = f.id AND s.after_deadline IS NULL
)
SELECT ordinal, revision FROM filled
