-- A refresh that failed: it is tried again after 2, 4, 8 … seconds, at most 5 minutes.
--   $1 text   view
--   $2 text   what happened
UPDATE view_schedules
SET failures = failures + 1, last_error = $2::text,
    next_try_at = now() + least(interval '5 minutes', interval '1 second' * 2 ^ least(failures + 1, 9)),
    last_started_at = now(), last_finished_at = clock_timestamp(),
    last_duration_ms = (extract(epoch FROM clock_timestamp() - now()) * 1000)::bigint
WHERE view_name = $1::text
