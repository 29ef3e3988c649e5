--   $1 uuid  attempt   $2 uuid  exam   $3 uuid  student
INSERT INTO plain_attempts (id, exam_id, student_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
