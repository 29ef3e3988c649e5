-- A refresh that went well, in the transaction that did it; now() is when it began.
--   $1 text   view
--   $2 int8   ledger position, read before
--   $3 int8   foreign changes taken, read before
--   $4 int8   requests, read before
-- Gives the number of the refresh, when it ended and how many ms it took.
UPDATE view_schedules
SET position = $2::int8, foreign_position = $3::int8, met_requests = $4::int8,
    as_of = now(), refreshes = refreshes + 1, failures = 0, next_try_at = NULL, last_error = NULL,
    last_started_at = now(), last_finished_at = clock_timestamp(),
    last_duration_ms = (extract(epoch FROM clock_timestamp() - now()) * 1000)::bigint
WHERE view_name = $1::text
RETURNING refreshes, last_finished_at, last_duration_ms
