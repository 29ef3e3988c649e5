-- Has anything changed since the view was refreshed, or did its last refresh fail?
--   $1 text   view
SELECT f.stale OR s.failures > 0
FROM view_freshness f JOIN view_schedules s USING (view_name)
WHERE f.view_name = $1::text
