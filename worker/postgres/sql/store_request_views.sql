-- Asks for a refresh of views; those that nobody scheduled are ignored.
--   $1 text[]    names
UPDATE view_schedules SET requests = requests + 1, requested_at = now()
WHERE view_name = ANY ($1::text[])
