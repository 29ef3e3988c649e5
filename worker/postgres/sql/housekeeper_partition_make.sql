-- The first month from the last one on that has no partition gets one.
--   $1 int4   months ahead
-- Gives its name; no row if there is nothing to do.
SELECT make_activity_partition(m.day)
FROM (SELECT day::date
      FROM generate_series(date_trunc('month', now() AT TIME ZONE 'UTC') - interval '1 month',
                           date_trunc('month', now() AT TIME ZONE 'UTC') + $1::int4 * interval '1 month',
                           interval '1 month') AS day
      WHERE to_regclass('activity_events_' || to_char(day, 'YYYY_MM')) IS NULL
      ORDER BY day
      LIMIT 1) AS m
