-- A view whose last refresh was not published: by a worker that died, or by attemptd refresh. Who
-- refreshed it just now is about to publish it. An end that lies ahead is of a time before the
-- server's clock was put back.
-- Gives its name, the number of the refresh and when that ended.
SELECT view_name, refreshes, last_finished_at
FROM view_schedules
WHERE refreshes > published
  AND last_finished_at NOT BETWEEN clock_timestamp() - interval '2 seconds'
                               AND clock_timestamp() + interval '1 minute'
ORDER BY last_finished_at
LIMIT 1
