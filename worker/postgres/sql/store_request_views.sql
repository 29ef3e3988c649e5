-- Asks for a refresh of views; those that nobody scheduled are ignored.
--   $1 text[]    names
INSERT INTO view_requests AS r (view_name)
SELECT DISTINCT s.view_name FROM view_schedules s WHERE s.view_name = ANY ($1::text[])
ORDER BY s.view_name
ON CONFLICT (view_name) DO UPDATE SET requests = r.requests + 1, requested_at = now()
