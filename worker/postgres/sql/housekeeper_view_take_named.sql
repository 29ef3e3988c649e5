-- One view, locked, due or not; waits for whoever is refreshing it.
--   $1 text   view
SELECT view_name FROM view_schedules WHERE view_name = $1::text FOR UPDATE
