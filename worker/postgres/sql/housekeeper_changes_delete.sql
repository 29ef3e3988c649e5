-- Foreign changes that were published. Views that were refreshed before are behind from now on.
--   $1 int8[]   ids
WITH gone AS (DELETE FROM foreign_changes WHERE id = ANY ($1::int8[]) RETURNING id)
UPDATE foreign_progress SET taken = taken + (SELECT count(*) FROM gone)
