--   $1 uuid  attempt   $2 int8  expected version   $3 jsonb  changed answers
--   $4 jsonb  auto_save_data   $5 timestamptz  when submitted, or null
UPDATE plain_attempts
SET answers = answers || $3::jsonb,
    auto_save_data = coalesce($4::jsonb, auto_save_data),
    version = $2::int8 + 1,
    status = CASE WHEN $5::timestamptz IS NULL THEN status ELSE 'submitted' END,
    submitted_at = $5::timestamptz,
    updated_at = now()
WHERE id = $1 AND version <= $2::int8 AND status = 'in_progress'
