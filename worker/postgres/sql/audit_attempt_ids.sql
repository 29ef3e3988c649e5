-- The ids of all attempts, one page.
--   $1 uuid  after this one
SELECT id,
       foreign_revision IS NOT NULL
           OR EXISTS (SELECT FROM foreign_changes f WHERE f.attempt_id = r.id)
           OR EXISTS (SELECT FROM audit_log l WHERE l.attempt_id = r.id)
FROM attempt_rows r
WHERE id > $1::uuid
ORDER BY id
LIMIT 20000
