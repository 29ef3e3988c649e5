--   $1 uuid  event   $2 uuid  attempt   $3 text  type   $4 jsonb  payload   $5 timestamptz  when
INSERT INTO plain_activity (event_id, attempt_id, event_type, payload, occurred_at)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING
