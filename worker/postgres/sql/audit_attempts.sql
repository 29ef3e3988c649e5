-- Attempts as they should be against attempts as they are: those that differ, or were changed by
-- somebody else. PostgreSQL compares the documents, so 1.0 is 1.00.
--   $1 jsonb  what they should be, from the replay
SELECT m.id, r.id IS NULL AS gone,
       coalesce(r.foreign_revision IS NOT NULL, false)
           OR EXISTS (SELECT FROM foreign_changes f WHERE f.attempt_id = m.id)
           OR EXISTS (SELECT FROM audit_log l WHERE l.attempt_id = m.id) AS foreign_change,
       concat_ws(' ', nullif(m.row_differs, ''), nullif(m.submission_differs, ''),
                 m.answers_differ) AS differs,
       m.version, r.version
FROM (
    SELECT m.*,
           concat_ws(' ',
               CASE WHEN r.status IS DISTINCT FROM m.status THEN 'status' END,
               CASE WHEN r.version IS DISTINCT FROM m.version THEN 'version' END,
               CASE WHEN attempt_fold(r.folded_answers, r.tail) IS DISTINCT FROM m.answers THEN 'answers' END,
               CASE WHEN r.auto_save_data::jsonb IS DISTINCT FROM m.auto_save_data
                    THEN 'auto_save_data' END,
               CASE WHEN r.exam_id IS DISTINCT FROM m.exam_id THEN 'exam_id' END,
               CASE WHEN r.student_id IS DISTINCT FROM m.student_id THEN 'student_id' END,
               CASE WHEN r.started_at IS DISTINCT FROM
                         timestamptz 'epoch' + m.started_us * interval '1 microsecond'
                    THEN 'started_at' END,
               CASE WHEN r.deadline_at IS DISTINCT FROM
                         timestamptz 'epoch' + m.deadline_us * interval '1 microsecond'
                    THEN 'deadline_at' END,
               CASE WHEN r.submitted_at IS DISTINCT FROM
                         timestamptz 'epoch' + m.submitted_us * interval '1 microsecond'
                    THEN 'submitted_at' END) AS row_differs,
           concat_ws(' ',
               CASE WHEN s.event_id IS DISTINCT FROM m.submit_id
                    THEN 'submissions.event_id' END,
               CASE WHEN s.version IS DISTINCT FROM m.submit_version
                    THEN 'submissions.version' END,
               CASE WHEN s.missing IS DISTINCT FROM m.submit_missing
                    THEN 'submissions.missing' END,
               CASE WHEN s.submitted_at IS DISTINCT FROM
                         timestamptz 'epoch' + m.submitted_us * interval '1 microsecond'
                    THEN 'submissions.submitted_at' END,
               CASE WHEN s.after_deadline IS DISTINCT FROM
                         CASE WHEN m.submit_id IS NOT NULL AND m.exam_id IS NOT NULL
                              THEN coalesce(m.submitted_us > m.deadline_us, false) END
                    THEN 'submissions.after_deadline' END,
               CASE WHEN (s.topic, s.partition, s.record_offset) IS DISTINCT FROM
                         (m.submit_topic, m.submit_partition, m.submit_offset)
                    THEN 'submissions.record_offset' END,
               CASE WHEN encode(s.answers_digest, 'hex') IS DISTINCT FROM m.digest
                    THEN 'submissions.answers_digest' END) AS submission_differs,
           CASE WHEN m.status = 'submitted' AND q.document IS DISTINCT FROM m.answers
                  OR m.status <> 'submitted' AND q.document IS NOT NULL
                     AND q.document <> '{}'
                THEN 'attempt_answers' END AS answers_differ
    FROM jsonb_to_recordset($1::jsonb) AS m (
        id uuid, status text, version bigint, answers jsonb, auto_save_data jsonb,
        exam_id uuid, student_id uuid, started_us bigint, deadline_us bigint,
        submitted_us bigint, submit_id uuid, submit_version bigint, submit_missing bigint,
        submit_topic text, submit_partition int, submit_offset bigint, digest text)
    LEFT JOIN attempt_rows r ON r.id = m.id
    LEFT JOIN submissions s ON s.attempt_id = m.id
    LEFT JOIN LATERAL (
        SELECT coalesce(jsonb_object_agg(a.question_id, a.answer), '{}') AS document
        FROM attempt_answers a WHERE a.attempt_id = m.id
    ) q ON true
) AS m
LEFT JOIN attempt_rows r ON r.id = m.id
WHERE r.id IS NULL
   OR concat_ws('', m.row_differs, m.submission_differs, m.answers_differ) <> ''
   OR r.foreign_revision IS NOT NULL
   OR EXISTS (SELECT FROM foreign_changes f WHERE f.attempt_id = m.id)
   OR EXISTS (SELECT FROM audit_log l WHERE l.attempt_id = m.id)
ORDER BY m.id
