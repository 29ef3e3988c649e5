-- Foreign changes to be published, oldest first; they stay locked until they are deleted.
--   $1 int8   how many at most
SELECT id, attempt_id, exam_id, version, revision, changed_at
FROM foreign_changes
ORDER BY id
LIMIT $1::int8
FOR UPDATE SKIP LOCKED
