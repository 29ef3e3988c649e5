-- Word of activity that was stored beside the log is counted and forgotten.
WITH noted AS (
    SELECT id FROM foreign_activity ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM foreign_activity WHERE id IN (SELECT id FROM noted) RETURNING id
), counted AS (
    SELECT count(*) AS n FROM gone
)
UPDATE foreign_progress SET taken = taken + counted.n FROM counted WHERE counted.n > 0
