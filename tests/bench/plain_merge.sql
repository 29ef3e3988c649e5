-- The yardstick (c'): the best single statement for merging a batch of saves into jsonb documents.
-- No event ids, no ledger, no outcomes, no revision: versions and answers alone. Kept as it is,
-- whatever the worker's own row write becomes.
--   $1 uuid[]   attempts, sorted
--   $2 int8[]   expected version of the first save
--   $3 int8[]   version after the last one
--   $4 jsonb[]  changed answers
--   $5 jsonb[]  auto_save_data
UPDATE plain_attempts AS r
SET answers = r.answers || w.patch,
    auto_save_data = coalesce(w.auto_save_data, r.auto_save_data),
    version = w.version,
    updated_at = now()
FROM unnest($1::uuid[], $2::int8[], $3::int8[], $4::jsonb[], $5::jsonb[])
    AS w (attempt_id, expected_first, version, patch, auto_save_data)
WHERE r.id = w.attempt_id
  AND r.version <= w.expected_first
  AND r.status = 'in_progress'
RETURNING r.id
